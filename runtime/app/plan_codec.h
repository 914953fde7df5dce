#ifndef DAVIT_RUNTIME_APP_PLAN_CODEC_H_
#define DAVIT_RUNTIME_APP_PLAN_CODEC_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/app/app.h"

// The wire forms of proto/internal/app/v1, and the only place that names its
// classes. Decoders meet bytes that a pod may have written: they answer
// InvalidArgument, and never trust a value.

namespace davit {

// Of an AppSpec, what davit-app needs: all but the stop signal, the grace
// period and the restart policy, which are in the unit.
std::string EncodeAppPlan(const AppSpec& app);
absl::StatusOr<AppSpec> DecodeAppPlan(absl::string_view bytes);

// What davit-app exec shall run.
struct ExecPlan {
  std::string app;     // empty: the pod's own world
  pid_t main_pid = 0;  // of the app, in the pod's pid namespace
  std::vector<std::string> argv;
  std::vector<std::string> env;
  bool tty = false;
  bool stdin_open = false;
  bool login = false;  // we are its user already, with its environment
  bool operator==(const ExecPlan&) const = default;
};

std::string EncodeExecPlan(const ExecPlan& plan);
absl::StatusOr<ExecPlan> DecodeExecPlan(absl::string_view bytes);

// What davit-app exec answers.
struct ExecReply {
  enum class Kind { kStarted, kFailed, kExited };
  Kind kind = Kind::kStarted;
  absl::Status error;   // kFailed: never OK
  int wait_status = 0;  // kExited: as waitpid(2) gives it
};

// No reply is longer, encoded; messages are cut to fit.
inline constexpr size_t kMaxExecReply = 8192;

std::string EncodeExecReply(const ExecReply& reply);
absl::StatusOr<ExecReply> DecodeExecReply(absl::string_view bytes);

std::string EncodeExecSignal(int signal);
// InvalidArgument also for what is no signal's number.
absl::StatusOr<int> DecodeExecSignal(absl::string_view bytes);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_PLAN_CODEC_H_
