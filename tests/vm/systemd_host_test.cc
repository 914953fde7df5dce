// Davit on a host whose PID 1 is systemd, installed by deploy/up: its pods as
// systemd and its tools see them. Runs inside of the VM only.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "nlohmann/json.hpp"
#include "runtime/base/file.h"
#include "tests/support/shell.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

constexpr char kBusybox[] = "localhost/davit/busybox:latest";
constexpr absl::Duration kSoon = absl::Seconds(30);

std::string Strip(const std::string& text) {
  return std::string(absl::StripAsciiWhitespace(text));
}

// On others the agent mounts one for itself.
bool HostMountsV2() {
  return PathExists("/sys/fs/cgroup/cgroup.procs") ||
         PathExists("/sys/fs/cgroup/unified/cgroup.procs");
}

// Whether systemd makes a directory for a scope in this hierarchy, which
// /proc/PID/cgroup names by its controllers: "" is v2, "cpu,cpuacct" is v1's.
// Of v1's systemd 252 does so for these; not always for devices, and not for
// blkio, where a scope's processes stay at the root.
bool IsDelegated(const std::string& controllers) {
  static const std::set<std::string> kDelegated = {
      "", "name=systemd", "cpu", "cpuacct", "memory", "pids"};
  for (const std::string& name :
       std::vector<std::string>(absl::StrSplit(controllers, ','))) {
    if (kDelegated.count(name) != 0) return true;
  }
  return false;
}

class SystemdHostTest : public ::testing::Test {
 protected:
  static bool OnSystemdHost() {
    return getenv("DAVIT_TEST_ON_SYSTEMD_HOST") != nullptr;
  }

  // Once for all suites.
  static void SetUpTestSuite() {
    static bool imported = false;
    if (!OnSystemdHost() || std::exchange(imported, true)) return;
    for (const char* image : {"machine", "machine-trixie"}) {
      ShellResult result =
          Ctl({"image", "import",
               absl::StrCat(getenv("DAVIT_TEST_IMAGES"), "/", image, ".tar"),
               "--name", absl::StrCat("localhost/davit/", image, ":latest")});
      EXPECT_EQ(result.code, 0) << result.err;
    }
  }

  void SetUp() override {
    if (!OnSystemdHost()) {
      GTEST_SKIP() << "needs a host whose PID 1 is systemd: deploy/test --vm";
    }
  }

  void TearDown() override {
    if (!OnSystemdHost()) return;
    for (const std::string& pod : pods_) {
      Ctl({"delete", "pod", pod, "--ignore-not-found", "--now"});
    }
    if (HasFailure()) {
      fprintf(stderr, "%s\n",
              Sh("journalctl -b -u davitd -n 40 --no-pager; systemctl "
                 "list-units --all 'davit*'; machinectl list")
                  .out.c_str());
    }
  }

  static ShellResult Ctl(const std::vector<std::string>& args) {
    std::vector<std::string> argv = {"davitctl"};
    argv.insert(argv.end(), args.begin(), args.end());
    return RunProgram(argv);
  }

  // Starts a pod of this root image, or of stage1 with a sleeping app.
  void RunPod(const std::string& name, const std::string& root = "",
              const std::vector<std::string>& flags = {}) {
    pods_.push_back(name);
    std::vector<std::string> args = {"run", name};
    args.insert(args.end(), flags.begin(), flags.end());
    std::vector<std::string> what = {"--image", kBusybox, "--", "sleep",
                                     "100000"};
    if (!root.empty()) {
      what = {"--root-image",
              absl::StrCat("localhost/davit/", root, ":latest")};
    }
    args.insert(args.end(), what.begin(), what.end());
    ShellResult run = Ctl(args);
    ASSERT_EQ(run.code, 0) << run.err;
  }

  // Whether PID 1 of a pod has the machine's namespace of this kind.
  bool SharesNamespace(const std::string& pod, const std::string& kind) {
    std::string ns = absl::StrCat("/ns/", kind);
    return std::filesystem::read_symlink(
               absl::StrCat("/proc/", Pid(pod), ns)) ==
           std::filesystem::read_symlink("/proc/self" + ns);
  }

  // systemd in a pod, asked by systemctl -M.
  void ExpectSystemRunning(const std::string& pod) {
    ShellResult state =
        RunProgram({"systemctl", "-M", pod, "is-system-running", "--wait"});
    EXPECT_EQ(Strip(state.out), "running") << state.err;
    ShellResult failed = RunProgram(
        {"systemctl", "-M", pod, "--failed", "--no-legend", "--plain"});
    EXPECT_EQ(failed.code, 0) << failed.err;
    EXPECT_EQ(failed.out, "");
  }

  nlohmann::json Pod(const std::string& name) {
    ShellResult got = Ctl({"get", "pod", name, "-o", "json"});
    return got.code == 0 ? nlohmann::json::parse(got.out, nullptr, false)
                         : nlohmann::json();
  }
  std::string Uid(const std::string& name) {
    nlohmann::json pod = Pod(name);
    return pod.is_object() ? pod["metadata"].value("uid", "") : "";
  }
  pid_t Pid(const std::string& name) {
    nlohmann::json pod = Pod(name);
    int pid = 0;
    if (pod.is_object()) {
      EXPECT_TRUE(absl::SimpleAtoi(pod["status"].value("pid", "0"), &pid));
    }
    return pid;
  }
  std::string Scope(const std::string& name) {
    return absl::StrCat("davit-", Uid(name), ".scope");
  }

  // A property of a unit of the host.
  std::string Show(const std::string& unit, const std::string& property) {
    return Strip(
        RunProgram({"systemctl", "show", unit, "-p", property, "--value"}).out);
  }

  // Asks until `script` says yes; there is nothing to wait for in a shell.
  bool Eventually(const std::string& script) {
    absl::Time deadline = absl::Now() + Patience(kSoon);
    while (Sh(script).code != 0) {
      if (absl::Now() > deadline) return false;
      absl::SleepFor(absl::Milliseconds(200));
    }
    return true;
  }

  // No unit, no directory, no machine.
  void ExpectNoTrace(const std::string& name, const std::string& scope) {
    EXPECT_EQ(Show(scope, "LoadState"), "not-found") << scope;
    EXPECT_EQ(Sh(absl::StrCat("find /sys/fs/cgroup -type d -name ", scope)).out,
              "");
    EXPECT_TRUE(Eventually(absl::StrCat("! machinectl show ", name)));
  }

  std::vector<std::string> pods_;
};

TEST_F(SystemdHostTest, DeployUpHasInstalledARunningService) {
  EXPECT_EQ(Show("davitd.service", "ActiveState"), "active");
  EXPECT_EQ(Show("davitd.service", "UnitFileState"), "enabled");
  EXPECT_THAT(Ctl({"get", "pods"}).out, ContainsRegex("demo +1/1 +Running"));
}

TEST_F(SystemdHostTest, APodIsADelegatedScopeInDavitsSlice) {
  RunPod("scoped");
  std::string scope = Scope("scoped");
  EXPECT_EQ(Show(scope, "ActiveState"), "active");
  EXPECT_EQ(Show(scope, "Delegate"), "yes");
  EXPECT_EQ(Show(scope, "Slice"), "davit.slice");
  EXPECT_EQ(Show(scope, "TasksMax"), "infinity");
  EXPECT_EQ(Show(scope, "ControlGroup"), "/davit.slice/" + scope);
  // Every hierarchy that systemd delegates.
  std::string cgroups =
      ReadFile(absl::StrCat("/proc/", Pid("scoped"), "/cgroup")).value_or("");
  int in_scope = 0;
  for (absl::string_view line :
       absl::StrSplit(cgroups, '\n', absl::SkipEmpty())) {
    std::vector<std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    ASSERT_EQ(parts.size(), 3u) << line;
    if (parts[1].empty() && !HostMountsV2()) {
      EXPECT_THAT(parts[2], ::testing::MatchesRegex("/davit/[^/]+/payload.*"))
          << line;
      continue;
    }
    // In others systemd leaves it at the root or in a slice.
    if (!IsDelegated(parts[1])) continue;
    EXPECT_THAT(parts[2], ::testing::StartsWith(
                              absl::StrCat("/davit.slice/", scope, "/payload")))
        << line;
    ++in_scope;
  }
  EXPECT_GE(in_scope, 1) << cgroups;
}

TEST_F(SystemdHostTest, MachinedKnowsThePod) {
  RunPod("known");
  EXPECT_THAT(RunProgram({"machinectl", "list", "--no-legend"}).out,
              ContainsRegex("known +container +davit"));
  EXPECT_THAT(
      RunProgram({"machinectl", "status", "known", "--no-pager"}).out,
      AllOf(HasSubstr(Scope("known")), HasSubstr(absl::StrCat(Pid("known")))));
  auto show = [](const std::string& property) {
    return Strip(
        RunProgram({"machinectl", "show", "known", "-p", property, "--value"})
            .out);
  };
  EXPECT_EQ(show("Id"), absl::StrReplaceAll(Uid("known"), {{"-", ""}}));
  EXPECT_EQ(show("Leader"), absl::StrCat(Pid("known")));
  EXPECT_EQ(show("Unit"), Scope("known"));
  EXPECT_EQ(show("Class"), "container");
}

TEST_F(SystemdHostTest, SystemdsToolsWorkOnAMachine) {
  RunPod("deb", "machine");
  ExpectSystemRunning("deb");
  EXPECT_THAT(RunProgram({"systemd-cgls", "-M", "deb", "--no-pager"}).out,
              HasSubstr("systemd-journald"));
  EXPECT_THAT(RunProgram({"journalctl", "-M", "deb", "--no-pager", "-u",
                          "systemd-journald"})
                  .out,
              HasSubstr("Journal started"));
  EXPECT_EQ(RunProgram({"systemd-run", "-M", "deb", "--quiet", "--wait",
                        "--pipe", "sh", "-c", "cat /etc/hostname; exit 7"})
                .code,
            7);
  ShellResult shell = RunProgram(
      {"script", "-qec",
       "machinectl shell deb /bin/sh -c 'echo shell in $(cat /etc/hostname)'",
       "/dev/null"});
  EXPECT_THAT(shell.out, HasSubstr("shell in deb"));
}

TEST_F(SystemdHostTest, MachinectlLoginAsksForAName) {
  RunPod("door", "machine");
  RunProgram({"systemctl", "-M", "door", "is-system-running", "--wait"});
  ShellResult login = RunProgram(
      {"expect", "-c",
       absl::StrCat("set timeout ",
                    absl::ToInt64Seconds(Patience(absl::Seconds(10))),
                    "\nspawn machinectl login door\n"
                    "expect {\n \"login:\" { exit 0 }\n timeout { exit 9 }\n"
                    " eof { exit 8 }\n}\n")});
  EXPECT_EQ(login.code, 0) << login.out << login.err;
}

TEST_F(SystemdHostTest, MachinectlCopiesInAndOut) {
  RunPod("mover", "machine");
  ASSERT_TRUE(
      WriteFileAtomic("/root/davit-copied", "carried over\n", 0644).ok());
  ShellResult to = RunProgram(
      {"machinectl", "copy-to", "mover", "/root/davit-copied", "/root/in"});
  EXPECT_EQ(to.code, 0) << to.err;
  EXPECT_EQ(ReadFile(absl::StrCat("/proc/", Pid("mover"), "/root/root/in"))
                .value_or(""),
            "carried over\n");
  ShellResult from = RunProgram(
      {"machinectl", "copy-from", "mover", "/root/in", "/root/davit-back"});
  EXPECT_EQ(from.code, 0) << from.err;
  EXPECT_EQ(ReadFile("/root/davit-back").value_or(""), "carried over\n");
  Sh("rm -f /root/davit-copied /root/davit-back");
}

TEST_F(SystemdHostTest, RestartReloadAndReexecLeavePodsAlone) {
  RunPod("rock");
  pid_t pid = Pid("rock");
  std::string scope = Scope("rock");
  std::string cgroup =
      ReadFile(absl::StrCat("/proc/", pid, "/cgroup")).value_or("");
  for (const char* what :
       {"restart davitd", "daemon-reload", "daemon-reexec", "restart davitd"}) {
    ShellResult done = Sh(absl::StrCat("systemctl ", what));
    EXPECT_EQ(done.code, 0) << what << ": " << done.err;
    ASSERT_TRUE(Eventually("davitctl version")) << what;
    EXPECT_EQ(kill(pid, 0), 0) << "the pod died of " << what;
    EXPECT_EQ(Show(scope, "ActiveState"), "active") << what;
    EXPECT_EQ(ReadFile(absl::StrCat("/proc/", pid, "/cgroup")).value_or(""),
              cgroup)
        << what;
    EXPECT_THAT(Ctl({"get", "pods"}).out, ContainsRegex("rock +1/1 +Running"))
        << what;
  }
  EXPECT_EQ(Ctl({"exec", "rock", "--", "echo", "still here"}).out,
            "still here\n");
  EXPECT_THAT(RunProgram({"machinectl", "list", "--no-legend"}).out,
              HasSubstr("rock"));
}

TEST_F(SystemdHostTest, AnAgentThatIsKilledComesBackToItsPods) {
  RunPod("orphan");
  pid_t pid = Pid("orphan");
  std::string agent = Show("davitd.service", "MainPID");
  ASSERT_EQ(Sh("kill -KILL " + agent).code, 0);
  ASSERT_TRUE(Eventually(absl::StrCat(
      "[ \"$(systemctl show davitd -p MainPID --value)\" != ", agent,
      " ] && davitctl version")));
  EXPECT_EQ(Pid("orphan"), pid);
  EXPECT_EQ(kill(pid, 0), 0);
  EXPECT_EQ(Ctl({"exec", "orphan", "--", "echo", "found"}).out, "found\n");
}

TEST_F(SystemdHostTest, ADeletedPodLeavesNoScopeAndNoMachine) {
  RunPod("gone");
  std::string scope = Scope("gone");
  ASSERT_EQ(Ctl({"delete", "pod", "gone"}).code, 0);
  ExpectNoTrace("gone", scope);
  // The name is free at once.
  RunPod("gone");
  EXPECT_NE(Scope("gone"), scope);
  EXPECT_THAT(RunProgram({"machinectl", "list", "--no-legend"}).out,
              ContainsRegex("gone +container +davit"));
}

TEST_F(SystemdHostTest, AStoppedPodStartsAgainInANewScopeOfTheSameName) {
  RunPod("again");
  std::string scope = Scope("again");
  ASSERT_EQ(Ctl({"stop", "again"}).code, 0);
  ExpectNoTrace("again", scope);
  ShellResult started = Ctl({"start", "again"});
  ASSERT_EQ(started.code, 0) << started.err;
  EXPECT_EQ(Show(scope, "ActiveState"), "active");
}

TEST_F(SystemdHostTest, AKilledPid1IsToldAndItsScopeGoes) {
  RunPod("shot");
  std::string scope = Scope("shot");
  ASSERT_EQ(kill(Pid("shot"), SIGKILL), 0);
  EXPECT_TRUE(
      Eventually("davitctl get pod shot -o json | grep -q POD_STATE_EXITED"));
  EXPECT_EQ(Pod("shot")["status"]["machineExit"].value("signal", 0), SIGKILL);
  ExpectNoTrace("shot", scope);
}

TEST_F(SystemdHostTest, AKilledShimIsToldAndItsScopeGoes) {
  RunPod("lost");
  std::string scope = Scope("lost");
  pid_t init = Pid("lost");
  // The shim is PID 1's parent.
  ASSERT_EQ(Sh(absl::StrCat("kill -KILL $(ps -o ppid= -p ", init, ")")).code,
            0);
  EXPECT_TRUE(
      Eventually("davitctl get pod lost -o json | grep -q POD_STATE_EXITED"));
  EXPECT_NE(kill(init, 0), 0) << "nobody holds its console";
  ExpectNoTrace("lost", scope);
}

TEST_F(SystemdHostTest, StoppingTheScopeShutsThePodDown) {
  RunPod("asked");
  std::string scope = Scope("asked");
  ASSERT_EQ(RunProgram({"systemctl", "stop", scope}).code, 0);
  EXPECT_TRUE(
      Eventually("davitctl get pod asked -o json | grep -q POD_STATE_EXITED"));
  ExpectNoTrace("asked", scope);
}

// Each guest in each way that a pod can have users and a network.
struct Way {
  const char* guest;
  bool own_users;
  bool host_network;
};

class RunsTest : public SystemdHostTest,
                 public ::testing::WithParamInterface<Way> {};

TEST_P(RunsTest, WithNoFailedUnit) {
  std::vector<std::string> flags;
  if (GetParam().own_users) flags.push_back("--no-host-users");
  if (GetParam().host_network) flags.push_back("--host-network");
  RunPod("way", GetParam().guest, flags);
  ExpectSystemRunning("way");
  EXPECT_EQ(SharesNamespace("way", "user"), !GetParam().own_users);
  EXPECT_EQ(SharesNamespace("way", "net"), GetParam().host_network);
  if (!GetParam().host_network) {
    std::string ip = Pod("way")["status"].value("podIP", "");
    EXPECT_THAT(ip, ::testing::StartsWith("172.16.28."));
    ShellResult ping = RunProgram({"ping", "-c", "1", "-W", "10", ip});
    EXPECT_EQ(ping.code, 0) << ping.out << ping.err;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ways, RunsTest,
    ::testing::Values(Way{"machine", false, false}, Way{"machine", false, true},
                      Way{"machine", true, false}, Way{"machine", true, true},
                      Way{"machine-trixie", false, false},
                      Way{"machine-trixie", false, true},
                      Way{"machine-trixie", true, false},
                      Way{"machine-trixie", true, true}),
    [](const auto& info) {
      return absl::StrCat(absl::StrReplaceAll(info.param.guest, {{"-", "_"}}),
                          info.param.own_users ? "_userns" : "",
                          info.param.host_network ? "_host" : "_ptp");
    });

// Of a suite of its own, which comes after all others.
class AfterwardsTest : public SystemdHostTest,
                       public ::testing::WithParamInterface<int> {};

TEST_P(AfterwardsTest, OnlyTheDemoIsLeftOfAllThat) {
  EXPECT_EQ(Strip(Sh("systemctl list-units --all --plain --no-legend "
                     "'davit-*.scope' | cut -d' ' -f1")
                      .out),
            Scope("demo"));
  EXPECT_EQ(Strip(RunProgram({"pgrep", "-c", "davit-shim"}).out), "1");
}

INSTANTIATE_TEST_SUITE_P(All, AfterwardsTest, ::testing::Values(0));

}  // namespace
}  // namespace davit::testing
