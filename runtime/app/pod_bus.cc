#include "runtime/app/pod_bus.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "runtime/app/launcher/connect.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/process_id.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr char kDestination[] = "org.freedesktop.systemd1";
constexpr absl::Duration kConnectTimeout = absl::Seconds(10);
// sd-bus hangs up on a peer that has not introduced itself for 90 s.
constexpr absl::Duration kPatienceOfPeer = absl::Seconds(60);

absl::StatusCode CodeOfBusError(absl::string_view name) {
  constexpr std::pair<absl::string_view, absl::StatusCode> kCodes[] = {
      {"org.freedesktop.systemd1.NoSuchUnit", absl::StatusCode::kNotFound},
      {"org.freedesktop.systemd1.LoadFailed", absl::StatusCode::kNotFound},
      {"org.freedesktop.systemd1.UnitExists", absl::StatusCode::kAlreadyExists},
      {"org.freedesktop.systemd1.ShuttingDown", absl::StatusCode::kUnavailable},
      {SD_BUS_ERROR_TIMEOUT, absl::StatusCode::kDeadlineExceeded},
      {SD_BUS_ERROR_NO_REPLY, absl::StatusCode::kUnavailable},
      {SD_BUS_ERROR_DISCONNECTED, absl::StatusCode::kUnavailable},
      {SD_BUS_ERROR_INVALID_ARGS, absl::StatusCode::kInvalidArgument},
      {SD_BUS_ERROR_ACCESS_DENIED, absl::StatusCode::kPermissionDenied},
  };
  for (const auto& [known, code] : kCodes) {
    if (name == known) return code;
  }
  return absl::StatusCode::kInternal;
}

bool IsDisconnect(int error) {
  return error == ECONNRESET || error == EPIPE || error == ENOTCONN ||
         error == ESHUTDOWN || error == ECONNREFUSED;
}

// The kernel says who listens: nobody but the pod's PID 1 will do.
absl::Status CheckPeer(int fd, const PodRef& pod) {
  ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0) {
    return ErrnoError("getsockopt(SO_PEERCRED)");
  }
  if (peer.pid != pod.init.pid) {
    return absl::PermissionDeniedError(absl::StrFormat(
        "/run/systemd/private of the pod belongs to process %d, not to its "
        "PID 1 (%d)",
        peer.pid, pod.init.pid));
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> ConnectSocket(const PodRef& pod,
                                       const std::string& app_launcher,
                                       absl::Time deadline) {
  ASSIGN_OR_RETURN(ProcessHandle init, ProcessHandle::Open(pod.init));
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket(AF_UNIX)");
  SubprocessSpec helper;
  helper.path = app_launcher;
  helper.argv = {"davit-app", "connect"};
  helper.fds = {{fd.get(), kConnectSocketFd}, {init.pidfd(), kConnectPidfd}};
  helper.timeout = deadline - absl::Now();
  ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(helper),
                   "davit-app connect");
  if (!init.IsAlive()) {
    return absl::NotFoundError(
        absl::StrCat("process ", pod.init.pid, " has exited"));
  }
  if (!result.ExitedWith(0)) {
    return absl::UnavailableError(
        absl::StrCat("davit-app connect: ",
                     result.err.empty() ? result.DescribeExit() : result.err));
  }
  RETURN_IF_ERROR(CheckPeer(fd.get(), pod));
  return fd;
}

absl::StatusOr<sd_bus*> StartBus(UniqueFd fd) {
  sd_bus* bus = nullptr;
  int result = sd_bus_new(&bus);
  if (result < 0) return ErrorNumber(result, "sd_bus_new");
  if (result >= 0) result = sd_bus_set_fd(bus, fd.get(), fd.get());
  if (result >= 0) fd.Release();  // the bus owns it now
  // A peer: there is no broker to say Hello to.
  if (result >= 0) result = sd_bus_set_bus_client(bus, 0);
  if (result >= 0) result = sd_bus_negotiate_fds(bus, 1);
  if (result >= 0) result = sd_bus_start(bus);
  if (result < 0) {
    sd_bus_close_unref(bus);
    return ErrorNumber(result, "sd_bus_start");
  }
  return bus;
}

timespec ToTimespecNotNegative(absl::Duration duration) {
  return absl::ToTimespec(std::max(duration, absl::ZeroDuration()));
}

}  // namespace

absl::Status BusError(const sd_bus_error& error, int result,
                      absl::string_view call) {
  if (sd_bus_error_is_set(&error) != 0) {
    return absl::Status(
        CodeOfBusError(error.name),
        absl::StrCat(call, ": ",
                     error.message != nullptr ? error.message : error.name));
  }
  int number = result < 0 ? -result : EIO;
  if (IsDisconnect(number)) {
    return absl::UnavailableError(
        absl::StrCat(call, ": the pod's systemd closed the connection"));
  }
  return ErrorNumber(number, "%s", call);
}

absl::Status AwaitHangUp(const PodRef& pod, const std::string& app_launcher,
                         absl::Duration timeout) {
  ASSIGN_OR_RETURN(
      UniqueFd fd,
      ConnectSocket(pod, app_launcher, absl::Now() + kConnectTimeout),
      "connect to the pod's systemd");
  const absl::Time deadline = absl::Now() + std::min(timeout, kPatienceOfPeer);
  while (true) {
    pollfd event = {fd.get(), POLLRDHUP, 0};
    timespec left = ToTimespecNotNegative(deadline - absl::Now());
    int n = ppoll(&event, 1, &left, nullptr);
    if (n > 0) return absl::OkStatus();
    if (n < 0 && errno != EINTR) return ErrnoError("ppoll");
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError("the pod's systemd still runs");
    }
  }
}

absl::StatusOr<PodBus> PodBus::Connect(const PodRef& pod,
                                       const std::string& app_launcher,
                                       absl::Time deadline) {
  ASSIGN_OR_RETURN(UniqueFd fd, ConnectSocket(pod, app_launcher, deadline),
                   "connect to the pod's systemd");
  ASSIGN_OR_RETURN(sd_bus * bus, StartBus(std::move(fd)),
                   "connect to the pod's systemd");
  return PodBus(bus);
}

absl::StatusOr<BusMessage> PodBus::NewCall(const std::string& path,
                                           const std::string& interface,
                                           const std::string& member) const {
  sd_bus_message* message = nullptr;
  int result = sd_bus_message_new_method_call(
      bus_.get(), &message, kDestination, path.c_str(), interface.c_str(),
      member.c_str());
  if (result < 0) {
    return BusError(SD_BUS_ERROR_NULL, result, member);
  }
  return BusMessage(message);
}

absl::StatusOr<BusMessage> PodBus::Call(const BusMessage& message,
                                        absl::Time deadline) {
  BusMessage reply;
  sd_bus_slot* raw_slot = nullptr;
  auto take_reply = [](sd_bus_message* m, void* into, sd_bus_error*) {
    static_cast<BusMessage*>(into)->reset(sd_bus_message_ref(m));
    return 1;
  };
  std::string member = sd_bus_message_get_member(message.get());
  int result = sd_bus_call_async(bus_.get(), &raw_slot, message.get(),
                                 take_reply, &reply, UINT64_MAX);
  BusSlot slot(raw_slot);  // forgets the callback when we leave early
  if (result < 0) return BusError(SD_BUS_ERROR_NULL, result, member);
  RETURN_IF_ERROR(RunUntil([&reply] { return reply != nullptr; }, deadline),
                  member);
  if (sd_bus_message_is_method_error(reply.get(), nullptr) > 0) {
    return BusError(*sd_bus_message_get_error(reply.get()), 0, member);
  }
  return reply;
}

absl::Status PodBus::Dispatch() {
  int result;
  do {
    result = sd_bus_process(bus_.get(), nullptr);
  } while (result > 0);
  if (result < 0) {
    return BusError(SD_BUS_ERROR_NULL, result, "sd_bus_process");
  }
  if (sd_bus_is_open(bus_.get()) <= 0) {
    return absl::UnavailableError("the pod's systemd closed the connection");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<pollfd, absl::Time>> PodBus::PollFor() const {
  int events = sd_bus_get_events(bus_.get());
  if (events < 0) {
    return BusError(SD_BUS_ERROR_NULL, events, "sd_bus_get_events");
  }
  uint64_t wake = UINT64_MAX;
  int result = sd_bus_get_timeout(bus_.get(), &wake);
  if (result < 0) {
    return BusError(SD_BUS_ERROR_NULL, result, "sd_bus_get_timeout");
  }
  absl::Time until = absl::InfiniteFuture();
  if (wake != UINT64_MAX) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    until = absl::Now() + absl::Microseconds(wake) -
            absl::DurationFromTimespec(now);
  }
  return std::make_pair(
      pollfd{sd_bus_get_fd(bus_.get()), static_cast<short>(events), 0}, until);
}

absl::Status PodBus::RunUntil(const std::function<bool()>& done,
                              absl::Time deadline, std::vector<pollfd>* also) {
  for (;;) {
    absl::Status dispatched = Dispatch();
    if (done()) return absl::OkStatus();
    RETURN_IF_ERROR(dispatched);
    ASSIGN_OR_RETURN(auto wait, PollFor());
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError("no answer of the pod's systemd");
    }
    std::vector<pollfd> events = {wait.first};
    if (also != nullptr) {
      events.insert(events.end(), also->begin(), also->end());
    }
    timespec timeout = ToTimespecNotNegative(
        std::min({wait.second, deadline, absl::Now() + absl::Hours(1)}) -
        absl::Now());
    if (ppoll(events.data(), events.size(), &timeout, nullptr) < 0 &&
        errno != EINTR) {
      return ErrnoError("ppoll(bus)");
    }
    if (also != nullptr) {
      std::copy(events.begin() + 1, events.end(), also->begin());
    }
  }
}

}  // namespace davit
