#include "runtime/app/launcher/run.h"

#include <fcntl.h>
#include <syslog.h>
#include <unistd.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/app/app.h"
#include "runtime/app/launcher/app_plan_file.h"
#include "runtime/app/launcher/app_root.h"
#include "runtime/app/launcher/execute.h"
#include "runtime/app/launcher/journal_stream.h"
#include "runtime/app/launcher/restrictions.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr int kSetUpFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

// What StartAll waits for: a writer of the fifo that is gone after execve(2) or
// exit. No fifo, or nobody who reads it, is fine.
UniqueFd OpenStartFifo(const std::string& name) {
  return UniqueFd(open(AppFileInPod(name, ".start").c_str(),
                       O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
}

// Open before privileges are dropped; empty as long as nothing is wrong.
UniqueFd OpenErrorFile(const std::string& name) {
  return UniqueFd(open(AppFileInPod(name, ".error").c_str(),
                       O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                       0600));
}

// Lines on fd 2 get priority "err", so that the streams can be told apart; one
// merged stream is better than none if journald is not there.
void SeparateStderr(const std::string& name) {
  absl::StatusOr<UniqueFd> stream =
      OpenJournalStream(name, AppUnitName(name), LOG_ERR);
  if (stream.ok()) dup2(stream->get(), STDERR_FILENO);
}

absl::Status Prepare(const AppSpec& app) {
  RETURN_IF_ERROR(EnterAppRoot(app), "set up root");
  if (chdir(app.working_dir.c_str()) < 0) {
    return ErrnoError("chdir(%s)", app.working_dir);
  }
  RETURN_IF_ERROR(ResetProcess());
  return ApplyRestrictions(app);
}

// Returns only on failure.
std::pair<int, absl::Status> BecomeApp(const std::string& name) {
  absl::StatusOr<AppSpec> app = ReadAppPlan(name);
  if (!app.ok()) return {kSetUpFailed, app.status()};
  absl::Status prepared = Prepare(*app);
  if (!prepared.ok()) return {kSetUpFailed, prepared};
  AddHome(app->uid, app->env);
  absl::Status failure = Execute(app->argv, app->env);
  return {absl::IsNotFound(failure) ? kNotFound : kNotExecutable, failure};
}

}  // namespace

int RunApp(const std::string& name) {
  UniqueFd fifo = OpenStartFifo(name);
  UniqueFd error_file = OpenErrorFile(name);
  SeparateStderr(name);
  auto [exit_code, failure] = BecomeApp(name);
  WriteAll(STDERR_FILENO, absl::StrCat("davit-app: app \"", name,
                                       "\": ", failure.message(), "\n"))
      .IgnoreError();
  if (error_file) {
    WriteAll(error_file.get(), failure.message()).IgnoreError();
  }
  return exit_code;
}

}  // namespace davit
