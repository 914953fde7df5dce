// One pod, end to end: boots, serves, logs, execs, exits, and is gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "tests/e2e/node_test_base.h"
#include "tests/support/peer_server.h"
#include "tests/support/shell.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class RunPodTest : public NodeTest {
 protected:
  // Runs a program in the namespaces of the pod's PID 1, to look only.
  ShellResult Inside(const std::string& pod, const std::string& script) {
    int64_t pid =
        std::stoll(node().GetPod(pod)["status"].value("pid", std::string("0")));
    return RunProgram({"nsenter", "-t", absl::StrCat(pid), "-m", "-u", "-i",
                       "-n", "-p", "-C", "/bin/sh", "-c", script});
  }

  void ExpectSystemRunning(const std::string& pod) {
    ShellResult state = Inside(pod, "systemctl is-system-running --wait");
    EXPECT_EQ(absl::StripAsciiWhitespace(state.out), "running") << state.err;
    ShellResult failed =
        Inside(pod, "systemctl list-units --failed --no-legend --plain");
    EXPECT_EQ(failed.code, 0) << failed.err;
    EXPECT_EQ(failed.out, "");
  }
};

TEST_F(RunPodTest, ServesHttpAtItsAddressAndLeavesNothing) {
  EXPECT_EQ(node().MustCtl({"run", "web", "--image", kDemo}),
            "pod/web created\n");
  std::string ip = node().PodIp("web");
  EXPECT_THAT(ip, ContainsRegex("^172\\.16\\.28\\.[0-9]+$"));
  ShellResult http =
      RunProgram({"curl", "-sS", "--noproxy", "*", "--max-time", "5", "--retry",
                  "20", "--retry-delay", "0", "--retry-connrefused",
                  absl::StrCat("http://", ip, "/")},
                 node().node_netns());
  EXPECT_EQ(http.code, 0) << http.err;
  EXPECT_THAT(http.out, Not(IsEmpty()));

  std::string table = node().MustCtl({"get", "pods", "-o", "wide"});
  EXPECT_THAT(table, ContainsRegex("NAME +READY +STATUS +RESTARTS +AGE +IP"));
  EXPECT_THAT(table, ContainsRegex("web +1/1 +Running +0 +[0-9]+s +172"));
  EXPECT_THAT(
      node().MustCtl({"describe", "pod", "web"}),
      AllOf(HasSubstr("Timing:"), HasSubstr("overlay"), HasSubstr("cni_add"),
            HasSubstr("ready"), HasSubstr("eth0")));

  EXPECT_EQ(node().MustCtl({"delete", "pod", "web"}), "pod \"web\" deleted\n");
  EXPECT_EQ(node().Ctl({"get", "pods"}).err, "No resources found.\n");
  EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty());
}

TEST_F(RunPodTest, SystemdInsideIsRunningWithNoFailedUnit) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  ExpectSystemRunning("p");
  EXPECT_EQ(node().GetPod("p")["status"].value("systemState", ""), "running");
}

TEST_F(RunPodTest, AFullDebianMachineRuns) {
  node().ImportMachine();
  node().MustCtl({"run", "deb", "--root-image", kMachine});
  ExpectSystemRunning("deb");
  ShellResult r = node().Ctl({"exec", "deb", "--", "cat", "/etc/os-release"});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.out, HasSubstr("Debian"));
  node().MustCtl({"stop", "deb"});
  EXPECT_EQ(node().GetPod("deb")["status"].value("phase", ""), "Succeeded");
  node().MustCtl({"start", "deb"});
  ExpectSystemRunning("deb");
}

TEST_F(RunPodTest, ReachesGatewayAnotherPodAndOutsideBehindTheNodesAddress) {
  node().MustCtl({"run", "a", "--image", kBusybox, "--", "sleep", "1000"});
  node().MustCtl({"run", "b", "--image", kBusybox, "--", "sleep", "1000"});
  std::string gateway =
      node().GetPod("a")["status"]["interfaces"][0]["gateways"][0];
  for (const std::string& target : {gateway, node().PodIp("b")}) {
    ShellResult ping =
        node().Ctl({"exec", "a", "--", "ping", "-c", "1", "-W", "3", target});
    EXPECT_EQ(ping.code, 0) << target << ": " << ping.out << ping.err;
  }
  PeerServer outside(node().outside_netns(), TestNode::kOutsideAddress);
  ShellResult r =
      node().Ctl({"exec", "a", "--", "nc", "-w", "5", TestNode::kOutsideAddress,
                  absl::StrCat(outside.port())});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, absl::StrCat("you are ", TestNode::kNodeAddress, "\n"))
      << "the outside host must see the node's address";
}

TEST_F(RunPodTest, AppHasWhatItsSpecSays) {
  node().MustCtl({"apply", "-f", "-"}, absl::StrCat(R"yaml(
apiVersion: v1
kind: Pod
metadata: {name: spec, labels: {app: x}}
spec:
  hostname: harbour
  restartPolicy: Never
  containers:
  - name: main
    image: )yaml",
                                                    kBusybox, R"yaml(
    command: ["sh", "-c"]
    args: ["id -u; id -g; pwd; echo $GREETING $(SUBST); hostname; exit 7"]
    workingDir: /tmp
    env:
    - {name: GREETING, value: "hello $(WHO)"}
    - {name: WHO, value: late}
    - {name: SUBST, value: "x"}
    securityContext: {runAsUser: 1234, runAsGroup: 4321}
)yaml"));
  ASSERT_TRUE(node().WaitForStatus("spec", "phase", {"Failed"}));
  nlohmann::json status = node().GetPod("spec")["status"];
  nlohmann::json app = status["containerStatuses"][0]["state"]["terminated"];
  EXPECT_EQ(app["exitCode"], 7) << status.dump(2);
  EXPECT_EQ(app["reason"], "Error");
  EXPECT_EQ(node().MustCtl({"logs", "spec"}),
            "1234\n4321\n/tmp\nhello $(WHO) x\nharbour\n");
  EXPECT_THAT(node().MustCtl({"get", "pods"}),
              ContainsRegex("spec +0/1 +Error +0"));
}

TEST_F(RunPodTest, ExitCodesAndSignalsAreExact) {
  struct Case {
    const char* name;
    const char* script;
    int code;
    const char* phase;
  };
  for (const Case& c : {Case{"zero", "exit 0", 0, "Succeeded"},
                        Case{"three", "exit 3", 3, "Failed"},
                        Case{"limit", "exit 255", 255, "Failed"},
                        Case{"killed", "kill -KILL $$$$", 137, "Failed"},
                        Case{"termed", "kill -TERM $$$$", 143, "Failed"}}) {
    node().MustCtl({"run", c.name, "--image", kBusybox, "--restart", "Never",
                    "--command", "--", "sh", "-c", c.script});
    ASSERT_TRUE(node().WaitForStatus(c.name, "phase", {"Succeeded", "Failed"}));
    nlohmann::json pod = node().GetPod(c.name);
    EXPECT_EQ(pod["status"]["phase"], c.phase) << c.name;
    nlohmann::json end =
        pod["status"]["containerStatuses"][0]["state"]["terminated"];
    EXPECT_EQ(end.value("exitCode", 0), c.code) << c.name;
    EXPECT_EQ(end.value("signal", 0),
              c.code > 128 && c.code < 255 ? c.code - 128 : 0)
        << c.name;
  }
}

TEST_F(RunPodTest, RestartPolicyOnFailureRestartsUntilSuccess) {
  node().MustCtl({"run", "again", "--image", kBusybox, "--restart", "OnFailure",
                  "--command", "--", "sh", "-c",
                  "n=$(cat /n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/n; "
                  "echo run $n; [ $n -ge 3 ]"});
  ASSERT_TRUE(node().WaitForStatus("again", "phase", {"Succeeded"}));
  EXPECT_EQ(node().MustCtl({"logs", "again"}), "run 1\nrun 2\nrun 3\n");
  EXPECT_EQ(node().GetPod("again")["status"]["containerStatuses"][0].value(
                "restartCount", 0),
            2);
}

TEST_F(RunPodTest, RestartPolicyAlwaysGoesOn) {
  node().MustCtl({"run", "loop", "--image", kBusybox, "--command", "--", "sh",
                  "-c", "echo up; exit 0"});
  absl::Time deadline = absl::Now() + Patience(absl::Seconds(20));
  int restarts = 0;
  while (restarts < 2 && absl::Now() < deadline) {
    restarts = node().GetPod("loop")["status"]["containerStatuses"][0].value(
        "restartCount", 0);
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_GE(restarts, 2);
  EXPECT_EQ(node().GetPod("loop")["status"]["phase"], "Running");
}

TEST_F(RunPodTest, LogsTailFollowAndStreams) {
  node().MustCtl({"run", "talk", "--image", kBusybox, "--restart", "Never",
                  "--command", "--", "sh", "-c",
                  "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2; "
                  "sleep 2; echo end"});
  ShellResult follow = node().Ctl({"logs", "-f", "talk"});
  EXPECT_EQ(follow.code, 0) << follow.err;
  std::vector<std::string> lines =
      absl::StrSplit(follow.out, '\n', absl::SkipEmpty());
  EXPECT_THAT(
      lines, ::testing::UnorderedElementsAre("line 1", "line 2", "line 3",
                                             "line 4", "line 5", "bad", "end"));
  EXPECT_EQ(lines.back(), "end");
  EXPECT_EQ(node().MustCtl({"logs", "--tail", "1", "talk"}), "end\n");
  EXPECT_THAT(node().MustCtl({"logs", "--timestamps", "--tail", "1", "talk"}),
              ContainsRegex("^20[0-9-]+T[0-9:.]+Z end\n$"));
  EXPECT_THAT(node().Ctl({"logs", "talk", "-c", "nope"}).err,
              HasSubstr("nope"));
}

TEST_F(RunPodTest, ExecPassesStreamsExitCodesAndTerminals) {
  node().MustCtl({"run", "x", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult r = node().Ctl(
      {"exec", "x", "--", "sh", "-c", "echo out; echo err >&2; exit 42"});
  EXPECT_EQ(r.code, 42);
  EXPECT_EQ(r.out, "out\n");
  EXPECT_THAT(r.err, HasSubstr("err\n"));
  std::string big(3 << 20, 'x');
  r = node().Ctl({"exec", "-i", "x", "--", "cat"}, big);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_TRUE(r.out == big) << r.out.size();
  r = node().Ctl({"exec", "x", "--", "no-such-command"});
  EXPECT_NE(r.code, 0);
  EXPECT_THAT(r.err, HasSubstr("no-such-command"));
  r = node().Ctl({"exec", "x", "--", "sh", "-c", "kill -9 $$"});
  EXPECT_EQ(r.code, 137);
  // script(1) gives davitctl a terminal of its own.
  r = RunProgram({"script", "-qec",
                  absl::StrCat(node().path("libexec/davitctl"),
                               " --address=unix://", node().state(),
                               "/davit.sock exec -it x -- sh -c 'tty; stty "
                               "size; exit 5'"),
                  "/dev/null"});
  EXPECT_EQ(r.code, 5) << r.out << r.err;
  EXPECT_THAT(r.out, HasSubstr("/dev/pts/"));
}

TEST_F(RunPodTest, ExecHasNoMoreRightsThanTheApp) {
  node().MustCtl({"run", "caged", "--image", kBusybox, "--restart", "Never",
                  "--command", "--", "sh", "-c",
                  "grep -E '^(Cap|Seccomp|NoNewPrivs)' /proc/self/status; "
                  "exec sleep 1000"});
  std::string in_exec =
      node().MustCtl({"exec", "caged", "--", "grep", "-E",
                      "^(Cap|Seccomp|NoNewPrivs)", "/proc/self/status"});
  std::string in_app = node().MustCtl({"logs", "caged"});
  EXPECT_EQ(in_exec, in_app);
  EXPECT_THAT(in_app, HasSubstr("Seccomp:\t2"));
  // CAP_SYS_ADMIN (bit 21) is not an app's.
  EXPECT_THAT(in_app,
              Not(ContainsRegex("CapBnd:\t[0-9a-f]*[2367abef][0-9a-f]{5}\n")));
}

TEST_F(RunPodTest, TwoAppsInOnePod) {
  node().MustCtl(
      {"apply", "-f", "-"},
      absl::StrCat(
          R"(
apiVersion: v1
kind: Pod
metadata: {name: duo}
spec:
  containers:
  - {name: web, image: )",
          kDemo, R"(}
  - {name: side, image: )",
          kBusybox,
          R"(, command: [sh, -c, "sleep 1; wget -qO- http://127.0.0.1/; sleep 1000"]}
)"));
  EXPECT_THAT(node().MustCtl({"get", "pods"}),
              ContainsRegex("duo +2/2 +Running"));
  EXPECT_THAT(node().Ctl({"logs", "duo"}).err, HasSubstr("side"));
  absl::Time deadline = absl::Now() + Patience(absl::Seconds(15));
  std::string page;
  while (page.empty() && absl::Now() < deadline) {
    page = node().MustCtl({"logs", "duo", "-c", "side"});
    absl::SleepFor(absl::Milliseconds(100));
  }
  EXPECT_THAT(page, Not(IsEmpty()));
  EXPECT_EQ(node().MustCtl(
                {"exec", "duo", "-c", "side", "--", "cat", "/proc/1/comm"}),
            "systemd\n");
}

TEST_F(RunPodTest, StopKeepsLogsAndStartRunsAgain) {
  node().MustCtl({"run", "s", "--image", kBusybox, "--command", "--", "sh",
                  "-c", "echo started; trap 'exit 0' TERM; sleep 1000 & wait"});
  std::string uid = node().GetPod("s")["metadata"]["uid"];
  EXPECT_EQ(node().MustCtl({"stop", "s"}), "pod \"s\" stopped\n");
  nlohmann::json pod = node().GetPod("s");
  EXPECT_EQ(pod["status"]["state"], "POD_STATE_EXITED");
  EXPECT_FALSE(pod["status"].contains("podIP")) << pod["status"].dump(2);
  EXPECT_EQ(node().MustCtl({"logs", "s"}), "started\n");
  EXPECT_EQ(node().MustCtl({"stop", "s"}), "pod \"s\" stopped\n");
  node().MustCtl({"start", "s"});
  EXPECT_EQ(node().GetPod("s")["metadata"]["uid"], uid);
  EXPECT_EQ(node().GetPod("s")["status"]["phase"], "Running");
}

TEST_F(RunPodTest, WatchShowsALife) {
  TestNode& n = node();
  std::string watch_out = n.path("watch.out");
  std::string ctl =
      absl::StrCat(n.path("libexec/davitctl"), " --address=unix://", n.state(),
                   "/davit.sock ");
  ShellResult watch = Sh(absl::StrCat(
      "timeout 60 ", ctl, "get pods -w >", watch_out, " 2>&1 & W=$!; sleep 1; ",
      ctl, "run w --image ", kBusybox, " -- sleep 1000; ", ctl,
      "delete pod w --now; sleep 1; kill $W; cat ", watch_out, "; rm ",
      watch_out));
  EXPECT_THAT(watch.out, ContainsRegex("w +0/1 +ContainerCreating"));
  EXPECT_THAT(watch.out, ContainsRegex("w +1/1 +Running"));
  EXPECT_THAT(watch.out, ContainsRegex("w +[01]/1 +Terminating"));
}

TEST_F(RunPodTest, HostNetworkAndNoNetwork) {
  node().MustCtl({"run", "none", "--network", "none", "--image", kBusybox, "--",
                  "sleep", "1000"});
  ShellResult links =
      node().Ctl({"exec", "none", "--", "ls", "/sys/class/net"});
  EXPECT_EQ(links.out, "lo\n");
  node().MustCtl({"delete", "none", "--now"});
}

TEST_F(RunPodTest, MetricsTellWhatHappened) {
  node().MustCtl({"run", "m", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult metrics = RunProgram(
      {"curl", "-sS", "--noproxy", "*", "--max-time", "5",
       absl::StrCat("http://", node().metrics_address(), "/metrics")});
  ASSERT_EQ(metrics.code, 0) << metrics.err;
  EXPECT_THAT(metrics.out,
              ContainsRegex("davit_pods\\{state=\"[Rr]unning\"\\} 1\n"));
  EXPECT_THAT(metrics.out, HasSubstr("davit_cni_calls_total{"));
  EXPECT_THAT(metrics.out, HasSubstr("davit_pod_start_phase_seconds_bucket{"));
  ShellResult lint =
      RunProgram({"promtool", "check", "metrics"}, "", metrics.out);
  EXPECT_EQ(lint.code, 0) << lint.out << lint.err;
  EXPECT_EQ(absl::StrCat(lint.out, lint.err), "");
}

}  // namespace
}  // namespace davit::testing
