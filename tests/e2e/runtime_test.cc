// What a user sees of the runtime: users, console, shell, mounts, limits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/node_test_base.h"
#include "tests/support/background_program.h"
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

  // davitctl against this node, for programs that run it themselves.
  std::vector<std::string> CtlLine(std::vector<std::string> args) {
    args.insert(args.begin(), {node().path("libexec/davitctl"),
                               absl::StrCat("--address=unix://", node().state(),
                                            "/davit.sock")});
    return args;
  }

  static std::string Quoted(const std::vector<std::string>& argv) {
    std::vector<std::string> words;
    for (const std::string& word : argv) {
      words.push_back(
          absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'"));
    }
    return absl::StrJoin(words, " ");
  }

  // Runs davitctl on a terminal of its own (script(1)); `typing` is a line of
  // shell whose output is typed there, `before` runs there before davitctl.
  ShellResult Terminal(const std::vector<std::string>& args,
                       const std::string& typing,
                       const std::string& before = "") {
    std::string line = before + "exec " + Quoted(CtlLine(args));
    return Sh(absl::StrCat("(", typing, ") | timeout 60 ",
                           Quoted({"script", "-qefc", line, "/dev/null"})));
  }

  // What the program prints until `word` comes; it need not end its line.
  static std::string ReadUntil(BackgroundProgram& program,
                               const std::string& word) {
    std::string text;
    while (!absl::StrContains(text, word)) {
      std::string more = program.ReadSome();
      if (more.empty()) break;
      text += more;
    }
    return text;
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

// --- attach ---

TEST_F(RuntimeTest, AttachShowsTheConsoleAndTypes) {
  node().ImportMachine();
  node().MustCtl({"run", "deb", "--root-image", kMachine});
  // Two at once; both are shown what came before them.
  BackgroundProgram looking(CtlLine({"attach", "deb", "--no-stdin"}));
  EXPECT_THAT(ReadUntil(looking, "login:"), HasSubstr("login:"));
  // A terminal of ours; its keys leave. What is typed is echoed by the getty.
  ShellResult typed = Terminal({"attach", "deb"},
                               "sleep 1; echo nobody-home; "
                               "sleep 1; printf '\\020\\021'; "
                               "sleep 5");
  EXPECT_EQ(typed.code, 0) << typed.out << typed.err;
  EXPECT_THAT(typed.out, HasSubstr("login:"));
  EXPECT_THAT(typed.out, HasSubstr("nobody-home"));
  EXPECT_THAT(typed.out, HasSubstr("detached from pod \"deb\""));
  EXPECT_THAT(ReadUntil(looking, "Password:"), HasSubstr("nobody-home"));
  node().MustCtl({"delete", "pod", "deb", "--grace-period=5"});
}

TEST_F(RuntimeTest, AttachEndsWithThePodAndNeedsOneThatRuns) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  std::string line = "(sleep 1; " + Quoted(CtlLine({"stop", "p"})) + ") & " +
                     Quoted(CtlLine({"attach", "p", "--no-stdin"}));
  ShellResult result = Sh(line);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("pod \"p\" has ended"));
  EXPECT_THAT(node().Ctl({"attach", "p"}).err, HasSubstr("is not running"));
  EXPECT_THAT(node().Ctl({"attach", "nope"}).err, HasSubstr("NotFound"));
}

TEST_F(RuntimeTest, AttachOutlivesARestartOfTheAgent) {
  node().ImportMachine();
  node().MustCtl({"run", "deb", "--root-image", kMachine, "--no-host-users"});
  node().EndAgent(SIGKILL);
  node().StartAgent();
  BackgroundProgram looking(CtlLine({"attach", "deb", "--no-stdin"}));
  EXPECT_THAT(ReadUntil(looking, "login:"), HasSubstr("login:"));
}

// --- shell ---

TEST_F(RuntimeTest, ShellOfAStage1IsRootWithExactCodesAndStreamsApart) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult result =
      node().Ctl({"shell", "p", "--", "sh", "-c",
                  "id -u; echo err >&2; ls -d /opt/stage2/p; exit 7"});
  EXPECT_EQ(result.code, 7);
  EXPECT_EQ(result.out, "0\n/opt/stage2/p\n");
  EXPECT_EQ(result.err, "err\n");
  // Without a command: its shell, fed by our input.
  result = node().Ctl({"shell", "p"}, "echo $HOME $0; exit 3\n");
  EXPECT_EQ(result.code, 3);
  EXPECT_EQ(result.out, "/root -sh\n");
  EXPECT_EQ(node().Ctl({"shell", "p", "--", "sh", "-c", "kill -9 $$"}).code,
            137);
  EXPECT_EQ(node().Ctl({"shell", "p", "--", "/nope"}).code, 1);
  ShellResult nobody = node().Ctl({"shell", "nosuchuser@p", "--", "true"});
  EXPECT_EQ(nobody.code, 1);
  EXPECT_THAT(nobody.err, HasSubstr("shell of user \"nosuchuser\""));
}

TEST_F(RuntimeTest, ShellOfAMachineIsALoginByPam) {
  node().ImportMachine();
  for (const char* users : {"--host-users", "--no-host-users"}) {
    node().MustCtl({"run", "deb", "--root-image", kMachine, users});
    ShellResult result = node().Ctl(
        {"shell", "deb", "--", "sh", "-c",
         "id -un; pwd; echo $USER; cat /proc/self/cgroup | tail -1; exit 9"});
    EXPECT_EQ(result.code, 9) << result.err;
    EXPECT_THAT(result.out, HasSubstr("root\n/root\nroot\n"));
    // Another user, with what is his.
    node().MustCtl(
        {"shell", "deb", "--", "useradd", "-m", "-s", "/bin/bash", "alice"});
    result = node().Ctl({"shell", "alice@deb", "--", "sh", "-c",
                         "id -un; pwd; echo $SHELL; echo x >&2"});
    EXPECT_EQ(result.out, "alice\n/home/alice\n/bin/bash\n") << result.err;
    EXPECT_EQ(result.err, "x\n");
    EXPECT_EQ(result.code, 0);
    node().MustCtl({"delete", "pod", "deb", "--grace-period=5"});
  }
}

TEST_F(RuntimeTest, ShellHasATerminalOfOurSizeThatIsItsUsers) {
  node().ImportMachine();
  node().MustCtl({"run", "deb", "--root-image", kMachine});
  node().MustCtl({"shell", "deb", "--", "useradd", "-m", "alice"});
  ShellResult result = Terminal(
      {"shell", "alice@deb", "--", "sh", "-c",
       "stty size; stat -c %U $(tty); test -t 1 && test -t 2 && exit 5"},
      "sleep 5", "stty rows 33 columns 99; ");
  EXPECT_EQ(result.code, 5) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("33 99"));
  EXPECT_THAT(result.out, HasSubstr("alice"));
  // A change of ours is one of its.
  result =
      Terminal({"shell", "deb", "--", "sh", "-c",
                "trap 'stty size; exit 4' WINCH; echo ready; while :; do "
                "sleep 0.1; done"},
               "sleep 8", "(sleep 3; stty rows 44 columns 111 </dev/tty) & ");
  EXPECT_EQ(result.code, 4) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("44 111"));
}

// --- resources ---

TEST_F(RuntimeTest, AMemoryLimitIsKept) {
  node().MustCtl({"run", "small", "--image", kBusybox, "--memory", "64Mi",
                  "--cpus", "0.5", "--restart", "Never", "--command", "--",
                  "sh", "-c", "sleep 1; tail /dev/zero"});
  EXPECT_THAT(node().MustCtl({"describe", "pod", "small"}),
              ::testing::ContainsRegex("Limits: +cpu=0.5, memory=64Mi"));
  std::string files =
      Sh(absl::StrCat(
             "cat $(find /sys/fs/cgroup -path '*", node().cgroup_parent(),
             "/*' -name memory.limit_in_bytes -o -path '*",
             node().cgroup_parent(), "/*' -name memory.max -o -path '*",
             node().cgroup_parent(), "/*' -name cpu.cfs_quota_us)"))
          .out;
  EXPECT_THAT(files, HasSubstr("67108864"));
  EXPECT_THAT(files, HasSubstr("50000"));
  ASSERT_TRUE(
      node().WaitForStatus("small", "phase", {"Failed"}, absl::Seconds(60)));
}

TEST_F(RuntimeTest, ResourcesThatCannotBeAreRefusedByTheirField) {
  ShellResult result =
      node().Ctl({"run", "p", "--image", kBusybox, "--memory", "1Mi"});
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, HasSubstr("spec.resources.limits[\"memory\"]: "));
}

// --- mount ---

TEST_F(RuntimeTest, VolumesComeAndGoInARunningPod) {
  std::string source = node().path("volume");
  for (const char* users : {"--host-users", "--no-host-users"}) {
    Sh(absl::StrCat("rm -rf ", source, "; mkdir -p ", source, "; echo hello >",
                    source, "/greeting"));
    node().MustCtl(
        {"run", "p", "--image", kBusybox, users, "--", "sleep", "1000"});
    node().MustCtl(
        {"mount", "p", "-c", "p", "--source", source, "--target", "/data/in"});
    // The app was running already.
    EXPECT_EQ(node().MustCtl({"exec", "p", "--", "sh", "-c",
                              "cat /data/in/greeting; echo x >/data/in/made; "
                              "stat -c %u /data/in/greeting"}),
              "hello\n0\n");
    EXPECT_EQ(Sh(absl::StrCat("stat -c %u ", source, "/made")).out, "0\n");
    EXPECT_THAT(
        node().MustCtl({"describe", "pod", "p"}),
        ::testing::ContainsRegex(absl::StrCat(source, " +/data/in +p +rw")));
    ShellResult again = node().Ctl(
        {"mount", "p", "-c", "p", "--source", source, "--target", "/data/in"});
    EXPECT_THAT(again.err, HasSubstr("is mounted at /data/in already"));
    node().EndAgent(SIGKILL);
    node().StartAgent();
    node().MustCtl({"umount", "p", "-c", "p", "--target", "/data/in"});
    EXPECT_EQ(node().MustCtl({"exec", "p", "--", "ls", "/data/in"}), "");
    EXPECT_FALSE(Status("p").contains("mounts"));
    // Read-only, a file, in the pod's own root.
    node().MustCtl({"mount", "p", "--source", source + "/greeting", "--target",
                    "/srv/g", "--read-only"});
    ShellResult write = node().Ctl(
        {"shell", "p", "--", "sh", "-c", "cat /srv/g; echo no >/srv/g"});
    EXPECT_EQ(write.out, "hello\n");
    EXPECT_NE(write.code, 0);
    EXPECT_THAT(write.err, HasSubstr("Read-only file system"));
    node().MustCtl({"delete", "pod", "p", "--grace-period=1"});
    EXPECT_EQ(Sh(absl::StrCat("cat ", source, "/greeting")).out, "hello\n");
  }
  Sh("rm -rf " + source);
}

TEST_F(RuntimeTest, NoLinkOfAPodLeadsAVolumeOut) {
  node().MustCtl({"run", "p", "--image", kBusybox, "--", "sleep", "1000"});
  std::string outside = node().path("outside");
  std::string source = node().path("volume");
  Sh(absl::StrCat("mkdir -p ", outside, " ", source, "; echo v >", source,
                  "/v"));
  node().MustCtl({"shell", "p", "--", "sh", "-c",
                  absl::StrCat("ln -s / /srv/up; ln -s ../../../../../../../.. "
                               "/srv/back; ln -s /tmp /srv/last; ln -s "
                               "/proc/1/root /srv/magic")});
  for (const char* way : {"/srv/up", "/srv/back"}) {
    node().MustCtl({"mount", "p", "--source", source, "--target",
                    absl::StrCat(way, outside)});
    EXPECT_EQ(Sh(absl::StrCat("ls ", outside)).out, "");
    EXPECT_EQ(node().MustCtl({"shell", "p", "--", "ls", outside}), "v\n");
    node().MustCtl({"umount", "p", "--target", absl::StrCat(way, outside)});
    EXPECT_EQ(node().MustCtl({"shell", "p", "--", "ls", outside}), "");
  }
  EXPECT_THAT(
      node()
          .Ctl({"mount", "p", "--source", source, "--target", "/srv/last"})
          .err,
      HasSubstr("target is a symbolic link"));
  EXPECT_NE(
      node()
          .Ctl({"mount", "p", "--source", source, "--target", "/srv/magic/x"})
          .code,
      0);
  EXPECT_THAT(node()
                  .Ctl({"mount", "p", "--source", source + "/none", "--target",
                        "/srv/x"})
                  .err,
              HasSubstr("NotFound"));
  Sh(absl::StrCat("rm -rf ", outside, " ", source));
}

}  // namespace
}  // namespace davit::testing
