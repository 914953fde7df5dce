#include "runtime/app/fake_pod_apps.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

struct Pipe {
  UniqueFd read, write;
};

Pipe NewPipe() {
  int ends[2] = {-1, -1};
  if (pipe2(ends, O_CLOEXEC) < 0) return {};
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

void SetNonBlocking(const UniqueFd& fd) {
  fcntl(fd.get(), F_SETFL, O_NONBLOCK);
}

// The "command" is a thread: writes what was scripted, copies its stdin, ends.
class FakeSession : public ExecSession {
 public:
  FakeSession(const FakeExec& exec, const ExecRequest& request)
      : tty_(request.tty), ended_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    Pipe in = NewPipe(), out = NewPipe(), err = NewPipe();
    if (request.stdin_open) stdin_ = std::move(in.write);
    stdout_ = std::move(out.read);
    if (!tty_) stderr_ = std::move(err.read);
    for (const UniqueFd* fd : {&stdin_, &stdout_, &stderr_}) {
      SetNonBlocking(*fd);
    }
    command_ = std::thread([this, exec, in = std::move(in.read),
                            out = std::move(out.write),
                            err = std::move(err.write)]() mutable {
      // A reader that leaves is an error of write(2), not a signal.
      sigset_t pipe;
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      WriteAll(out.get(), exec.out).IgnoreError();
      WriteAll(tty_ ? out.get() : err.get(), exec.err).IgnoreError();
      if (exec.echo_stdin) Copy(in.get(), out.get());
      out.Reset();
      err.Reset();
      End(exec.exit_code);
    });
  }

  ~FakeSession() override {
    stdin_.Reset();
    stdout_.Reset();
    stderr_.Reset();
    command_.join();
  }

  int stdin_fd() const override { return stdin_.get(); }
  int stdout_fd() const override { return stdout_.get(); }
  int stderr_fd() const override { return stderr_.get(); }
  int wait_fd() const override { return ended_.get(); }
  void CloseStdin() override { stdin_.Reset(); }

  absl::Status Resize(unsigned, unsigned) override {
    if (tty_) return absl::OkStatus();
    return absl::FailedPreconditionError("the command has no terminal");
  }

  absl::Status Kill(int signal) override {
    End(128 + signal);
    return absl::OkStatus();
  }

  absl::StatusOr<int> Wait(absl::Duration timeout) override {
    absl::MutexLock lock(&mu_);
    if (!mu_.AwaitWithTimeout(absl::Condition(this, &FakeSession::HasEnded),
                              timeout)) {
      return absl::DeadlineExceededError("the command still runs");
    }
    return *exit_code_;
  }

 private:
  bool HasEnded() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return exit_code_.has_value();
  }

  static void Copy(int in, int out) {
    char buffer[4096];
    ssize_t size;
    while ((size = read(in, buffer, sizeof(buffer))) > 0) {
      absl::string_view data(buffer, static_cast<size_t>(size));
      if (!WriteAll(out, data).ok()) return;
    }
  }

  void End(int code) {
    absl::MutexLock lock(&mu_);
    if (exit_code_.has_value()) return;
    exit_code_ = code;
    uint64_t one = 1;
    [[maybe_unused]] ssize_t written = write(ended_.get(), &one, sizeof(one));
  }

  const bool tty_;
  const UniqueFd ended_;
  UniqueFd stdin_, stdout_, stderr_;
  absl::Mutex mu_;
  std::optional<int> exit_code_ ABSL_GUARDED_BY(mu_);
  std::thread command_;
};

}  // namespace

void FakePodApps::SetStatus(const std::string& pod_id, const std::string& app,
                            const AppStatus& status) {
  StatusCallback callback;
  {
    absl::MutexLock lock(&mu_);
    statuses_[{pod_id, app}] = status;
    auto watcher = watchers_.find(pod_id);
    if (watcher != watchers_.end() &&
        std::count(watcher->second.apps.begin(), watcher->second.apps.end(),
                   app) > 0) {
      callback = watcher->second.callback;
    }
  }
  if (callback) callback(pod_id, app, status);
}

void FakePodApps::SetSystemState(const std::string& pod_id, SystemState state) {
  absl::MutexLock lock(&mu_);
  states_[pod_id] = std::move(state);
}

void FakePodApps::SetExec(const std::string& command, FakeExec exec) {
  absl::MutexLock lock(&mu_);
  execs_[command] = std::move(exec);
}

void FakePodApps::FailNext(const std::string& method, absl::Status error) {
  absl::MutexLock lock(&mu_);
  failures_[method] = std::move(error);
}

std::vector<std::string> FakePodApps::Calls() const {
  absl::MutexLock lock(&mu_);
  return calls_;
}

bool FakePodApps::IsWatched(const std::string& pod_id) const {
  absl::MutexLock lock(&mu_);
  return watchers_.count(pod_id) > 0;
}

absl::Status FakePodApps::Begin(const std::string& method,
                                const std::string& call) {
  calls_.push_back(absl::StrCat(method, " ", call));
  auto failure = failures_.extract(method);
  return failure.empty() ? absl::OkStatus() : failure.mapped();
}

absl::StatusOr<PodApps::StartedApps> FakePodApps::StartAll(
    const PodRef& pod, const std::vector<std::string>& apps, absl::Duration) {
  std::vector<std::string> waiting;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(Begin(
        "StartAll", absl::StrCat(pod.pod_id, " ", absl::StrJoin(apps, ","))));
    for (const std::string& app : apps) {
      if (statuses_.count({pod.pod_id, app}) == 0) waiting.push_back(app);
    }
  }
  // Those that the test has not scripted run.
  for (const std::string& app : waiting) {
    AppStatus running;
    running.state = AppStatus::State::kRunning;
    running.started_at = absl::Now();
    running.main_pid = 2;
    SetStatus(pod.pod_id, app, running);
  }
  StartedApps started;
  absl::MutexLock lock(&mu_);
  for (const std::string& app : apps) {
    started.statuses.push_back(statuses_[{pod.pod_id, app}]);
  }
  started.system = StateOf(pod.pod_id);
  return started;
}

absl::StatusOr<AppStatus> FakePodApps::Stop(const PodRef& pod,
                                            const std::string& app,
                                            absl::Duration grace) {
  AppStatus status;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(Begin("Stop", absl::StrCat(pod.pod_id, " ", app, " ",
                                               absl::FormatDuration(grace))));
    auto known = statuses_.find({pod.pod_id, app});
    if (known == statuses_.end()) {
      return absl::NotFoundError(
          absl::StrFormat("app \"%s\" does not exist in the pod", app));
    }
    status = known->second;
    if (status.state == AppStatus::State::kTerminated) return status;
  }
  status.state = AppStatus::State::kTerminated;
  status.reason = "Error";
  status.signal = SIGTERM;
  status.exit_code = 128 + SIGTERM;
  status.finished_at = absl::Now();
  status.main_pid = 0;
  SetStatus(pod.pod_id, app, status);
  return status;
}

absl::Status FakePodApps::ChangeLimits(const PodRef& pod,
                                       const std::string& app,
                                       const AppLimits& limits) {
  absl::MutexLock lock(&mu_);
  return Begin("ChangeLimits", absl::StrCat(pod.pod_id, " ", app, " memory ",
                                            limits.memory_max_bytes));
}

absl::StatusOr<AppStatus> FakePodApps::GetStatus(const PodRef& pod,
                                                 const std::string& app) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Begin("GetStatus", absl::StrCat(pod.pod_id, " ", app)));
  auto known = statuses_.find({pod.pod_id, app});
  if (known == statuses_.end()) {
    return absl::NotFoundError(
        absl::StrFormat("app \"%s\" does not exist in the pod", app));
  }
  return known->second;
}

absl::Status FakePodApps::AwaitShutdown(const PodRef& pod, absl::Duration) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Begin("AwaitShutdown", pod.pod_id));
  return absl::UnavailableError("the fake never shuts down");
}

absl::StatusOr<PodApps::SystemState> FakePodApps::GetSystemState(
    const PodRef& pod) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(Begin("GetSystemState", pod.pod_id));
  return StateOf(pod.pod_id);
}

PodApps::SystemState FakePodApps::StateOf(const std::string& pod_id) const {
  auto known = states_.find(pod_id);
  return known == states_.end() ? SystemState{.state = "running"}
                                : known->second;
}

absl::Status FakePodApps::Watch(const PodRef& pod,
                                const std::vector<std::string>& apps,
                                StatusCallback callback) {
  std::vector<std::pair<std::string, AppStatus>> now;
  {
    absl::MutexLock lock(&mu_);
    RETURN_IF_ERROR(Begin(
        "Watch", absl::StrCat(pod.pod_id, " ", absl::StrJoin(apps, ","))));
    watchers_[pod.pod_id] = {apps, callback};
    for (const std::string& app : apps) {
      auto known = statuses_.find({pod.pod_id, app});
      if (known != statuses_.end()) now.emplace_back(app, known->second);
    }
  }
  for (const auto& [app, status] : now) callback(pod.pod_id, app, status);
  return absl::OkStatus();
}

void FakePodApps::Unwatch(const std::string& pod_id) {
  absl::MutexLock lock(&mu_);
  calls_.push_back("Unwatch " + pod_id);
  watchers_.erase(pod_id);
}

absl::StatusOr<std::unique_ptr<ExecSession>> FakePodApps::Exec(
    const PodRef& pod, const ExecRequest& request) {
  absl::MutexLock lock(&mu_);
  RETURN_IF_ERROR(
      Begin("Exec", absl::StrCat(pod.pod_id, " ", request.app, " ",
                                 absl::StrJoin(request.argv, " "))));
  if (request.argv.empty()) {
    return absl::InvalidArgumentError("argv: is empty");
  }
  auto known = execs_.find(request.argv[0]);
  if (known == execs_.end()) {
    return absl::NotFoundError(
        absl::StrFormat("\"%s\" is not in $PATH", request.argv[0]));
  }
  RETURN_IF_ERROR(known->second.error);
  return std::make_unique<FakeSession>(known->second, request);
}

}  // namespace davit
