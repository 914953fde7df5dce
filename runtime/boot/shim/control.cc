#include "runtime/boot/shim/control.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/packet_socket.h"

namespace davit {
namespace {

// Far more than an agent and some tools; nobody may use up our descriptors.
constexpr size_t kMostClients = 32;

bool IsRoot(int client) {
  ucred credentials = {};
  socklen_t size = sizeof(credentials);
  return getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size) ==
             0 &&
         credentials.uid == 0;
}

}  // namespace

ControlServer::~ControlServer() {
  epoll_.Remove(listener_.get());
  for (const auto& [fd, client] : clients_) epoll_.Remove(fd);
}

absl::Status ControlServer::Serve(UniqueFd listener) {
  listener_ = std::move(listener);
  return epoll_.Add(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

absl::Status ControlServer::Adopt(UniqueFd client) {
  int fd = client.get();
  RETURN_IF_ERROR(
      epoll_.Add(fd, EPOLLIN, [this, fd](uint32_t) { OnReadable(fd); }));
  clients_[fd] = std::move(client);
  // One that has closed already may have left a command to read first.
  if (!state_.empty()) SendPacket(fd, state_).IgnoreError();
  return absl::OkStatus();
}

void ControlServer::Publish(std::string state) {
  state_ = std::move(state);
  std::vector<int> deaf;
  for (const auto& [fd, client] : clients_) {
    if (!SendPacket(fd, state_).ok()) deaf.push_back(fd);
  }
  for (int fd : deaf) {
    OnReadable(fd);  // its last words
    Drop(fd);
  }
}

void ControlServer::Accept() {
  UniqueFd client(
      accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!client || !IsRoot(client.get())) return;
  if (clients_.size() >= kMostClients) return;
  // Without room in the epoll set the client is closed and may try again.
  Adopt(std::move(client)).IgnoreError();
}

void ControlServer::OnReadable(int fd) {
  while (clients_.count(fd) != 0) {
    UniqueFd passed;
    absl::StatusOr<std::string> packet = ReceivePacket(fd, &passed);
    if (absl::IsUnavailable(packet.status())) return;
    if (!packet.ok()) return Drop(fd);
    absl::StatusOr<ShimCommand> command = DecodeShimCommand(*packet);
    if (!command.ok()) return Drop(fd);
    if (!Obey(fd, *command, std::move(passed))) return Drop(fd);
  }
}

bool ControlServer::Obey(int fd, const ShimCommand& command, UniqueFd passed) {
  switch (command.kind) {
    case ShimCommand::Kind::kStop:
      handlers_.stop(command.grace);
      return true;
    case ShimCommand::Kind::kAttach:
      if (!passed) return false;
      handlers_.attach(std::move(passed));
      return SendPacket(fd, state_).ok();
    case ShimCommand::Kind::kResize:
      handlers_.resize(command.rows, command.columns);
      return true;
  }
  return false;
}

void ControlServer::Drop(int fd) {
  epoll_.Remove(fd);
  clients_.erase(fd);
}

}  // namespace davit
