#include "tests/support/shell.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

std::string FindProgram(const std::string& name) {
  if (name.find('/') != std::string::npos) return name;
  for (const char* dir : {"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}) {
    if (access((dir + name).c_str(), X_OK) == 0) return dir + name;
  }
  return name;
}

}  // namespace

ShellResult RunProgram(const std::vector<std::string>& argv,
                       const std::string& netns, const std::string& input,
                       absl::Duration timeout) {
  SubprocessSpec spec;
  spec.path = FindProgram(argv[0]);
  spec.argv = argv;
  spec.env = {"PATH=/usr/bin:/usr/sbin:/bin:/sbin", "LANG=C", "HOME=/root"};
  spec.stdin_data = input;
  spec.timeout = Patience(timeout);
  spec.output_limit = 64 << 20;
  UniqueFd ns;
  if (!netns.empty()) {
    ns.Reset(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    spec.netns_fd = ns.get();
    if (!ns) return {-1, "", "cannot open " + netns};
  }
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  if (!result.ok()) return {-1, "", result.status().ToString()};
  int code = WIFEXITED(result->wait_status)
                 ? WEXITSTATUS(result->wait_status)
                 : 128 + WTERMSIG(result->wait_status);
  return {code, result->out, result->err};
}

ShellResult Sh(const std::string& script, const std::string& netns) {
  return RunProgram({"sh", "-c", script}, netns);
}

}  // namespace davit::testing
