// systemd's Container Interface as code: the rows of
// facts/systemd-containers.md §1, looked at in a running machine.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>

#include <cstdio>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/file.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "runtime/cgroup/host_systemd.h"
#include "runtime/cgroup/pod_scope.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::AnyOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAreArray;

// A running machine that all tests of an image share: they look, and what they
// change they do in places of their own.
class SharedPod : public PodFixture {
 public:
  explicit SharedPod(const std::string& image) {
    PodFixture::SetUp();
    if (IsSkipped()) return;
    request = NewRequest(image);
    request.credentials["davit.test"] = "sesame";
    request.files = {
        {.path = "/etc/davit/deep/file", .content = "hello", .mode = 0640},
        {.path = "/etc/davit/link", .symlink_target = "deep/file"},
        {.path = "/run/early", .content = "x"},
        {.path = "/etc/os-release", .content = "y", .only_if_absent = true}};
    request.binds = {{ProbePath(), "/run/davit/tool", true},
                     {request.state_dir, "/var/log/from-host", false}};
    request.overlays = {{{Lower("one"), Lower("two")}, "/run/host/sealed"}};
    pod = StartReady(request);
  }
  // Of a stopped one.
  ~SharedPod() override { PodFixture::TearDown(); }
  void Stop() {
    if (pod == nullptr) return;
    EXPECT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
    pod.reset();
  }
  using PodFixture::cgroup_parent_;
  using PodFixture::launcher_;
  using PodFixture::Look;
  using PodFixture::MountOptionsOf;
  using PodFixture::OutOf;
  using PodFixture::RunUnit;
  using PodFixture::UnifiedDir;

  BootRequest request;
  std::unique_ptr<PodProcess> pod;

 private:
  // A directory of the host with a file of that name.
  std::string Lower(const std::string& name) {
    std::string directory = absl::StrCat(request.state_dir, "/", name);
    EXPECT_THAT(MakeDirectories(directory), IsOk());
    EXPECT_THAT(WriteFileAtomic(absl::StrCat(directory, "/", name), "host's"),
                IsOk());
    return directory;
  }
  void TestBody() override {}
};

// By image: systemd 252, and 257.
class ContractTest : public ::testing::TestWithParam<const char*> {
 protected:
  static void TearDownTestSuite() {
    // What is left is looked for when none runs any more.
    for (const auto& [image, shared] : shared_) shared->Stop();
    shared_.clear();
  }

  void SetUp() override {
    std::string why;
    if (TestWorld::Get(why) == nullptr) GTEST_SKIP() << why;
    std::unique_ptr<SharedPod>& shared = shared_[GetParam()];
    if (shared == nullptr) shared = std::make_unique<SharedPod>(GetParam());
    machine_ = shared.get();
    pod_ = machine_->pod.get();
    ASSERT_NE(pod_, nullptr);
  }

  SubprocessResult Look(const PodProcess& pod, std::vector<std::string> argv) {
    return machine_->Look(pod, std::move(argv));
  }
  SubprocessResult RunUnit(const PodProcess& pod, const std::string& script,
                           std::vector<std::string> properties = {}) {
    return machine_->RunUnit(pod, script, std::move(properties));
  }
  std::string Out(std::vector<std::string> argv) {
    return machine_->OutOf(*pod_, std::move(argv));
  }
  std::string Cat(const std::string& path) { return Out({"cat", path}); }
  std::string MountOptions(const std::string& path) {
    return machine_->MountOptionsOf(*pod_, path);
  }

  // A value of the host's os-release(5).
  static std::string HostOs(const std::string& key) {
    for (absl::string_view line :
         absl::StrSplit(ReadFile("/etc/os-release").value_or(""), '\n')) {
      if (!absl::ConsumePrefix(&line, key + "=")) continue;
      return absl::StrReplaceAll(line, {{"\"", ""}});
    }
    return "";
  }

  uint64_t BoundingSet() {
    uint64_t bits = 0;
    EXPECT_TRUE(
        absl::SimpleHexAtoi(StatusField(pod_->init().pid, "CapBnd"), &bits));
    return bits;
  }

  // EE7, AI5: from outside the whole pod is below our parent, or on a host of
  // systemd's in its own scope, but for a hierarchy of our own (UnifiedMount).
  void ExpectBelowOurParent() {
    bool in_scope = HostRunsSystemd();
    const std::string directory = absl::StrCat("/", machine_->cgroup_parent_,
                                               "/", machine_->request.pod_id);
    const std::string scope =
        absl::StrCat("/", PodScopeName(machine_->request.pod_id), "/payload");
    const bool own_v2 = PathExists(machine_->UnifiedDir());
    std::string slice =
        absl::StrCat("/", SlicePath(PodSliceName(machine_->cgroup_parent_)));
    std::string all =
        ReadFile(absl::StrCat("/proc/", pod_->init().pid, "/cgroup"))
            .value_or("");
    int below = 0;
    for (absl::string_view line :
         absl::StrSplit(all, '\n', absl::SkipEmpty())) {
      std::vector<std::string> parts =
          absl::StrSplit(line, absl::MaxSplits(':', 2));
      ASSERT_EQ(parts.size(), 3u) << line;
      const bool by_us = !in_scope || (own_v2 && parts[1].empty());
      const std::string& home = by_us ? directory : scope;
      if (!by_us && !absl::StrContains(parts[2], home)) {
        // Of v1 systemd delegates not all. There the pod stays in a slice above
        // its scope, which we have not touched.
        std::string first = parts[1].substr(0, parts[1].find(','));
        EXPECT_THAT(pod_->cgroups(), Not(Contains(::testing::Key(first))));
        EXPECT_THAT(slice, StartsWith(absl::StripSuffix(parts[2], "/")));
        continue;
      }
      EXPECT_THAT(std::string(line), HasSubstr(home));
      ++below;
    }
    EXPECT_GE(below, 1) << all;
  }

  // By image.
  inline static std::map<std::string, std::unique_ptr<SharedPod>> shared_;
  SharedPod* machine_ = nullptr;
  PodProcess* pod_ = nullptr;
};

TEST_P(ContractTest, ExecutionEnvironment) {
  EXPECT_EQ(Out({"uname", "-n"}), "testpod");  // EE1
  // EE2, EE4.
  EXPECT_THAT(MountOptions("/sys"), StartsWith("ro"));
  EXPECT_THAT(MountOptions("/proc/sys"), StartsWith("ro"));
  EXPECT_THAT(MountOptions("/proc/sys/net"), StartsWith("rw"));
  EXPECT_FALSE(
      RunUnit(*pod_, "echo 1 >/proc/sys/vm/drop_caches").ExitedWith(0));
  EXPECT_TRUE(
      RunUnit(*pod_, "echo 1 >/proc/sys/net/ipv4/ip_forward").ExitedWith(0));
  // EE5.
  EXPECT_EQ(Out({"systemctl", "is-active", "console-getty"}), "active");
  // EE8.
  EXPECT_THAT(MountOptions("/"), HasSubstr("shared:"));
  // Not a peer of anything on the host.
  EXPECT_THAT(MountOptions("/"), Not(HasSubstr("master:")));
}

TEST_P(ContractTest, Devices) {
  struct {
    const char* path;
    const char* type;
  } nodes[] = {{"/dev/null", "1:3"},    {"/dev/zero", "1:5"},
               {"/dev/full", "1:7"},    {"/dev/random", "1:8"},
               {"/dev/urandom", "1:9"}, {"/dev/tty", "5:0"}};
  for (const auto& node : nodes) {
    EXPECT_EQ(Out({"stat", "-c", "%t:%T %a", node.path}),
              absl::StrCat(node.type, " 666"));
  }
  EXPECT_EQ(Out({"stat", "-L", "-c", "%t:%T", "/dev/ptmx"}), "5:2");
  EXPECT_EQ(Out({"stat", "-c", "%t", "/dev/console"}), "88");  // 136: a pty
  // NO3, NO4, NO5.
  std::vector<std::string> names = absl::StrSplit(Out({"ls", "/dev"}), '\n');
  for (const std::string& name : names) {
    EXPECT_THAT(
        (std::vector<std::string>{
            "console", "core",   "fd",    "full",   "hugepages", "initctl",
            "log",     "mqueue", "null",  "ptmx",   "pts",       "random",
            "shm",     "stderr", "stdin", "stdout", "tty",       "urandom",
            "zero",    "char",   "block"}),
        Contains(name));
  }
}

TEST_P(ContractTest, RefusesOtherDevices) {
  SubprocessResult loop =
      RunUnit(*pod_, "mknod /root/x b 7 0 && exec 3</root/x");
  EXPECT_FALSE(loop.ExitedWith(0));
  EXPECT_THAT(loop.err, HasSubstr("Operation not permitted"));
  EXPECT_FALSE(RunUnit(*pod_, "mknod /root/y c 10 229").ExitedWith(0));
  EXPECT_TRUE(
      RunUnit(*pod_, "mknod /root/n c 1 3 && echo >/root/n").ExitedWith(0));
  // A unit's own policy goes on top (BPF_F_ALLOW_MULTI).
  EXPECT_TRUE(RunUnit(*pod_, "echo x >/dev/null",
                      {"DevicePolicy=strict", "DeviceAllow=/dev/null rw"})
                  .ExitedWith(0));
}

TEST_P(ContractTest, Cgroups) {
  std::map<std::string, std::string> ours = pod_->cgroups();
  if (ours.count("memory") != 0) {
    // Writable where the pod's systemd keeps its units: v2, or without it its
    // named hierarchy.
    const char* own = ours.count("") != 0 ? "unified" : "systemd";
    EXPECT_TRUE(RunUnit(*pod_, absl::StrCat("mkdir /sys/fs/cgroup/", own, "/t"))
                    .ExitedWith(0));
    SubprocessResult v1 = RunUnit(*pod_, "mkdir /sys/fs/cgroup/memory/t");
    EXPECT_THAT(v1.err, HasSubstr("Read-only file system"));
  } else {
    EXPECT_TRUE(RunUnit(*pod_, "mkdir /sys/fs/cgroup/t").ExitedWith(0));
  }
  // EE6: our own directory is the root everywhere.
  for (absl::string_view line : absl::StrSplit(Cat("/proc/1/cgroup"), '\n')) {
    EXPECT_THAT(std::string(line),
                AnyOf(::testing::EndsWith(":/"), HasSubstr(":/init.scope")));
  }
  ExpectBelowOurParent();
  std::vector<std::string> ids;
  for (const auto& [image, shared] : shared_) {
    ids.push_back(shared->request.pod_id);
  }
  EXPECT_THAT(machine_->launcher_->ListCgroups().value(),
              UnorderedElementsAreArray(ids));
}

TEST_P(ContractTest, Environment) {
  std::string raw =
      ReadFile(absl::StrCat("/proc/", pod_->init().pid, "/environ"))
          .value_or("");
  std::vector<std::string> env = absl::StrSplit(raw, '\0', absl::SkipEmpty());
  EXPECT_THAT(env, Contains("container=davit"));
  EXPECT_THAT(env, Contains("container_uuid=" + machine_->request.pod_id));
  EXPECT_THAT(env, Contains("container_host_id=" + HostOs("ID")));
  EXPECT_THAT(env,
              Contains("container_host_version_id=" + HostOs("VERSION_ID")));
  EXPECT_THAT(env, Contains("NOTIFY_SOCKET=/run/host/notify"));
  EXPECT_EQ(Cat("/run/systemd/container"), "davit");
  EXPECT_EQ(Cat("/etc/machine-id"), MachineIdOfUuid(machine_->request.pod_id));
  EXPECT_THAT(Out({"ls", "-l", "/proc/1/fd"}), Not(HasSubstr("launch-plan")));
}

TEST_P(ContractTest, IsDetected) {
  // An unknown manager's name counts as "some container" (systemd-detect-virt).
  EXPECT_EQ(Out({"systemd-detect-virt", "--container"}), "container-other");
  EXPECT_TRUE(RunUnit(*pod_, "true", {"ConditionVirtualization=container"})
                  .ExitedWith(0));
  // Also for those who may not look at PID 1.
  SubprocessResult user =
      RunUnit(*pod_, "cat /run/systemd/container; cat /proc/1/environ",
              {"User=nobody"});
  EXPECT_EQ(user.out, "davit\n");
  EXPECT_THAT(user.err, HasSubstr("Permission denied"));
}

TEST_P(ContractTest, Credentials) {
  SubprocessResult unit =
      RunUnit(*pod_, "cat $CREDENTIALS_DIRECTORY/davit.test",
              {"LoadCredential=davit.test"});
  EXPECT_EQ(unit.out, "sesame") << unit.err;
  EXPECT_THAT(MountOptions("/run/host/credentials"), StartsWith("ro"));
  EXPECT_EQ(Out({"stat", "-f", "-c", "%T", "/run/host/credentials"}), "ramfs");
}

TEST_P(ContractTest, RunHost) {
  EXPECT_THAT(MountOptions("/run/host"), StartsWith("ro"));  // RH0
  EXPECT_EQ(Out({"stat", "-c", "%F", "/run/host/incoming"}), "directory");
  EXPECT_EQ(Out({"stat", "-c", "%F", "/run/host/notify"}), "socket");
  struct {
    const char* name;
    const char* mode;
  } table[] = {{"reg", "----------"},  {"dir", "d---------"},
               {"fifo", "p---------"}, {"sock", "s---------"},
               {"chr", "c---------"},  {"blk", "b---------"}};
  for (const auto& row : table) {
    EXPECT_EQ(Out({"stat", "-c", "%A %t:%T",
                   absl::StrCat("/run/host/inaccessible/", row.name)}),
              absl::StrCat(row.mode, " 0:0"));
  }
  EXPECT_EQ(Look(*pod_, {"cat", "/run/host/container-manager"}).out, "davit\n");
  EXPECT_EQ(Look(*pod_, {"cat", "/run/host/container-uuid"}).out,
            machine_->request.pod_id + "\n");
  EXPECT_EQ(Look(*pod_, {"cat", "/run/host/os-release"}).out,
            ReadFile("/etc/os-release").value());
  EXPECT_TRUE(RunUnit(*pod_, "touch /run/host/unix-export/s").ExitedWith(0));
  EXPECT_FALSE(RunUnit(*pod_, "touch /run/host/x").ExitedWith(0));
  SubprocessResult hidden = RunUnit(*pod_, "stat -c %A /etc/shadow",
                                    {"InaccessiblePaths=/etc/shadow"});
  EXPECT_EQ(hidden.out, "----------\n") << hidden.err;
}

TEST_P(ContractTest, Donts) {
  uint64_t bounding = BoundingSet();
  EXPECT_NE(bounding & 1u << CAP_MKNOD, 0u);      // NO1
  EXPECT_NE(bounding & 1u << CAP_SYS_ADMIN, 0u);  // NO2
  for (int number : {CAP_AUDIT_WRITE, CAP_AUDIT_CONTROL, CAP_AUDIT_READ,
                     CAP_SYS_MODULE, CAP_SYS_TIME, CAP_SYS_RAWIO}) {
    EXPECT_EQ(bounding & uint64_t{1} << number, 0u) << number;  // NO8
  }
  // As if the kernel had no audit: systemd then leaves it alone.
  EXPECT_EQ(RunUnit(*pod_, "/run/davit/tool audit").out, "EAFNOSUPPORT\n");
  EXPECT_EQ(Look(*pod_, {"/run/davit/tool", "audit"}).out, "ok\n");
  EXPECT_EQ(StatusField(pod_->init().pid, "Seccomp"), "2");
  EXPECT_EQ(StatusField(pod_->init().pid, "NoNewPrivs"), "0");
  SubprocessResult sandboxed =
      RunUnit(*pod_, "id -u && echo x >/dev/null",
              {"PrivateDevices=yes", "ProtectSystem=strict", "ProtectHome=yes",
               "PrivateTmp=yes", "PrivateNetwork=yes", "DynamicUser=yes",
               "InaccessiblePaths=/srv", "SystemCallFilter=@system-service"});
  EXPECT_TRUE(sandboxed.ExitedWith(0)) << sandboxed.err;
  EXPECT_NE(sandboxed.out, "0\n");
}

TEST_P(ContractTest, ProcIsMasked) {
  EXPECT_EQ(Look(*pod_, {"stat", "-c", "%a %s", "/proc/kallsyms"}).out,
            "0 0\n");
  EXPECT_FALSE(RunUnit(*pod_, "echo h >/proc/sysrq-trigger").ExitedWith(0));
  EXPECT_EQ(Out({"stat", "-c", "%F", "/proc/kmsg"}), "fifo");
  std::string own = Cat("/proc/sys/kernel/random/boot_id");
  EXPECT_TRUE(IsUuid(own)) << own;
  EXPECT_NE(own + "\n", ReadFile("/proc/sys/kernel/random/boot_id").value());
  // Journald took it.
  EXPECT_THAT(Out({"journalctl", "--list-boots", "--no-pager"}),
              HasSubstr(absl::StrReplaceAll(own, {{"-", ""}})));
  EXPECT_EQ(Out({"ls", "/run"}).find(".davit"), std::string::npos);
}

TEST_P(ContractTest, FilesAndBinds) {
  EXPECT_EQ(Cat("/etc/davit/link"), "hello");
  EXPECT_EQ(Out({"stat", "-c", "%a", "/etc/davit/deep/file"}), "640");
  EXPECT_EQ(Cat("/run/early"), "x");
  EXPECT_NE(Cat("/etc/os-release"), "y");
  EXPECT_THAT(MountOptions("/run/davit/tool"), StartsWith("ro"));
  EXPECT_EQ(Out({"stat", "-c", "%F", "/run/davit/tool"}), "regular file");
  EXPECT_TRUE(RunUnit(*pod_, "echo hi >/var/log/from-host/w").ExitedWith(0));
  EXPECT_EQ(ReadFile(machine_->request.state_dir + "/w").value(), "hi\n");
}

TEST_P(ContractTest, OverlayOfTheHostStaysReadOnly) {
  EXPECT_EQ(Cat("/run/host/sealed/one"), "host's");
  EXPECT_EQ(Cat("/run/host/sealed/two"), "host's");
  // Unlike a bind: its root has the power to remount, but here that is refused.
  EXPECT_FALSE(
      RunUnit(*pod_, "mount -o remount,rw /run/host/sealed").ExitedWith(0));
  EXPECT_FALSE(RunUnit(*pod_,
                       "mount -o remount,bind,rw /run/host/sealed; "
                       "echo x >/run/host/sealed/one")
                   .ExitedWith(0));
  EXPECT_EQ(ReadFile(machine_->request.state_dir + "/one/one").value(),
            "host's");
}

TEST_P(ContractTest, IsHealthy) {
  EXPECT_EQ(Out({"systemctl", "is-system-running", "--wait"}), "running")
      << Out({"systemctl", "--failed", "--no-pager"});
  // PID 1 has raised its own; what it starts gets what we gave it.
  EXPECT_EQ(RunUnit(*pod_, "ulimit -Sn").out, "1024\n");
  EXPECT_EQ(ReadFile(absl::StrCat("/proc/", pod_->init().pid, "/oom_score_adj"))
                .value(),
            "0\n");
}

// What would cost a start or stop time and do nothing in a pod.
TEST_P(ContractTest, IsSparedIdleWork) {
  EXPECT_EQ(Out({"readlink", "-f",
                 "/run/systemd/system-generators/systemd-gpt-auto-generator"}),
            "/dev/null");
  // One that finds work was run all the same.
  EXPECT_THAT(Out({"ls", "/run/systemd/generator/getty.target.wants"}),
              HasSubstr("console-getty.service"));
  // Later ones have no units for the mounts of credentials.
  if (absl::string_view(GetParam()) != "machine") return;
  constexpr char kCredentials[] =
      "run-credentials-systemd\\x2dsysctl.service.mount";
  EXPECT_EQ(Out({"systemctl", "show", "-P", "ActiveState", kCredentials}),
            "active");
  EXPECT_THAT(Out({"systemctl", "show", "-P", "Conflicts", kCredentials}),
              Not(HasSubstr("umount.target")));
}

TEST_P(ContractTest, PhasesAreInOrderAndTheShimIsSmall) {
  std::vector<BootPhase> phases = pod_->phases();
  std::vector<std::string> names;
  for (size_t i = 0; i < phases.size(); ++i) {
    names.push_back(phases[i].name);
    if (i == 0) continue;
    EXPECT_GE(phases[i].at, phases[i - 1].at) << phases[i].name;
    printf("%s: +%.1f ms\n", phases[i].name.c_str(),
           absl::ToDoubleMilliseconds(phases[i].at - phases[0].at));
  }
  EXPECT_THAT(names, ElementsAre("cgroup", "clone", "mounts", "exec", "ready"));
  pid_t shim = pod_->shim().pid;
  printf("shim: VmRSS %s, RssAnon %s\n", StatusField(shim, "VmRSS").c_str(),
         StatusField(shim, "RssAnon").c_str());
  printf("%s\n", ReadFile(absl::StrCat("/proc/", shim, "/smaps_rollup"))
                     .value_or("")
                     .c_str());
  int rss = 0;
  ASSERT_TRUE(absl::SimpleAtoi(
      absl::StripSuffix(StatusField(shim, "VmRSS"), " kB"), &rss));
  EXPECT_LT(rss, 3000);
  // Holds nothing of ours: the plan, the agent's descriptors, its directory.
  EXPECT_EQ(StatusField(shim, "Threads"), "1");
}

INSTANTIATE_TEST_SUITE_P(Guests, ContractTest,
                         ::testing::Values("machine", "machine-trixie"),
                         [](const auto& info) {
                           return absl::StrReplaceAll(info.param, {{"-", "_"}});
                         });

}  // namespace
}  // namespace davit::testing
