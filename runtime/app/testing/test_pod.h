#ifndef DAVIT_RUNTIME_APP_TESTING_TEST_POD_H_
#define DAVIT_RUNTIME_APP_TESTING_TEST_POD_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/app.h"
#include "runtime/app/pod_apps.h"

namespace davit::testing {

// Why kernel tests with pods cannot run here; empty if they can.
std::string WhyNoPods();

// `script` run by the busybox shell of the app's root; never restarted.
AppSpec ShellApp(const std::string& name, const std::string& script);

// Whether the pod has a user namespace.
enum class PodUsers { kOfHost, kOwn };

// A real pod of $DAVIT_TEST_IMAGES/stage1.tar, booted and READY, with apps
// whose roots hold busybox in /bin, /out (mode 1777) and /etc/passwd. Stopped
// and removed with the object.
class TestPod {
 public:
  static absl::StatusOr<std::unique_ptr<TestPod>> Start(
      const std::vector<AppSpec>& apps, PodUsers users = PodUsers::kOfHost);
  virtual ~TestPod() = default;

  virtual PodRef ref() const = 0;
  virtual PodApps& apps() = 0;
  // The pod's /var/log/journal on the node.
  virtual std::string journal_dir() const = 0;
  // Ends the pod cleanly.
  virtual absl::Status Stop() = 0;

  // A file of the app's root, as the pod's root sees it now.
  absl::StatusOr<std::string> ReadAppFile(const std::string& app,
                                          const std::string& path) const;
  // Asks for the app's status until `wanted` holds or `timeout` has passed; the
  // last one.
  absl::StatusOr<AppStatus> AwaitStatus(
      const std::string& app,
      const std::function<bool(const AppStatus&)>& wanted,
      absl::Duration timeout = absl::Seconds(20));
};

// What a command wrote and how it ended.
struct ExecResult {
  int exit_code = -1;
  std::string out;
  std::string err;
};

// Runs a command to its end, feeding it `input` if stdin_open.
absl::StatusOr<ExecResult> RunExec(TestPod& pod, const ExecRequest& request,
                                   const std::string& input = "");

// Reads until the session's streams end.
absl::StatusOr<ExecResult> Finish(ExecSession& session,
                                  const std::string& input = "");

int CountOpenFds();

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_APP_TESTING_TEST_POD_H_
