#include "runtime/boot/shim/monitor.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unsynced_file.h"
#include "runtime/boot/shim/exit_status.h"
#include "runtime/boot/shim_record.h"
#include "runtime/boot/unix_export.h"

namespace davit {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// What a machine that shuts down gives its processes, at the least.
constexpr absl::Duration kTerminateGrace = absl::Seconds(10);

// Wall-clock time may jump while a stop is under way.
absl::Time MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::TimeFromTimespec(now);
}

absl::StatusOr<UniqueFd> SignalFdOf(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError("signalfd(%d)", signal);
  return fd;
}

}  // namespace

Monitor::Monitor(Epoll& epoll, MonitoredPod pod, StartedPod started,
                 ConsoleLog log, ShimState state)
    : epoll_(epoll),
      pod_(std::move(pod)),
      started_(std::move(started)),
      notify_(std::move(started_.notify), started_.init.pid),
      log_(std::move(log)),
      hub_(epoll, started_.console.get()),
      state_(std::move(state)),
      control_(epoll,
               {.stop = [this](absl::Duration grace) { Stop(grace); },
                .attach = [this](UniqueFd fd) { hub_.Add(std::move(fd)); },
                .resize =
                    [this](uint16_t rows, uint16_t columns) {
                      winsize size = {.ws_row = rows, .ws_col = columns};
                      ioctl(started_.console.get(), TIOCSWINSZ, &size);
                    }}) {
  state_.init = started_.init;
  for (BootPhase& phase : started_.phases) {
    state_.phases.push_back(std::move(phase));
  }
}

absl::Status Monitor::Begin(UniqueFd listener) {
  RETURN_IF_ERROR(Watch());
  RETURN_IF_ERROR(WatchTtys());
  // The record first: who hears of the start may count on it.
  RETURN_IF_ERROR(WriteRecord());
  Publish();
  return control_.Serve(std::move(listener));
}

void Monitor::Adopt(UniqueFd client) {
  // An agent that died meanwhile comes back by the socket.
  control_.Adopt(std::move(client)).IgnoreError();
}

absl::Status Monitor::Watch() {
  ASSIGN_OR_RETURN(terminate_, SignalFdOf(SIGTERM));
  RETURN_IF_ERROR(epoll_.Add(started_.pidfd.get(), EPOLLIN,
                             [this](uint32_t) { ended_ = true; }));
  // Edge-triggered: while nobody has the slave open the master hangs up, and a
  // level would report that for ever.
  RETURN_IF_ERROR(epoll_.Add(started_.console.get(),
                             EPOLLIN | EPOLLOUT | EPOLLET,
                             [this](uint32_t events) { OnConsole(events); }));
  RETURN_IF_ERROR(epoll_.Add(notify_.fd(), EPOLLIN, [this](uint32_t) {
    notify_.Drain([this](const NotifyMessage& m) { OnNotify(m); });
  }));
  return epoll_.Add(terminate_.get(), EPOLLIN,
                    [this](uint32_t) { OnTerminate(); });
}

void Monitor::OnConsole(uint32_t events) {
  DrainConsole();
  if (events & EPOLLOUT) hub_.OnConsoleWritable();
}

void Monitor::DrainConsole() {
  log_.DrainFrom(started_.console.get(),
                 [this](absl::string_view data) { hub_.Show(data); });
}

absl::Status Monitor::WatchTtys() {
  for (const UniqueFd& tty : started_.ttys) {
    int fd = tty.get();
    // Nobody is attached to it: what a getty prints there is lost, but must not
    // block it.
    RETURN_IF_ERROR(epoll_.Add(fd, EPOLLIN | EPOLLET, [fd](uint32_t) {
      char discarded[4096];
      while (read(fd, discarded, sizeof(discarded)) > 0 || errno == EINTR) {
      }
    }));
  }
  return absl::OkStatus();
}

absl::Status Monitor::Run() {
  while (!ended_) {
    absl::Duration timeout = absl::InfiniteDuration();
    if (stop_.next_wakeup() < absl::InfiniteFuture()) {
      timeout = stop_.next_wakeup() - MonotonicNow();
    }
    RETURN_IF_ERROR(epoll_.Wait(timeout));
    ContinueStop();
  }
  return Finish();
}

void Monitor::OnNotify(const NotifyMessage& message) {
  bool became_ready = message.ready && !state_.ready;
  bool changed = became_ready;
  if (message.ready || message.signals_level >= 2) stop_.OnCanTakeSignal();
  if (message.stopping) stop_.OnStopping();
  if (message.status.has_value() && *message.status != state_.status) {
    state_.status = *message.status;
    changed = true;
  }
  if (became_ready) {
    state_.ready = true;
    state_.phases.push_back({"ready", absl::Now()});
  }
  if (changed) Publish();
  // Only the phases change; the record is right without them.
  if (became_ready) WriteRecord().IgnoreError();
}

void Monitor::OnTerminate() {
  signalfd_siginfo info;
  while (read(terminate_.get(), &info, sizeof(info)) == sizeof(info)) {
  }
  Stop(kTerminateGrace);
}

void Monitor::Stop(absl::Duration grace) {
  stop_.Request(MonotonicNow(), grace);
  ContinueStop();
}

void Monitor::ContinueStop() {
  switch (stop_.Next(MonotonicNow())) {
    case StopSequence::Action::kNone:
      return;
    case StopSequence::Action::kSignal:
      // Systemd's "halt" for containers (systemd(1), SIGRTMIN+3).
      syscall(SYS_pidfd_send_signal, started_.pidfd.get(), SIGRTMIN + 3,
              nullptr, 0);
      return;
    case StopSequence::Action::kKill:
      // If something cannot be killed now, Finish() tries again.
      pod_.cgroup.Kill(kKillTimeout).IgnoreError();
      syscall(SYS_pidfd_send_signal, started_.pidfd.get(), SIGKILL, nullptr, 0);
      return;
  }
}

absl::Status Monitor::Finish() {
  int wait_status = 0;
  while (waitpid(started_.init.pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  // Whoever waits for nothing but the processes need not wait for the rest.
  state_.init_ended = true;
  Publish();
  PodExit exit = ExitOfWaitStatus(wait_status);
  exit.at = absl::Now();
  exit.stop_requested = stop_.requested();
  // With PID 1 its namespace ended; what joined the cgroup from outside did
  // not.
  absl::Status killed = pod_.cgroup.Kill(kKillTimeout);
  exit.oom_killed = pod_.cgroup.OomKills() > 0;
  DrainConsole();
  absl::Status written = WriteExit(exit);
  absl::Status closed = RemoveUnixExport(UnixExportPath(pod_.runtime_dir));
  absl::Status removed = RemoveCgroups();
  RETURN_IF_ERROR(RemoveFile(ShimSocketPath(pod_.runtime_dir)));
  state_.exit = exit;
  Publish();
  // All was tried; the agent sees by the files what did not work.
  RETURN_IF_ERROR(killed);
  RETURN_IF_ERROR(written);
  RETURN_IF_ERROR(closed);
  return removed;
}

// An agent that follows us writes its own, so that ours is for the case that it
// dies now, and not for the machine's.
absl::Status Monitor::WriteExit(const PodExit& exit) const {
  const std::string path = ExitRecordPath(pod_.state_dir);
  const std::string text = FormatExitRecord(exit);
  if (control_.has_clients()) return WriteFileUnsynced(path, text, 0640);
  return WriteFileAtomic(path, text, 0640);
}

// An agent that follows us removes them once we are gone: that is sooner than
// the kernel moves us out of them. One that dies now does it when it is back.
absl::Status Monitor::RemoveCgroups() const {
  if (control_.has_clients()) return absl::OkStatus();
  absl::Status removed = pod_.cgroup.LeaveSupervisor();
  removed.Update(pod_.cgroup.Remove());
  return removed;
}

absl::Status Monitor::WriteRecord() const {
  return WriteFileAtomic(
      ShimRecordPath(pod_.runtime_dir),
      FormatShimRecord(pod_.pod_id, pod_.host_boot_id, state_), 0600);
}

}  // namespace davit
