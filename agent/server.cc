#include "agent/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/server_posix.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "absl/memory/memory.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// For calls that end by themselves once the agent drains (watches do).
constexpr std::chrono::milliseconds kCancelAfter(500);
// Between two tries when we are out of descriptors.
constexpr int kBackOffMillis = 100;

bool GetPeerCredentials(int fd, PeerCredentials& out) {
  ucred credentials;
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) {
    return false;
  }
  out = {credentials.pid, credentials.uid, credentials.gid};
  return true;
}

// Once in the process, before the first server is built.
void EnableStandardServices() {
  static const bool enabled = [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    return true;
  }();
  static_cast<void>(enabled);
}

}  // namespace

Server::Server(UnixListener listener, UniqueFd stop)
    : listener_(std::move(listener)), stop_(std::move(stop)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    ServerOptions options, const ServiceFactory& services) {
  ASSIGN_OR_RETURN(UnixListener listener,
                   UnixListener::Listen(options.socket_path, options.group));
  UniqueFd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return ErrnoError("eventfd()");
  auto server =
      absl::WrapUnique(new Server(std::move(listener), std::move(stop)));
  ASSIGN_OR_RETURN(server->root_,
                   server->Build(services(Caller::kRoot), options.on_call));
  ASSIGN_OR_RETURN(server->other_,
                   server->Build(services(Caller::kOther), options.on_call));
  server->accepter_ = std::thread([s = server.get()] { s->AcceptLoop(); });
  return server;
}

absl::StatusOr<Server::Endpoint> Server::Build(
    std::vector<std::unique_ptr<grpc::Service>> services,
    const CallSink& on_call) {
  EnableStandardServices();
  Endpoint endpoint{std::move(services), nullptr};
  grpc::ServerBuilder builder;
  for (const auto& service : endpoint.services) {
    builder.RegisterService(service.get());
  }
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      interceptors;
  if (on_call) interceptors.push_back(NewCallLog(&peers_, on_call));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  endpoint.server = builder.BuildAndStart();
  if (endpoint.server == nullptr) {
    return absl::InternalError("start the gRPC server");
  }
  return endpoint;
}

Server::~Server() {
  StopAccepting();
  Shutdown();
}

void Server::StopAccepting() {
  if (!accepter_.joinable()) return;
  eventfd_write(stop_.get(), 1);
  accepter_.join();
  listener_.reset();
  for (Endpoint* endpoint : {&root_, &other_}) {
    auto* health = endpoint->server->GetHealthCheckService();
    if (health != nullptr) health->SetServingStatus(false);
  }
}

void Server::Shutdown() {
  if (shut_down_) return;
  shut_down_ = true;
  // Both have the same time.
  auto deadline = std::chrono::system_clock::now() + kCancelAfter;
  for (Endpoint* endpoint : {&root_, &other_}) {
    if (endpoint->server == nullptr) continue;
    endpoint->server->Shutdown(deadline);
    endpoint->server->Wait();
  }
}

void Server::AcceptLoop() {
  bool out_of_descriptors = false;
  while (true) {
    pollfd fds[] = {{stop_.get(), POLLIN, 0}, {listener_->fd(), POLLIN, 0}};
    // Out of descriptors, the listener would be ready all the time.
    int n =
        out_of_descriptors ? poll(fds, 1, kBackOffMillis) : poll(fds, 2, -1);
    if (n < 0 && errno != EINTR) return;
    if (fds[0].revents != 0) return;
    out_of_descriptors = !AcceptOne();
  }
}

// False if there are no descriptors left.
bool Server::AcceptOne() {
  UniqueFd fd(
      accept4(listener_->fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) return errno != EMFILE && errno != ENFILE && errno != ENOMEM;
  PeerCredentials credentials;
  if (!GetPeerCredentials(fd.get(), credentials)) return true;
  peers_.Add(fd.get(), credentials);
  bool root = credentials.uid == 0 || credentials.uid == geteuid();
  grpc::AddInsecureChannelFromFd((root ? root_ : other_).server.get(),
                                 fd.Release());
  return true;
}

}  // namespace davit
