#include "runtime/app/launcher/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/app/app.h"
#include "runtime/app/launcher/app_plan_file.h"
#include "runtime/app/launcher/exec_channel.h"
#include "runtime/app/launcher/exec_world.h"
#include "runtime/app/launcher/execute.h"
#include "runtime/app/launcher/restrictions.h"
#include "runtime/app/plan_codec.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// The world of the pod itself, as an app: root, everything the pod has.
AppSpec PodWorld() {
  AppSpec world;
  world.privileged = true;
  world.env = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:"
      "/bin",
      "USER=root", "LOGNAME=root"};
  return world;
}

// Later entries win; the order is that of first appearance.
std::vector<std::string> MergeEnvironment(
    std::vector<std::string> env, const std::vector<std::string>& more) {
  for (const std::string& entry : more) {
    std::string key = entry.substr(0, entry.find('=')) + "=";
    auto same = [&key](const std::string& old) {
      return old.compare(0, key.size(), key) == 0;
    };
    std::erase_if(env, same);
    env.push_back(entry);
  }
  return env;
}

std::vector<std::string> CommandEnvironment(const AppSpec& app,
                                            const ExecPlan& plan) {
  std::vector<std::string> env = app.env;
  if (plan.tty && EnvironmentValue(env, "TERM").empty()) {
    env = MergeEnvironment(env, {"TERM=xterm"});
  }
  env = MergeEnvironment(env, plan.env);
  AddHome(app.uid, env);
  return env;
}

// The environment that systemd and PAM have given us; without what is ours
// alone.
std::vector<std::string> LoginEnvironment(const ExecPlan& plan) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    absl::string_view text = *entry;
    if (absl::StartsWith(text, "INVOCATION_ID=") ||
        absl::StartsWith(text, "JOURNAL_STREAM=") ||
        absl::StartsWith(text, "SYSTEMD_EXEC_PID=")) {
      continue;
    }
    env.emplace_back(text);
  }
  std::string term = EnvironmentValue(env, "TERM");
  if (plan.tty && (term.empty() || term == "dumb" || term == "linux")) {
    env = MergeEnvironment(env, {"TERM=xterm"});
  }
  return MergeEnvironment(env, plan.env);
}

// A login: systemd has made us the user, in its home directory.
absl::Status BecomeLogin(const ExecJob& job) {
  RETURN_IF_ERROR(SetUpStreams(job, getuid()));
  RETURN_IF_ERROR(ResetProcess());
  std::vector<std::string> env = LoginEnvironment(job.plan);
  if (!job.plan.argv.empty()) return ExecuteInPath(job.plan.argv, env);
  std::string shell = EnvironmentValue(env, "SHELL");
  if (shell.empty()) shell = "/bin/sh";
  // "-sh": what every shell takes for a login.
  return ExecuteAs(shell, {"-" + shell.substr(shell.rfind('/') + 1)}, env);
}

// In the child: becomes the command; returns only on failure.
absl::Status BecomeCommand(const ExecJob& job) {
  if (job.plan.login) return BecomeLogin(job);
  AppSpec app = PodWorld();
  if (!job.plan.app.empty()) {
    ASSIGN_OR_RETURN(app, ReadAppPlan(job.plan.app));
    RETURN_IF_ERROR(EnterAppWorld(job.plan.app, job.plan.main_pid));
  }
  RETURN_IF_ERROR(SetUpStreams(job, app.uid));
  if (chdir(app.working_dir.c_str()) < 0) {
    return ErrnoError("chdir(%s)", app.working_dir);
  }
  RETURN_IF_ERROR(ResetProcess());
  RETURN_IF_ERROR(ApplyRestrictions(app));
  return ExecuteInPath(job.plan.argv, CommandEnvironment(app, job.plan));
}

// Forks the command and returns its pid once it has been executed.
absl::StatusOr<pid_t> StartCommand(const ExecJob& job) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  UniqueFd report(ends[0]), failure(ends[1]);
  pid_t child = fork();
  if (child < 0) return ErrnoError("fork");
  if (child == 0) {
    absl::Status error = BecomeCommand(job);
    WriteAll(failure.get(), EncodeExecReply({.kind = ExecReply::Kind::kFailed,
                                             .error = error}))
        .IgnoreError();
    _exit(127);
  }
  failure.Reset();
  // The end of the pipe with nothing in it: execve(2) has closed the other.
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(report.get(), kMaxExecReply));
  if (bytes.empty()) return child;
  waitpid(child, nullptr, 0);
  ASSIGN_OR_RETURN(ExecReply reply, DecodeExecReply(bytes));
  return reply.error;
}

absl::StatusOr<UniqueFd> CatchSignals() {
  sigset_t caught;
  sigemptyset(&caught);
  sigaddset(&caught, SIGCHLD);
  sigaddset(&caught, SIGTERM);
  if (sigprocmask(SIG_BLOCK, &caught, nullptr) < 0) {
    return ErrnoError("sigprocmask");
  }
  UniqueFd fd(signalfd(-1, &caught, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return ErrnoError("signalfd");
  return fd;
}

// One order of the session's owner; false once it is gone.
bool ObeyOwner(int channel, pid_t command) {
  char buffer[256];
  ssize_t size = recv(channel, buffer, sizeof(buffer), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (size <= 0) {
    KillSession(command);
    return false;
  }
  absl::StatusOr<int> signal =
      DecodeExecSignal(absl::string_view(buffer, static_cast<size_t>(size)));
  if (!signal.ok()) return true;
  if (*signal == SIGKILL) {
    KillSession(command);
  } else {
    // Its process group: what ^C reaches in a terminal.
    kill(-command, *signal);
  }
  return true;
}

// Our own end is asked for (the pod shuts down): take the command along.
void ReadSignals(int signals, pid_t command) {
  signalfd_siginfo info;
  while (read(signals, &info, sizeof(info)) == sizeof(info)) {
    if (info.ssi_signo == SIGTERM) KillSession(command);
  }
}

// Waits for the command's end; its wait status.
absl::StatusOr<int> Supervise(int channel, int signals, pid_t command) {
  pollfd events[2] = {{signals, POLLIN, 0}, {channel, POLLIN, 0}};
  for (;;) {
    int status;
    pid_t ended = waitpid(command, &status, WNOHANG);
    if (ended == command) return status;
    if (ended < 0) return ErrnoError("waitpid(%d)", command);
    if (poll(events, 2, -1) < 0 && errno != EINTR) return ErrnoError("poll");
    if (events[0].revents != 0) ReadSignals(signals, command);
    if (events[1].revents != 0 && !ObeyOwner(channel, command)) {
      events[1].fd = -1;
    }
  }
}

absl::Status Serve(int channel) {
  ASSIGN_OR_RETURN(UniqueFd signals, CatchSignals());
  pid_t command;
  {
    // The streams are the command's alone: their ends must be seen.
    ASSIGN_OR_RETURN(ExecJob job, ReceiveExecJob(channel));
    ASSIGN_OR_RETURN(command, StartCommand(job));
  }
  RETURN_IF_ERROR(SendExecReply(channel, {.kind = ExecReply::Kind::kStarted}));
  ASSIGN_OR_RETURN(int status, Supervise(channel, signals.get(), command));
  return SendExecReply(
      channel, {.kind = ExecReply::Kind::kExited, .wait_status = status});
}

}  // namespace

int ServeExec() {
  UniqueFd channel(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
  absl::Status status = Serve(channel.get());
  if (status.ok()) return 0;
  absl::Status sent = SendExecReply(
      channel.get(), {.kind = ExecReply::Kind::kFailed, .error = status});
  // An owner that is gone wants no answer.
  return sent.ok() ? 0 : 1;
}

}  // namespace davit
