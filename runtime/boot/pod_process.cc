#include "runtime/boot/pod_process.h"

#include <sys/epoll.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/record_reader.h"
#include "runtime/boot/shim_console.h"
#include "runtime/boot/shim_process.h"
#include "runtime/boot/shim_record.h"
#include "runtime/boot/unix_export.h"

namespace davit {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// What a shim needs beyond the grace to kill, write and clean up.
constexpr absl::Duration kStopMargin = absl::Seconds(30);
constexpr size_t kConsoleTail = 1024;
// A task that waits in the kernel does not stop.
constexpr absl::Duration kFreezeTimeout = absl::Seconds(5);
// A shim answers at once, unless it is busy killing its pod.
constexpr absl::Duration kAttachTimeout = absl::Seconds(10);

// The end of the console's log, for an error message of one line.
std::string ConsoleTail(const std::string& state_dir) {
  absl::StatusOr<std::string> log = ReadFile(ConsoleLogPath(state_dir));
  if (!log.ok()) return "";
  std::string tail =
      log->substr(log->size() - std::min(kConsoleTail, log->size()));
  for (char& c : tail) {
    if (c == '\n') c = '|';
    if (!absl::ascii_isprint(static_cast<unsigned char>(c))) c = ' ';
  }
  absl::RemoveExtraAsciiWhitespace(&tail);
  return tail;
}

// The pod as the event thread and callers share it. Descriptors and callbacks
// belong to the event thread; what callers ask for is under the mutex.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(PodProcessParts parts, ShimState state, UniqueFd socket, UniqueFd pidfd)
      : parts_(std::move(parts)),
        pidfd_(std::move(pidfd)),
        socket_(std::move(socket)),
        state_(std::move(state)) {}

  const PodProcessParts& parts() const { return parts_; }

  // On the event thread.
  void Follow();
  void End(const PodExit& exit);
  // No callback runs after it.
  void Unfollow();

  ShimState state() {
    absl::MutexLock lock(&mutex_);
    return state_;
  }
  absl::Status AwaitReady(absl::Duration timeout);
  absl::StatusOr<PodExit> AwaitExit(absl::Duration timeout);
  absl::Status AwaitInitEnd(absl::Duration timeout);
  absl::Status SendStop(absl::Duration grace);

 private:
  // Tells the listener what the first message has told.
  void Announce();
  void OnSocket();
  void OnShimGone();
  void RemoveCgroups();
  void Finish(const PodExit& exit);
  void HangUp();
  void Reconnect();
  void Update(ShimState state);
  void DrainSocket();

  const PodProcessParts parts_;
  UniqueFd pidfd_;
  // The shim has said something since we connected.
  bool heard_ = true;
  // Its PodProcess is gone: the listener may be too.
  bool closed_ = false;
  absl::Mutex mutex_;
  UniqueFd socket_ ABSL_GUARDED_BY(mutex_);
  ShimState state_ ABSL_GUARDED_BY(mutex_);
  std::optional<PodExit> exit_ ABSL_GUARDED_BY(mutex_);
};

void Core::Follow() {
  int fd;
  {
    absl::MutexLock lock(&mutex_);
    fd = socket_.get();
  }
  if (closed_) return;
  Announce();
  Epoll& epoll = parts_.events->epoll();
  auto self = shared_from_this();
  // These fail only without memory; then the pidfd's event is missed, and so is
  // the pod's end until the next Recover.
  epoll.Add(fd, EPOLLIN, [self](uint32_t) { self->OnSocket(); }).IgnoreError();
  epoll.Add(pidfd_.get(), EPOLLIN, [self](uint32_t) { self->OnShimGone(); })
      .IgnoreError();
}

void Core::Announce() {
  ShimState first = state();
  if (!first.status.empty() && parts_.listener.on_status) {
    parts_.listener.on_status(first.status);
  }
  if (first.ready && parts_.listener.on_ready) parts_.listener.on_ready();
}

void Core::Unfollow() {
  closed_ = true;
  HangUp();
  if (!pidfd_) return;
  // Nobody follows the shim any more, but if it is our child somebody must reap
  // it one day.
  Epoll& epoll = parts_.events->epoll();
  epoll.Remove(pidfd_.get());
  auto pidfd = std::make_shared<UniqueFd>(std::move(pidfd_));
  auto reap = [&epoll, pidfd](uint32_t) {
    ReapIfChild(pidfd->get());
    epoll.Remove(pidfd->get());
  };
  epoll.Add(pidfd->get(), EPOLLIN, reap).IgnoreError();
}

// Gives up the connection.
void Core::HangUp() {
  absl::MutexLock lock(&mutex_);
  parts_.events->epoll().Remove(socket_.get());
  socket_.Reset();
}

void Core::DrainSocket() {
  int fd;
  {
    absl::MutexLock lock(&mutex_);
    fd = socket_.get();
  }
  if (fd < 0) return;
  while (true) {
    absl::StatusOr<std::string> packet = ReceivePacket(fd);
    if (absl::IsUnavailable(packet.status())) return;
    if (!packet.ok()) return HangUp();
    absl::StatusOr<ShimState> state = DecodeShimState(*packet);
    if (!state.ok()) return HangUp();
    heard_ = true;
    Update(*std::move(state));
  }
}

void Core::OnSocket() {
  DrainSocket();
  Reconnect();
}

// A shim cuts off who does not read fast enough, and tells all on connect.
void Core::Reconnect() {
  {
    absl::MutexLock lock(&mutex_);
    // Who cuts us off at once does not want us: no endless loop.
    if (socket_.valid() || !heard_) return;
  }
  heard_ = false;
  absl::StatusOr<UniqueFd> socket =
      ConnectForPackets(ShimSocketPath(parts_.runtime_dir));
  if (!socket.ok()) return;  // it is about to end: its pidfd tells
  int fd = socket->get();
  {
    absl::MutexLock lock(&mutex_);
    socket_ = *std::move(socket);
  }
  auto self = shared_from_this();
  parts_.events->epoll()
      .Add(fd, EPOLLIN, [self](uint32_t) { self->OnSocket(); })
      .IgnoreError();
}

void Core::Update(ShimState state) {
  bool became_ready;
  bool new_status;
  std::string status = state.status;
  {
    absl::MutexLock lock(&mutex_);
    became_ready = state.ready && !state_.ready;
    new_status = state.status != state_.status;
    state_ = std::move(state);
  }
  if (new_status && parts_.listener.on_status) {
    parts_.listener.on_status(status);
  }
  if (became_ready && parts_.listener.on_ready) parts_.listener.on_ready();
}

void Core::OnShimGone() {
  auto self = shared_from_this();
  // Its last words may still be in the socket.
  DrainSocket();
  ReapIfChild(pidfd_.get());
  HangUp();
  parts_.events->epoll().Remove(pidfd_.get());
  pidfd_.Reset();
  std::optional<PodExit> exit = state().exit;
  absl::StatusOr<PodExit> recorded =
      ReadExitRecord(ExitRecordPath(parts_.state_dir));
  if (!exit.has_value() && recorded.ok()) exit = *recorded;
  if (exit.has_value()) {
    if (!recorded.ok()) {
      // The shim could not write it (a full disk, say): once more.
      WriteFileAtomic(ExitRecordPath(parts_.state_dir), FormatExitRecord(*exit),
                      0640)
          .IgnoreError();
    }
    return End(*exit);
  }
  // Killing a pod may take long: not on this thread.
  parts_.events->RunAside([self] {
    absl::StatusOr<PodExit> lost = EndLostPod(self->parts_, self->state().init);
    PodExit exit = lost.value_or(PodExit{.at = absl::Now()});
    self->parts_.events->Post([self, exit] { self->End(exit); });
  });
}

// Whatever remains is empty; gc retries what cannot be removed now.
void Core::RemoveCgroups() {
  if (parts_.home->Remove(parts_.pod_id, parts_.cgroup).ok()) {
    RemoveFile(CgroupRecordPath(parts_.runtime_dir)).IgnoreError();
  }
}

void Core::End(const PodExit& exit) {
  if (!parts_.home->in_scopes()) {
    RemoveCgroups();
    return Finish(exit);
  }
  // The host's systemd takes its time: not on this thread.
  parts_.events->RunAside([self = shared_from_this(), exit] {
    self->RemoveCgroups();
    self->parts_.events->Post([self, exit] { self->Finish(exit); });
  });
}

void Core::Finish(const PodExit& exit) {
  {
    absl::MutexLock lock(&mutex_);
    exit_ = exit;
  }
  if (!closed_ && parts_.listener.on_exit) parts_.listener.on_exit(exit);
}

absl::Status Core::AwaitReady(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto decided = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_.ready || exit_.has_value();
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&decided), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "pod's systemd is not ready after ", absl::FormatDuration(timeout),
        " (status \"", state_.status, "\")"));
  }
  if (state_.ready) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("pod ended before it was ready (", ExitKindName(exit_->kind),
                   ", code ", exit_->code, ", signal ", exit_->signal,
                   "); its console: ", ConsoleTail(parts_.state_dir)));
}

absl::StatusOr<PodExit> Core::AwaitExit(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return exit_.has_value();
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "pod has not ended after ", absl::FormatDuration(timeout)));
  }
  return *exit_;
}

absl::Status Core::AwaitInitEnd(absl::Duration timeout) {
  absl::MutexLock lock(&mutex_);
  auto ended = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return state_.init_ended || exit_.has_value();
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&ended), timeout)) {
    return absl::DeadlineExceededError(absl::StrCat(
        "pod has not ended after ", absl::FormatDuration(timeout)));
  }
  return absl::OkStatus();
}

absl::Status Core::SendStop(absl::Duration grace) {
  std::string command = EncodeShimCommand({.grace = grace});
  {
    absl::MutexLock lock(&mutex_);
    if (exit_.has_value()) return absl::OkStatus();
    if (socket_.valid() && SendPacket(socket_.get(), command).ok()) {
      return absl::OkStatus();
    }
  }
  absl::StatusOr<UniqueFd> socket =
      ConnectForPackets(ShimSocketPath(parts_.runtime_dir));
  // Nobody there: the pod is just ending, or its shim was lost; the caller
  // waits for that end.
  if (!socket.ok()) return absl::OkStatus();
  return SendPacket(socket->get(), command);
}

class PodProcessImpl : public PodProcess {
 public:
  explicit PodProcessImpl(std::shared_ptr<Core> core)
      : core_(std::move(core)) {}

  ~PodProcessImpl() override {
    core_->parts().events->RunAndWait([this] { core_->Unfollow(); });
  }

  ProcessIdentity init() const override { return core_->state().init; }
  ProcessIdentity shim() const override { return core_->state().shim; }

  std::map<std::string, std::string> cgroups() const override {
    std::map<std::string, std::string> result;
    for (const CgroupDir& dir : core_->parts().cgroup.dirs()) {
      if (dir.v2) result[""] = dir.payload;
      for (const std::string& controller : dir.controllers) {
        result[controller] = dir.payload;
      }
    }
    return result;
  }

  absl::Status WaitReady(absl::Duration timeout) override {
    return core_->AwaitReady(timeout);
  }

  absl::StatusOr<PodExit> WaitExit(absl::Duration timeout) override {
    return core_->AwaitExit(timeout);
  }

  absl::StatusOr<PodExit> Stop(absl::Duration grace) override {
    RETURN_IF_ERROR(core_->SendStop(grace), "stop pod");
    return core_->AwaitExit(grace + kStopMargin);
  }

  absl::Status BeginStop(absl::Duration grace) override {
    return Annotate(core_->SendStop(grace), "stop pod");
  }

  absl::Status WaitProcesses(absl::Duration timeout) override {
    return core_->AwaitInitEnd(timeout);
  }

  std::vector<BootPhase> phases() const override {
    return core_->state().phases;
  }

  absl::StatusOr<PodUsage> Usage() const override {
    if (!core_->parts().cgroup.Exists()) {
      return absl::FailedPreconditionError("pod has ended: it uses nothing");
    }
    return ReadStatistics(core_->parts().cgroup);
  }

  absl::Status ChangeLimits(const CgroupLimits& limits) override {
    return core_->parts().cgroup.ChangeLimits(limits);
  }

  absl::Status Freeze() override {
    absl::Status frozen = core_->parts().cgroup.Freeze(kFreezeTimeout);
    if (absl::IsDeadlineExceeded(frozen)) Thaw().IgnoreError();
    return frozen;
  }

  absl::Status Thaw() override { return core_->parts().cgroup.Thaw(); }

  absl::StatusOr<std::unique_ptr<ExecSession>> AttachConsole(
      bool typing) override {
    absl::StatusOr<std::unique_ptr<ExecSession>> console = ConnectToConsole(
        ShimSocketPath(core_->parts().runtime_dir), typing, kAttachTimeout);
    if (absl::IsNotFound(console.status()) ||
        absl::IsUnavailable(console.status())) {
      return absl::FailedPreconditionError("pod has ended: it has no console");
    }
    return console;
  }

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace

std::unique_ptr<PodProcess> FollowPod(PodProcessParts parts, ShimState state,
                                      UniqueFd socket, UniqueFd shim_pidfd) {
  EventThread* events = parts.events;
  auto core = std::make_shared<Core>(std::move(parts), std::move(state),
                                     std::move(socket), std::move(shim_pidfd));
  // Not waited for: the caller may hold a lock that its listener takes.
  events->Post([core] { core->Follow(); });
  return std::make_unique<PodProcessImpl>(std::move(core));
}

std::unique_ptr<PodProcess> EndedPod(PodProcessParts parts, ShimState state,
                                     PodExit exit) {
  EventThread* events = parts.events;
  auto core = std::make_shared<Core>(std::move(parts), std::move(state),
                                     UniqueFd(), UniqueFd());
  events->Post([core, exit] { core->End(exit); });
  return std::make_unique<PodProcessImpl>(std::move(core));
}

absl::StatusOr<PodExit> EndLostPod(const PodProcessParts& parts,
                                   const ProcessIdentity& init) {
  absl::StatusOr<ProcessHandle> held = absl::NotFoundError("not known");
  if (init.pid > 0) held = ProcessHandle::Open(init);
  RETURN_IF_ERROR(parts.cgroup.KillAll(kKillTimeout));
  // It leaves its cgroup before it ends its namespace and itself.
  if (held.ok()) RETURN_IF_ERROR(held->WaitForExit(kKillTimeout), "end PID 1");
  PodExit exit;
  exit.oom_killed = parts.cgroup.OomKills() > 0;
  exit.at = absl::Now();
  RETURN_IF_ERROR(WriteFileAtomic(ExitRecordPath(parts.state_dir),
                                  FormatExitRecord(exit), 0640));
  RETURN_IF_ERROR(parts.home->Remove(parts.pod_id, parts.cgroup));
  RETURN_IF_ERROR(RemoveUnixExport(UnixExportPath(parts.runtime_dir)));
  RETURN_IF_ERROR(RemoveFile(ShimSocketPath(parts.runtime_dir)));
  return exit;
}

}  // namespace davit
