#include "net/cni/exec.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "net/cni/one_line.h"
#include "net/cni/result.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"

namespace davit {
namespace {

constexpr size_t kOutputLimit = 1 << 20;
// A status becomes a gRPC trailer, and those are refused past 8 KiB.
constexpr size_t kShownLimit = 2048;
constexpr absl::Duration kFirstBusyPause = absl::Milliseconds(10);
constexpr absl::Duration kLastBusyPause = absl::Seconds(1);
constexpr char kPath[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

std::string Shown(absl::string_view text) { return OneLine(text, kShownLimit); }

std::vector<std::string> Environment(const std::string& command,
                                     const CniAttachment& attachment,
                                     const std::vector<std::string>& dirs) {
  return {absl::StrCat("CNI_COMMAND=", command),
          absl::StrCat("CNI_CONTAINERID=", attachment.container_id),
          absl::StrCat("CNI_NETNS=", attachment.netns),
          absl::StrCat("CNI_IFNAME=", attachment.ifname),
          absl::StrCat("CNI_ARGS=", absl::StrJoin(attachment.args, ";",
                                                  absl::PairFormatter("="))),
          absl::StrCat("CNI_PATH=", absl::StrJoin(dirs, ":")),
          kPath};
}

// Execs through "text file busy": whoever installs a plugin may have it open
// for writing still, or a child that was forked meanwhile may. Nothing tells
// when that ends (inotify reports IN_CLOSE_WRITE before the kernel lets go of
// the file), hence the pauses: 10 ms, doubled, 1.3 s in all.
absl::StatusOr<SubprocessResult> RunWhenNotBusy(const SubprocessSpec& spec) {
  absl::Status busy = ErrorNumber(ETXTBSY, "execve(%s)", spec.path);
  for (absl::Duration pause = kFirstBusyPause;; pause *= 2) {
    absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
    if (result.status() != busy || pause > kLastBusyPause) return result;
    absl::SleepFor(pause);
  }
}

absl::Status FailureOf(const SubprocessResult& result) {
  absl::StatusCode code = absl::StatusCode::kInternal;
  std::string message;
  std::optional<CniError> error = ParseCniError(result.out);
  if (error.has_value()) {
    code = StatusCodeOfCniError(error->code);
    message = absl::StrCat("code ", error->code, ": ", Shown(error->msg));
    if (!error->details.empty()) {
      absl::StrAppend(&message, "; ", Shown(error->details));
    }
  } else {
    message = result.DescribeExit();
    std::string out = Shown(result.out);
    absl::StrAppend(&message,
                    out.empty() ? " with no error message" : "; stdout: ", out);
  }
  std::string err = Shown(result.err);
  if (!err.empty()) absl::StrAppend(&message, "; stderr: ", err);
  return absl::Status(code, message);
}

// The codes of execve(2) tell of files, not of what our caller asked for.
absl::Status CannotRun(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status) || absl::IsResourceExhausted(status)) {
    return status;
  }
  return absl::FailedPreconditionError(status.message());
}

}  // namespace

absl::StatusOr<std::string> CniExec::Find(const std::string& type) const {
  for (const std::string& dir : options_.plugin_dirs) {
    std::string path = absl::StrCat(dir, "/", type);
    struct stat st;
    if (stat(path.c_str(), &st) < 0 || !S_ISREG(st.st_mode)) continue;
    if (access(path.c_str(), X_OK) == 0) return path;
    return absl::FailedPreconditionError(
        absl::StrCat("plugin \"", type, "\": ", path, " is not executable"));
  }
  return absl::NotFoundError(
      absl::StrCat("plugin \"", type, "\" is in none of the directories [",
                   absl::StrJoin(options_.plugin_dirs, ", "), "]"));
}

absl::StatusOr<std::string> CniExec::Run(const std::string& type,
                                         const std::string& command,
                                         const CniAttachment& attachment,
                                         const std::string& config) const {
  ASSIGN_OR_RETURN(std::string path, Find(type));
  absl::Time start = absl::Now();
  absl::StatusOr<std::string> out =
      RunProgram(path, command, attachment, config);
  absl::Status outcome =
      Annotate(out.status(),
               absl::StrCat("plugin \"", type, "\" (", path, ") ", command));
  if (options_.observer != nullptr) {
    options_.observer->OnPluginCall(type, command, absl::Now() - start,
                                    outcome);
  }
  if (!outcome.ok()) return outcome;
  return out;
}

absl::StatusOr<std::string> CniExec::RunProgram(
    const std::string& path, const std::string& command,
    const CniAttachment& attachment, const std::string& config) const {
  SubprocessSpec spec;
  spec.path = path;
  spec.argv = {path};
  spec.env = Environment(command, attachment, options_.plugin_dirs);
  spec.stdin_data = config;
  spec.netns_fd = options_.netns_fd;
  spec.timeout = options_.timeout;
  spec.output_limit = kOutputLimit;
  absl::StatusOr<SubprocessResult> result = RunWhenNotBusy(spec);
  if (!result.ok()) return CannotRun(result.status());
  if (!result->ExitedWith(0)) return FailureOf(*result);
  return std::move(result->out);
}

}  // namespace davit
