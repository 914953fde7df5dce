#include "runtime/app/testing/test_pod.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {
namespace {

// True while the stream is open.
bool Slurp(int fd, std::string& into) {
  char buffer[65536];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof(buffer))) > 0) {
    into.append(buffer, static_cast<size_t>(size));
  }
  // EIO is how a terminal ends.
  return size < 0 && errno == EAGAIN;
}

void Feed(ExecSession& session, absl::string_view& input) {
  if (session.stdin_fd() < 0) return;
  if (!input.empty()) {
    ssize_t size = write(session.stdin_fd(), input.data(), input.size());
    if (size > 0) input.remove_prefix(static_cast<size_t>(size));
    if (size < 0 && errno != EAGAIN) input = "";
  }
  if (input.empty()) session.CloseStdin();
}

}  // namespace

AppSpec ShellApp(const std::string& name, const std::string& script) {
  AppSpec app;
  app.name = name;
  app.argv = {"/bin/sh", "-c", script};
  app.env = {"PATH=/bin"};
  app.restart = RestartPolicy::kNever;
  app.stop_grace = absl::Seconds(2);
  return app;
}

absl::StatusOr<std::string> TestPod::ReadAppFile(
    const std::string& app, const std::string& path) const {
  return ReadFile(
      absl::StrCat("/proc/", ref().init.pid, "/root", AppRootInPod(app), path));
}

absl::StatusOr<AppStatus> TestPod::AwaitStatus(
    const std::string& app, const std::function<bool(const AppStatus&)>& wanted,
    absl::Duration timeout) {
  absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    ASSIGN_OR_RETURN(AppStatus status, apps().GetStatus(ref(), app));
    if (wanted(status) || absl::Now() > deadline) return status;
    absl::SleepFor(absl::Milliseconds(50));
  }
}

absl::StatusOr<ExecResult> Finish(ExecSession& session,
                                  const std::string& input) {
  ExecResult result;
  absl::string_view left = input;
  pollfd events[3] = {{session.stdout_fd(), POLLIN, 0},
                      {session.stderr_fd(), POLLIN, 0},
                      {session.stdin_fd(), POLLOUT, 0}};
  while (events[0].fd >= 0 || events[1].fd >= 0) {
    if (poll(events, 3, 20000) == 0) {
      return absl::DeadlineExceededError("streams stay open");
    }
    if (events[0].revents != 0 && !Slurp(events[0].fd, result.out)) {
      events[0].fd = -1;
    }
    if (events[1].revents != 0 && !Slurp(events[1].fd, result.err)) {
      events[1].fd = -1;
    }
    if (events[2].revents != 0) {
      Feed(session, left);
      events[2].fd = session.stdin_fd();
    }
  }
  ASSIGN_OR_RETURN(result.exit_code, session.Wait(absl::Seconds(20)));
  return result;
}

absl::StatusOr<ExecResult> RunExec(TestPod& pod, const ExecRequest& request,
                                   const std::string& input) {
  ASSIGN_OR_RETURN(std::unique_ptr<ExecSession> session,
                   pod.apps().Exec(pod.ref(), request));
  return Finish(*session, input);
}

int CountOpenFds() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

}  // namespace davit::testing
