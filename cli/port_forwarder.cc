#include "cli/port_forwarder.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

constexpr size_t kChunk = 64 << 10;
constexpr int kBacklog = 128;

using Stream =
    grpc::ClientReaderWriter<v1::PortForwardRequest, v1::PortForwardResponse>;

std::string Bracketed(const std::string& ip) {
  return absl::StrContains(ip, ':') ? absl::StrCat("[", ip, "]") : ip;
}

// Sends what the local side says, until it ends or the stream is over.
void PumpToPod(int connection, Stream& stream) {
  std::string buffer(kChunk, '\0');
  while (true) {
    ssize_t n = recv(connection, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    v1::PortForwardRequest request;
    if (n > 0) {
      request.set_data(buffer.data(), static_cast<size_t>(n));
    } else {
      request.set_eof(true);
    }
    if (!stream.Write(request) || n <= 0) return;
  }
}

bool SendAll(int connection, const std::string& data) {
  size_t sent = 0;
  while (sent < data.size()) {
    ssize_t n =
        send(connection, data.data() + sent, data.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

// Takes what the pod says, until the stream is over. False when the local side
// has gone.
bool PumpFromPod(int connection, Stream& stream) {
  v1::PortForwardResponse response;
  while (stream.Read(&response)) {
    if (response.has_data() && !SendAll(connection, response.data())) {
      return false;
    }
    if (response.eof()) shutdown(connection, SHUT_WR);
  }
  return true;
}

absl::StatusOr<UniqueFd> ListenAt(const std::string& ip, uint16_t port) {
  sockaddr_storage storage = {};
  auto* v4 = reinterpret_cast<sockaddr_in*>(&storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&storage);
  socklen_t size = 0;
  if (inet_pton(AF_INET, ip.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    size = sizeof(*v4);
  } else if (inet_pton(AF_INET6, ip.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    size = sizeof(*v6);
  } else {
    return LocalError(
        absl::StrCat("--address \"", ip, "\": is not an IP address"));
  }
  UniqueFd fd(socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket(%s)", ip);
  int on = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (storage.ss_family == AF_INET6) {
    setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (bind(fd.get(), address, size) < 0) {
    return ErrnoError("bind(%s:%d)", Bracketed(ip), port);
  }
  if (listen(fd.get(), kBacklog) < 0) {
    return ErrnoError("listen(%s:%d)", Bracketed(ip), port);
  }
  return fd;
}

absl::StatusOr<uint16_t> PortOf(int listener) {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(storage);
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (getsockname(listener, address, &size) < 0) {
    return ErrnoError("getsockname()");
  }
  // The port is at the same place in both kinds.
  return ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
}

}  // namespace

PortForwarder::~PortForwarder() {
  absl::MutexLock lock(&mutex_);
  stopping_ = true;
  for (grpc::ClientContext* call : calls_) call->TryCancel();
  auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return connections_ == 0;
  };
  mutex_.Await(absl::Condition(&none));
}

void PortForwarder::Say(std::ostream& stream, const std::string& line) {
  absl::MutexLock lock(&mutex_);
  stream << line << std::endl;
}

// With port.local 0 the port that was found is kept, so that the next address
// has the same.
absl::Status PortForwarder::ListenOn(const std::string& ip,
                                     ForwardedPort& port) {
  ASSIGN_OR_RETURN(UniqueFd fd, ListenAt(ip, port.local));
  ASSIGN_OR_RETURN(port.local, PortOf(fd.get()));
  Say(out_, absl::StrCat("Forwarding from ", Bracketed(ip), ":", port.local,
                         " -> ", port.remote));
  listeners_.push_back({std::move(fd), port});
  return absl::OkStatus();
}

absl::Status PortForwarder::Listen(const std::vector<std::string>& addresses,
                                   ForwardedPort port) {
  for (const std::string& address : addresses) {
    if (address != "localhost") {
      RETURN_IF_ERROR(ListenOn(address, port));
      continue;
    }
    absl::Status v4 = ListenOn("127.0.0.1", port);
    absl::Status v6 = ListenOn("::1", port);
    if (!v4.ok() && !v6.ok()) return v4;
  }
  return absl::OkStatus();
}

absl::Status PortForwarder::Run(int stop_fd) {
  std::vector<pollfd> fds = {{stop_fd, POLLIN, 0}};
  for (const Listener& listener : listeners_) {
    fds.push_back({listener.fd.get(), POLLIN, 0});
  }
  while (true) {
    if (poll(fds.data(), fds.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return ErrnoError("poll()");
    }
    if (fds[0].revents != 0) return absl::OkStatus();
    for (size_t i = 0; i < listeners_.size(); ++i) {
      if (fds[i + 1].revents != 0) Accept(listeners_[i]);
    }
  }
}

void PortForwarder::Accept(const Listener& listener) {
  UniqueFd connection(
      accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!connection) return;
  Say(out_, absl::StrCat("Handling connection for ", listener.port.local));
  {
    absl::MutexLock lock(&mutex_);
    ++connections_;
  }
  try {
    std::thread([this, port = listener.port,
                 fd = std::move(connection)]() mutable {
      Serve(std::move(fd), port);
      absl::MutexLock lock(&mutex_);
      --connections_;
    }).detach();
  } catch (const std::system_error& error) {
    Say(err_, absl::StrCat("error: start a thread: ", error.what()));
    absl::MutexLock lock(&mutex_);
    --connections_;
  }
}

void PortForwarder::Serve(UniqueFd connection, ForwardedPort port) {
  absl::Status status = Carry(connection.get(), port);
  if (status.ok() || absl::IsCancelled(status)) return;
  Say(err_, absl::StrCat("error: an error occurred forwarding ", port.local,
                         " -> ", port.remote, ": ", status.message()));
  // What the pod's side did not take must not look like a good end here.
  linger reset = {1, 0};
  setsockopt(connection.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

absl::Status PortForwarder::Carry(int connection, ForwardedPort port) {
  grpc::ClientContext rpc;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return absl::CancelledError("");
    calls_.push_back(&rpc);
  }
  auto stream = client_.pods().PortForward(&rpc);
  v1::PortForwardRequest request;
  request.mutable_start()->set_pod(pod_);
  request.mutable_start()->set_port(port.remote);
  stream->Write(request);
  v1::PortForwardResponse connected;
  if (stream->Read(&connected)) {
    std::thread to_pod([&] { PumpToPod(connection, *stream); });
    if (!PumpFromPod(connection, *stream)) rpc.TryCancel();
    // Wakes the other direction, should it still wait for the local side.
    shutdown(connection, SHUT_RD);
    to_pod.join();
  }
  absl::Status status = client_.ToStatus(stream->Finish());
  absl::MutexLock lock(&mutex_);
  calls_.erase(std::find(calls_.begin(), calls_.end(), &rpc));
  return status;
}

}  // namespace davit::cli
