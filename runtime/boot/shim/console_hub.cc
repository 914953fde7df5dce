#include "runtime/boot/shim/console_hub.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace davit {
namespace {

// Nobody may use up our descriptors.
constexpr size_t kMostClients = 32;
constexpr size_t kChunk = 4096;

bool WouldBlock() { return errno == EAGAIN || errno == EINTR; }

}  // namespace

void ConsoleTail::Append(absl::string_view data) {
  bytes_.append(data.data(), data.size());
  if (bytes_.size() < 2 * kLimit) return;
  size_t surplus = bytes_.size() - kLimit;
  bytes_.erase(0, surplus);
  begin_ += surplus;
}

absl::string_view ConsoleTail::From(uint64_t& position) const {
  uint64_t end = begin_ + bytes_.size();
  uint64_t oldest = end - std::min<uint64_t>(kLimit, bytes_.size());
  position = std::clamp(position, oldest, end);
  return absl::string_view(bytes_).substr(position - begin_);
}

ConsoleHub::~ConsoleHub() {
  for (const auto& [fd, client] : clients_) epoll_.Remove(fd);
}

void ConsoleHub::Add(UniqueFd socket) {
  int fd = socket.get();
  if (clients_.size() >= kMostClients) return;
  if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) return;
  // Edges: a level would report for ever that there is room to write.
  absl::Status added =
      epoll_.Add(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                 [this, fd](uint32_t events) { OnEvent(fd, events); });
  if (!added.ok()) return;
  clients_[fd].socket = std::move(socket);
  OnEvent(fd, EPOLLIN | EPOLLOUT);
}

void ConsoleHub::Show(absl::string_view data) {
  tail_.Append(data);
  std::vector<int> gone;
  for (auto& [fd, client] : clients_) {
    if (!Send(client)) gone.push_back(fd);
  }
  for (int fd : gone) Drop(fd);
}

void ConsoleHub::OnConsoleWritable() {
  std::vector<int> gone;
  for (auto& [fd, client] : clients_) {
    if (!Receive(client)) gone.push_back(fd);
  }
  for (int fd : gone) Drop(fd);
}

void ConsoleHub::OnEvent(int fd, uint32_t events) {
  auto it = clients_.find(fd);
  if (it == clients_.end()) return;
  bool alive = (events & (EPOLLHUP | EPOLLERR)) == 0;
  if (alive) alive = Receive(it->second);
  if (alive) alive = Send(it->second);
  if (!alive) Drop(fd);
}

bool ConsoleHub::Send(Client& client) {
  while (true) {
    absl::string_view data = tail_.From(client.position);
    if (data.empty()) return true;
    ssize_t n = send(client.socket.get(), data.data(),
                     std::min(data.size(), kChunk), MSG_NOSIGNAL);
    if (n < 0) return WouldBlock();
    client.position += static_cast<uint64_t>(n);
  }
}

bool ConsoleHub::Receive(Client& client) {
  while (true) {
    while (!client.typed.empty()) {
      ssize_t n = write(console_, client.typed.data(), client.typed.size());
      // Full: its socket waits meanwhile. EIO: nobody has the console open, and
      // what is typed is for nobody.
      if (n < 0 && WouldBlock()) return true;
      client.typed.erase(0, n < 0 ? client.typed.npos : n);
    }
    if (!client.typing) return true;
    char buffer[kChunk];
    ssize_t n = recv(client.socket.get(), buffer, sizeof(buffer), 0);
    if (n < 0) return WouldBlock();
    // It may still look.
    if (n == 0) client.typing = false;
    client.typed.assign(buffer, static_cast<size_t>(n));
  }
}

void ConsoleHub::Drop(int fd) {
  epoll_.Remove(fd);
  clients_.erase(fd);
}

}  // namespace davit
