// What a user sees of the runtime: users, console, shell, mounts, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/node_test_base.h"
#include "tests/support/shell.h"

namespace davit::testing {
namespace {

using ::testing::Each;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RuntimeTest : public NodeTest {
 protected:
  nlohmann::json Status(const std::string& pod) {
    return node().GetPod(pod)["status"];
  }

  // What a program of the pod says, in the namespaces of its PID 1.
  std::string Inside(const std::string& pod, const std::string& script) {
    std::string pid = Status(pod).value("pid", std::string("0"));
    std::vector<std::string> enter = {"nsenter", "-t", pid,  "-m", "-u",
                                      "-i",      "-n", "-p", "-C"};
    if (Status(pod).contains("userNamespace")) {
      enter.insert(enter.end(), {"-U", "--setuid=0", "--setgid=0"});
    }
    enter.insert(enter.end(), {"/bin/sh", "-c", script});
    ShellResult result = RunProgram(enter);
    return std::string(absl::StripAsciiWhitespace(result.out + result.err));
  }

  // The node's user ids of all processes of the pod.
  std::vector<int64_t> UidsOf(const std::string& pod) {
    std::string cgroup = Status(pod)["cgroups"][0];
    ShellResult result =
        Sh(absl::StrCat("find ", cgroup,
                        " -name cgroup.procs -exec cat {} + | while read p; do "
                        "stat -c %u /proc/$p; done"));
    std::vector<int64_t> uids;
    for (absl::string_view line :
         absl::StrSplit(result.out, '\n', absl::SkipEmpty())) {
      uids.push_back(std::stoll(std::string(line)));
    }
    return uids;
  }

  void ExpectHealthy(const std::string& pod) {
    EXPECT_EQ(Inside(pod, "systemctl is-system-running --wait"), "running")
        << Inside(pod, "systemctl --failed --no-pager");
  }
};

// --- hostUsers ---

TEST_F(RuntimeTest, RootOfAPodWithItsOwnUsersIsNobodyOnTheNode) {
  node().MustCtl({"run", "own", "--image", kBusybox, "--no-host-users", "--",
                  "sleep", "1000"});
  EXPECT_EQ(node().MustCtl({"exec", "own", "--", "id", "-u"}), "0\n");
  ExpectHealthy("own");
  int64_t base = Status("own")["userNamespace"].value("hostId", int64_t{0});
  EXPECT_EQ(base % 65536, 0);
  EXPECT_GT(base, 0);
  std::vector<int64_t> uids = UidsOf("own");
  EXPECT_THAT(uids.size(), Ge(2u));  // systemd and the app, at least
  EXPECT_THAT(uids,
              Each(::testing::AllOf(Ge(base), ::testing::Lt(base + 65536))));
  EXPECT_FALSE(node().GetPod("own")["spec"].value("hostUsers", true));
  EXPECT_THAT(node().MustCtl({"describe", "pod", "own"}),
              ::testing::AllOf(::testing::ContainsRegex("Host Users: +false"),
                               ::testing::ContainsRegex(absl::StrCat(
                                   "Node's Ids: +", base, "-", base + 65535))));
  node().MustCtl({"delete", "pod", "own"});
  EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty());
}

TEST_F(RuntimeTest, ItsNetworkIsItsOwnAndWorks) {
  node().MustCtl({"run", "own", "--image", kDemo, "--no-host-users"});
  ShellResult http =
      RunProgram({"curl", "-sS", "--noproxy", "*", "--max-time", "5", "--retry",
                  "20", "--retry-delay", "0", "--retry-connrefused",
                  absl::StrCat("http://", node().PodIp("own"), "/")},
                 node().node_netns());
  EXPECT_EQ(http.code, 0) << http.err;
  // Root in it may configure what its user namespace owns.
  EXPECT_EQ(Inside("own",
                   "echo 1 >/proc/sys/net/ipv4/ip_forward && "
                   "cat /proc/sys/net/ipv4/ip_forward"),
            "1");
}

TEST_F(RuntimeTest, PodsShareNoIdAndKeepTheirFilesOverARestart) {
  for (const char* pod : {"a", "b"}) {
    node().MustCtl({"run", pod, "--image", kBusybox, "--no-host-users", "--",
                    "sleep", "1000"});
  }
  int64_t a = Status("a")["userNamespace"].value("hostId", int64_t{0});
  int64_t b = Status("b")["userNamespace"].value("hostId", int64_t{0});
  EXPECT_GE(std::abs(a - b), 65536);

  node().MustCtl({"exec", "a", "--", "sh", "-c",
                  "echo kept >/root.txt; chown 1000:1000 /root.txt"});
  node().MustCtl({"stop", "a", "--grace-period=1"});
  EXPECT_FALSE(Status("a").contains("userNamespace"));
  node().MustCtl({"start", "a"});
  EXPECT_EQ(node().MustCtl({"exec", "a", "--", "sh", "-c",
                            "cat /root.txt; stat -c %u /root.txt"}),
            "kept\n1000\n");
}

TEST_F(RuntimeTest, ARestartOfTheAgentKeepsThem) {
  node().MustCtl({"run", "own", "--image", kBusybox, "--no-host-users", "--",
                  "sleep", "1000"});
  nlohmann::json before = Status("own")["userNamespace"];
  node().EndAgent(SIGKILL);
  node().StartAgent();
  EXPECT_EQ(Status("own")["userNamespace"], before);
  EXPECT_EQ(node().MustCtl({"exec", "own", "--", "id", "-u"}), "0\n");
}

TEST_F(RuntimeTest, IdsThatItDoesNotHaveAreRefused) {
  ShellResult result = node().Ctl({"apply", "-f", "-"}, absl::StrCat(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: big}
spec:
  hostUsers: false
  containers:
  - {name: main, image: )yaml",
                                                                     kBusybox,
                                                                     R"yaml(,
     securityContext: {runAsUser: 70000}}
)yaml"));
  EXPECT_NE(result.code, 0);
  EXPECT_THAT(result.err,
              HasSubstr("spec.containers[0].securityContext.runAsUser: 70000"));
}

}  // namespace
}  // namespace davit::testing
