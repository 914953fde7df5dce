// The agent dies in every way; the pods do not notice.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/e2e/node_test_base.h"

namespace davit::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AgentRestartTest : public NodeTest {
 protected:
  struct Seen {
    std::string uid, ip, pid;
    bool operator==(const Seen&) const = default;
  };
  Seen See(const std::string& name) {
    nlohmann::json pod = node().GetPod(name);
    if (!pod.is_object()) return {};
    return {pod["metadata"].value("uid", ""), pod["status"].value("podIP", ""),
            pod["status"].value("pid", "")};
  }
  bool Alive(const std::string& pid) {
    return !pid.empty() && kill(std::stoi(pid), 0) == 0;
  }
  void RunSleeper(const std::string& name) {
    node().MustCtl({"run", name, "--image", kBusybox, "--command", "--", "sh",
                    "-c", "echo hello from $HOSTNAME; exec sleep 1000"});
  }
};

TEST_F(AgentRestartTest, FivePodsOutliveKillDashNine) {
  std::map<std::string, Seen> pods;
  for (int i = 1; i <= 5; ++i) {
    std::string name = absl::StrCat("p", i);
    RunSleeper(name);
    pods[name] = See(name);
  }
  node().EndAgent(SIGKILL);
  for (const auto& [name, seen] : pods) {
    EXPECT_TRUE(Alive(seen.pid)) << name << " died with the agent";
  }
  node().StartAgent();
  std::string table = node().MustCtl({"get", "pods"});
  for (const auto& [name, seen] : pods) {
    EXPECT_EQ(See(name), seen) << name;
    EXPECT_THAT(table, ::testing::ContainsRegex(name + " +1/1 +Running"));
    EXPECT_EQ(node().MustCtl({"logs", name}),
              absl::StrCat("hello from ", name, "\n"));
    EXPECT_EQ(node().MustCtl({"exec", name, "--", "hostname"}), name + "\n");
  }
  EXPECT_THAT(node().MustCtl({"info"}), HasSubstr("adopted: 5"));
  node().MustCtl({"stop", "p1", "p2"});
  EXPECT_FALSE(Alive(pods["p1"].pid));
  node().MustCtl({"delete", "p1", "p2", "p3", "p4", "p5", "--now"});
  EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty());
}

TEST_F(AgentRestartTest, APodThatEndsWhileNoAgentRunsIsTold) {
  node().MustCtl({"run", "brief", "--image", kBusybox, "--restart", "Never",
                  "--command", "--", "sh", "-c", "sleep 3; exit 9"});
  RunSleeper("killed");
  Seen killed = See("killed");
  node().EndAgent(SIGKILL);
  kill(std::stoi(killed.pid), SIGKILL);
  absl::SleepFor(absl::Seconds(4));
  node().StartAgent();
  ASSERT_TRUE(node().WaitForStatus("brief", "phase", {"Failed"}));
  EXPECT_EQ(node().GetPod("brief")["status"]["containerStatuses"][0]["state"]
                                  ["terminated"]["exitCode"],
            9);
  ASSERT_TRUE(node().WaitForStatus("killed", "state", {"POD_STATE_EXITED"}));
  EXPECT_EQ(node().GetPod("killed")["status"]["machineExit"].value("signal", 0),
            SIGKILL);
}

TEST_F(AgentRestartTest, SigtermDrainsAndLeavesPodsRunning) {
  RunSleeper("calm");
  Seen seen = See("calm");
  node().EndAgent(SIGTERM);
  EXPECT_TRUE(Alive(seen.pid));
  node().StartAgent();
  EXPECT_EQ(See("calm"), seen);
}

// Killed at some moment of a start: what was half made is gone after recovery,
// or the pod runs; never in between.
TEST_F(AgentRestartTest, KilledInTheMiddleOfAStart) {
  for (int delay_ms : {5, 15, 30, 50, 80, 120, 180, 260}) {
    std::string name = absl::StrCat("half", delay_ms);
    std::string ctl =
        absl::StrCat(node().path("libexec/davitctl"), " --address=unix://",
                     node().state(), "/davit.sock ");
    Sh(absl::StrCat(ctl, "run ", name, " --image ", kBusybox,
                    " -- sleep 1000 >/dev/null 2>&1 &\nsleep 0.",
                    absl::StrCat(1000 + delay_ms).substr(1)));
    node().EndAgent(SIGKILL);
    node().StartAgent();
    nlohmann::json pod = node().GetPod(name);
    if (pod.is_object()) {
      std::string phase = pod["status"].value("phase", "");
      EXPECT_TRUE(phase == "Running" || phase == "Failed" || phase == "Pending")
          << delay_ms << ": " << phase;
      node().MustCtl({"delete", name, "--now"});
    }
    EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty())
        << "killed after " << delay_ms << " ms";
  }
}

TEST_F(AgentRestartTest, ASecondAgentOnTheSameDirectoriesIsRefused) {
  ShellResult second =
      RunProgram({node().path("libexec/davitd"), "--root", node().root(),
                  "--state", node().state(), "--listen",
                  absl::StrCat("unix://", node().path("second.sock")),
                  "--metrics", "", "--libexec", node().path("libexec"),
                  "--cni-conf-dir", node().conf_dir()},
                 "", "", absl::Seconds(15));
  EXPECT_NE(second.code, 0);
  EXPECT_NE(second.code, -1) << second.err;
  EXPECT_THAT(second.out + second.err, HasSubstr(node().root()));
}

}  // namespace
}  // namespace davit::testing
