// The order of a start as strace sees it (seeds/inspect-containers.txt):
// overlay, network namespace, its pin, the CNI plugin, the pod's namespaces,
// systemd, journald, the app. docs/inspect.md and tests/e2e/trace_start show it
// to a person.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "tests/e2e/test_node.h"

namespace davit::testing {
namespace {

// Without what strace prints once a call has ended: it may be interrupted there
// by another thread's.
struct Step {
  const char* name;
  std::vector<std::string> words;  // all on one line
};

// The index of the first line after `from` with all the words, or -1.
int Find(const std::vector<std::string>& lines, int from,
         const std::vector<std::string>& words) {
  for (size_t i = static_cast<size_t>(from); i < lines.size(); ++i) {
    bool all = true;
    for (const std::string& word : words) {
      all = all && absl::StrContains(lines[i], word);
    }
    if (all) return static_cast<int>(i);
  }
  return -1;
}

TEST(StartOrderTest, IsTheOneOfTheDesign) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root: traces a real pod";
  if (ImagesDirectory().empty()) {
    GTEST_SKIP() << "needs root images: run deploy/test, which makes them";
  }
  TestNode node;
  std::string trace = node.path("trace.txt");
  // Images first, untraced: an import mounts nothing, but takes long in strace.
  node.StartAgent();
  node.ImportImages();
  node.EndAgent(SIGTERM);
  node.StartAgent({"/usr/bin/strace", "-f", "-qq", "-s", "300", "-e",
                   "trace=unshare,clone,clone3,mount,move_mount,open_tree,"
                   "pivot_root,chroot,execve",
                   "-o", trace});
  node.MustCtl({"run", "traced", "--image", "localhost/davit/busybox:latest",
                "--command", "--", "/bin/sleep", "4242"});
  node.MustCtl({"delete", "traced", "--now"});
  // Not the tracer but what it traces must end, then strace does.
  Sh(absl::StrCat("kill $(cat /proc/", node.agent_pid(), "/task/",
                  node.agent_pid(), "/children)"));
  node.EndAgent(SIGCONT);

  ASSERT_TRUE(ReadFile(trace).ok());
  std::vector<std::string> lines =
      absl::StrSplit(*ReadFile(trace), '\n', absl::SkipEmpty());
  const std::vector<Step> kOrder = {
      {"root overlay", {"mount(\"overlay\"", "/rootfs\""}},
      {"app overlay", {"mount(\"overlay\"", "/opt/stage2/traced/rootfs\""}},
      {"network namespace", {"unshare(CLONE_NEWNET"}},
      {"its pin", {"mount(\"/proc/", "/ns/net\"", "/cni-", "MS_BIND"}},
      {"CNI plugin", {"execve(", "/ptp\""}},
      {"namespaces", {"clone3(", "CLONE_NEWPID"}},
      {"mount namespace", {"unshare(CLONE_NEWNS"}},
      {"new root", {"pivot_root("}},
      {"systemd", {"execve(", "init\""}},
      {"journald", {"execve(", "systemd-journald\""}},
      {"app launcher", {"execve(\"/run/host/davit/davit-app\"", "\"run\""}},
      {"app", {"execve(\"/bin/sleep\"", "4242"}},
  };
  int at = 0;
  for (const Step& step : kOrder) {
    int found = Find(lines, at, step.words);
    ASSERT_GE(found, 0) << "no " << step.name << " after line " << at << ": "
                        << (at > 0 ? lines[static_cast<size_t>(at) - 1] : "");
    at = found + 1;
  }
  // Beside root and network, but before it clones PID 1.
  const int shim = Find(lines, 0, {"execve(", "davit-shim"});
  EXPECT_GE(shim, 0);
  EXPECT_LT(shim, Find(lines, 0, {"clone3(", "CLONE_NEWPID"}));
}

}  // namespace
}  // namespace davit::testing
