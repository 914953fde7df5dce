#include "runtime/boot/plan_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/strings/match.h"
#include "runtime/boot/plan_codec.h"
#include "runtime/boot/plan_steps.h"
#include "runtime/sandbox/capabilities.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Kind = FsStep::Kind;

constexpr char kId[] = "6f1a2f3e-4b5c-4d6e-8f70-112233445566";
constexpr char kBootId[] = "00000000-4b5c-4d6e-8f70-112233445566";

BootRequest Request() {
  BootRequest request;
  request.pod_id = kId;
  request.hostname = "web";
  request.rootfs = "/var/lib/davit/pods/x/rootfs";
  request.netns_path = "/run/netns/cni-x";
  request.runtime_dir = "/run/davit/pods/x";
  request.state_dir = "/var/lib/davit/pods/x";
  return request;
}

HostFacts Host() {
  return {.os_release = "# c\nID=debian\nVERSION_ID=\"12\"\nNAME='D'\nX\n",
          .seccomp_program = "bpf"};
}

PodCgroup Hybrid() {
  return PodCgroup::Plan({{.v2 = true,
                           .mount_point = "/sys/fs/cgroup/unified",
                           .own_path = "/",
                           .own_dir = "/sys/fs/cgroup/unified"},
                          {.controllers = {"cpu", "cpuacct"},
                           .mount_point = "/sys/fs/cgroup/cpu,cpuacct",
                           .own_path = "/",
                           .own_dir = "/sys/fs/cgroup/cpu,cpuacct"},
                          {.controllers = {"name=systemd"},
                           .mount_point = "/sys/fs/cgroup/systemd",
                           .own_path = "/",
                           .own_dir = "/sys/fs/cgroup/systemd"}},
                         "davit", kId, false);
}

PodCgroup Pure() {
  return PodCgroup::Plan({{.v2 = true,
                           .mount_point = "/sys/fs/cgroup",
                           .own_path = "/a",
                           .own_dir = "/sys/fs/cgroup/a"}},
                         "davit", kId, true);
}

LaunchPlan Build(const BootRequest& request, const PodCgroup& cgroup = Hybrid(),
                 const GuestFacts& guest = {.init = "/sbin/init",
                                            .systemd_version = 252}) {
  EXPECT_THAT(ValidateBootRequest(request), IsOk());
  return BuildLaunchPlan(request, Host(), guest, cgroup, kBootId);
}

// The position of the step of this kind at `target`, or -1.
int Find(const LaunchPlan& plan, Kind kind, const std::string& target) {
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    if (plan.steps[i].kind == kind && plan.steps[i].target == target) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

const FsStep& Get(const LaunchPlan& plan, Kind kind,
                  const std::string& target) {
  static const FsStep& none = *new FsStep;
  int at = Find(plan, kind, target);
  EXPECT_GE(at, 0) << target;
  return at < 0 ? none : plan.steps[at];
}

TEST(BuildLaunchPlan, SetsTheEnvironmentOfTheContainerInterface) {
  BootRequest request = Request();
  request.credentials["a"] = "secret";
  request.env["TERM"] = "xterm";
  request.env["MINE"] = "1=2";
  LaunchPlan plan = Build(request);
  EXPECT_THAT(plan.env, Contains("container=davit"));
  EXPECT_THAT(plan.env, Contains(std::string("container_uuid=") + kId));
  EXPECT_THAT(plan.env, Contains("container_host_id=debian"));
  EXPECT_THAT(plan.env, Contains("container_host_version_id=12"));
  EXPECT_THAT(plan.env, Not(Contains(StartsWith("container_host_build_id="))));
  EXPECT_THAT(plan.env, Contains("NOTIFY_SOCKET=/run/host/notify"));
  EXPECT_THAT(plan.env,
              Contains("CREDENTIALS_DIRECTORY=/run/host/credentials"));
  EXPECT_THAT(plan.env, Contains("TERM=xterm"));
  EXPECT_THAT(plan.env, Not(Contains("TERM=dumb")));
  EXPECT_THAT(plan.env, Contains("MINE=1=2"));
  EXPECT_THAT(Build(Request()).env,
              Not(Contains(StartsWith("CREDENTIALS_DIRECTORY="))));
}

TEST(BuildLaunchPlan, ChoosesWhatToExecute) {
  BootRequest request = Request();
  request.init_args = {"--log-target=console"};
  EXPECT_THAT(Build(request).argv,
              ElementsAre("/sbin/init", "--log-target=console"));
  request.init_argv = {"/bin/sleep", "9"};
  EXPECT_THAT(Build(request).argv,
              ElementsAre("/bin/sleep", "9", "--log-target=console"));
}

TEST(BuildLaunchPlan, MakesPrivateDevices) {
  LaunchPlan plan = Build(Request());
  const FsStep& null = Get(plan, Kind::kNode, "/dev/null");
  EXPECT_EQ(null.mode, static_cast<mode_t>(S_IFCHR | 0666));
  EXPECT_EQ(null.device, makedev(1, 3));
  // NO3, NO4, NO5: no kernel log, no VTs, nothing else.
  int nodes = 0;
  for (const FsStep& step : plan.steps) {
    if (step.kind == Kind::kNode && absl::StartsWith(step.target, "/dev/")) {
      ++nodes;
    }
  }
  EXPECT_EQ(nodes, 6);
  EXPECT_LT(Find(plan, Kind::kMount, "/dev/pts"),
            Find(plan, Kind::kConsole, "/dev/console"));
  EXPECT_THAT(plan.devices, Contains(DeviceRule{'c', 1, 3, "rwm"}));
  EXPECT_THAT(plan.devices, Contains(DeviceRule{'c', 136, -1, "rw"}));
  EXPECT_EQ(plan.devices.size(), 8u);
}

TEST(BuildLaunchPlan, FillsRunHostThenMakesItReadOnly) {
  BootRequest request = Request();
  request.credentials["db"] = std::string("p\0w", 3);
  LaunchPlan plan = Build(request);
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/container-manager").source,
            "davit\n");
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/container-uuid").source,
            std::string(kId) + "\n");
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/os-release").source,
            Host().os_release);
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/credentials/db").source,
            std::string("p\0w", 3));
  EXPECT_EQ(Get(plan, Kind::kNode, "/run/host/inaccessible/blk").mode,
            static_cast<mode_t>(S_IFBLK));
  int sealed = Find(plan, Kind::kReadOnly, "/run/host");
  for (size_t i = 0; i < plan.steps.size(); ++i) {
    const FsStep& step = plan.steps[i];
    if (absl::StartsWith(step.target, "/run/host/")) {
      EXPECT_LT(static_cast<int>(i), sealed) << step.target;
    }
  }
  EXPECT_LT(Find(plan, Kind::kFile, "/run/host/credentials/db"),
            Find(plan, Kind::kReadOnly, "/run/host/credentials"));
}

TEST(BuildLaunchPlan, MountsCredentialsIfThereAreSome) {
  BootRequest request = Request();
  EXPECT_EQ(Find(Build(request), Kind::kMount, "/run/host/credentials"), -1);
  request.credentials["db"] = "secret";
  EXPECT_GE(Find(Build(request), Kind::kMount, "/run/host/credentials"), 0);
}

TEST(BuildLaunchPlan, MasksTheGeneratorsThatHaveNothingToDo) {
  constexpr char kMasks[] = "/run/systemd/system-generators";
  LaunchPlan plan = Build(Request());
  for (const FsStep& step : plan.steps) {
    EXPECT_THAT(step.target, Not(StartsWith(kMasks)));
  }
  plan = Build(Request(), Hybrid(),
               {.init = "/sbin/init", .idle_generators = {"idle-generator"}});
  EXPECT_EQ(
      Get(plan, Kind::kSymlink, "/run/systemd/system-generators/idle-generator")
          .source,
      "/dev/null");
}

TEST(BuildLaunchPlan, PausesGeneratorsThatHaveNothingToDoNow) {
  constexpr char kMask[] = "/run/systemd/system-generators/fstab-generator";
  constexpr char kRules[] = "/run/tmpfiles.d/davit-start.conf";
  const GuestFacts guest = {
      .init = "/sbin/init",
      .paused_generators = {{"fstab-generator", "/etc/fstab"}}};
  LaunchPlan plan = Build(Request(), Hybrid(), guest);
  EXPECT_EQ(Get(plan, Kind::kSymlink, kMask).source, "/dev/null");
  EXPECT_EQ(Get(plan, Kind::kFile, kRules).source,
            absl::StrCat("r! ", kMask, "\n"));
  // What it could find something in.
  BootRequest request = Request();
  request.files = {{.path = "/etc/fstab", .content = "none /x tmpfs"}};
  EXPECT_EQ(Find(Build(request, Hybrid(), guest), Kind::kSymlink, kMask), -1);
  request = Request();
  request.init_args = {"systemd.run=/bin/true"};
  EXPECT_EQ(Find(Build(request, Hybrid(), guest), Kind::kSymlink, kMask), -1);
  request = Request();
  request.credentials["fstab.extra"] = "none /x tmpfs";
  plan = Build(request, Hybrid(), guest);
  EXPECT_EQ(Find(plan, Kind::kSymlink, kMask), -1);
  EXPECT_EQ(Find(plan, Kind::kFile, kRules), -1);
}

TEST(BuildLaunchPlan, SparesServicesTheMountsForNoCredentials) {
  constexpr char kDropIn[] = "/run/systemd/system/a.service.d/davit-start.conf";
  const GuestFacts guest = {.init = "/sbin/init",
                            .credential_readers = {"a.service"}};
  LaunchPlan plan = Build(Request(), Hybrid(), guest);
  EXPECT_EQ(Get(plan, Kind::kFile, kDropIn).source,
            "[Service]\nLoadCredential=\n");
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/tmpfiles.d/davit-start.conf").source,
            absl::StrCat("r! ", kDropIn, "\n"));
  BootRequest request = Request();
  request.credentials["sysctl.extra"] = "net.ipv4.ip_forward=1";
  EXPECT_EQ(Find(Build(request, Hybrid(), guest), Kind::kFile, kDropIn), -1);
}

TEST(BuildLaunchPlan, LeavesCredentialsOfServicesToThem) {
  LaunchPlan plan = Build(Request());
  EXPECT_THAT(Get(plan, Kind::kFile,
                  "/run/systemd/system/run-credentials-.mount.d/davit.conf")
                  .source,
              HasSubstr("DefaultDependencies=no"));
}

TEST(BuildLaunchPlan, OpensProcSysNetWithAnOwnNetworkOnly) {
  LaunchPlan own = Build(Request());
  EXPECT_GE(Find(own, Kind::kBind, "/proc/sys/net"), 0);
  EXPECT_LT(Find(own, Kind::kBind, "/proc/sys/net"),
            Find(own, Kind::kReadOnly, "/proc/sys"));
  EXPECT_EQ(own.bounding_capabilities, DefaultPodCapabilities());
  BootRequest request = Request();
  request.netns_path = "";
  LaunchPlan host = Build(request);
  EXPECT_EQ(Find(host, Kind::kBind, "/proc/sys/net"), -1);
  EXPECT_NE(Get(host, Kind::kBind, "/proc/sys").attributes & MOUNT_ATTR_RDONLY,
            0u);
  EXPECT_EQ(host.bounding_capabilities & (1u << CAP_NET_ADMIN), 0u);
}

TEST(BuildLaunchPlan, MasksProcAndGivesAnOwnBootId) {
  LaunchPlan plan = Build(Request());
  for (const char* path :
       {"/proc/kallsyms", "/proc/kcore", "/proc/sysrq-trigger", "/proc/keys"}) {
    const FsStep& mask = Get(plan, Kind::kBind, path);
    EXPECT_EQ(mask.source, "/run/host/inaccessible/reg");
    EXPECT_TRUE(mask.if_present);
  }
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/.davit-boot-id").source,
            std::string(kBootId) + "\n");
  EXPECT_GE(Find(plan, Kind::kRemove, "/run/.davit-boot-id"), 0);
  EXPECT_LT(Find(plan, Kind::kReadOnly, "/proc/sys"),
            Find(plan, Kind::kBind, "/proc/sys/kernel/random/boot_id"));
}

TEST(BuildLaunchPlan, ShowsTheHostsHierarchiesToAnOldSystemd) {
  LaunchPlan plan = Build(Request());
  EXPECT_EQ(Get(plan, Kind::kMount, "/sys/fs/cgroup").source, "tmpfs");
  EXPECT_EQ(Get(plan, Kind::kMount, "/sys/fs/cgroup/unified").attributes &
                MOUNT_ATTR_RDONLY,
            0u);
  const FsStep& cpu = Get(plan, Kind::kMount, "/sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(cpu.source, "cgroup");
  EXPECT_EQ(cpu.options, "cpu,cpuacct");
  EXPECT_NE(cpu.attributes & MOUNT_ATTR_RDONLY, 0u);
  const FsStep& systemd = Get(plan, Kind::kMount, "/sys/fs/cgroup/systemd");
  EXPECT_EQ(systemd.options, "none,name=systemd");
  EXPECT_EQ(systemd.attributes & MOUNT_ATTR_RDONLY, 0u);
  EXPECT_EQ(Get(plan, Kind::kSymlink, "/sys/fs/cgroup/cpuacct").source,
            "cpu,cpuacct");
  EXPECT_LT(Find(plan, Kind::kReadOnly, "/sys/fs/cgroup"),
            Find(plan, Kind::kReadOnly, "/sys"));
}

TEST(BuildLaunchPlan, ShowsV2AloneToANewSystemdAndOnPureHosts) {
  LaunchPlan fresh = Build(Request(), Hybrid(),
                           {.init = "/sbin/init", .systemd_version = 258});
  EXPECT_EQ(Get(fresh, Kind::kMount, "/sys/fs/cgroup").source, "cgroup2");
  EXPECT_EQ(Find(fresh, Kind::kMount, "/sys/fs/cgroup/systemd"), -1);
  // The processes are in all hierarchies all the same: the limits hold.
  EXPECT_EQ(fresh.cgroups.size(), 3u);
  LaunchPlan pure = Build(Request(), Pure());
  EXPECT_EQ(Get(pure, Kind::kMount, "/sys/fs/cgroup").source, "cgroup2");
}

TEST(BuildLaunchPlan, PutsFilesAndBindsLast) {
  BootRequest request = Request();
  request.files = {
      {.path = "/etc/a", .content = "x", .mode = 0600},
      {.path = "/etc/b", .symlink_target = "a", .only_if_absent = true}};
  request.binds = {{"/host/log", "/var/log/journal", false},
                   {"/host/ro", "/opt/ro"}};
  LaunchPlan plan = Build(request);
  size_t n = plan.steps.size();
  EXPECT_EQ(plan.steps[n - 4], (FsStep{.kind = Kind::kFile,
                                       .target = "/etc/a",
                                       .source = "x",
                                       .mode = 0600}));
  EXPECT_EQ(plan.steps[n - 3].kind, Kind::kSymlink);
  EXPECT_TRUE(plan.steps[n - 3].only_if_absent);
  EXPECT_EQ(plan.steps[n - 2], (FsStep{.kind = Kind::kHostBind,
                                       .target = "/var/log/journal",
                                       .source = "/host/log",
                                       .recursive = true}));
  EXPECT_EQ(plan.steps[n - 1].attributes, uint64_t{MOUNT_ATTR_RDONLY});
}

TEST(BuildLaunchPlan, MountsOverlaysOfTheHostReadOnly) {
  BootRequest request = Request();
  request.overlays = {{{"/host/a", "/host/b"}, "/run/host/both"}};
  LaunchPlan plan = Build(request);
  EXPECT_LT(Find(plan, Kind::kHostMount, "/run/host/both"),
            Find(plan, Kind::kReadOnly, "/run/host"));
  EXPECT_EQ(Get(plan, Kind::kHostMount, "/run/host/both"),
            (FsStep{.kind = Kind::kHostMount,
                    .target = "/run/host/both",
                    .source = "overlay",
                    .options = "lowerdir=/host/a:/host/b",
                    .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                  MOUNT_ATTR_NODEV}));
}

TEST(BuildLaunchPlan, TakesOverTheImagesMachineId) {  // EV2
  constexpr char kPreset[] = "01234567-89ab-cdef-0123-456789abcdef";
  LaunchPlan plan = Build(Request(), Hybrid(),
                          {.init = "/sbin/init", .preset_uuid = kPreset});
  EXPECT_THAT(plan.env, Contains(std::string("container_uuid=") + kPreset));
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/container-uuid").source,
            std::string(kPreset) + "\n");
  EXPECT_EQ(plan.pod_id, kId);
}

TEST(BuildLaunchPlan, MakesTheTerminalsThatItNames) {  // EV3
  BootRequest request = Request();
  request.extra_ttys = 2;
  LaunchPlan plan = Build(request);
  EXPECT_THAT(plan.env, Contains("container_ttys=pts/1 pts/2"));
  int console = Find(plan, Kind::kConsole, "/dev/console");
  EXPECT_EQ(Find(plan, Kind::kTty, "/dev/pts/1"), console + 1);
  EXPECT_EQ(Find(plan, Kind::kTty, "/dev/pts/2"), console + 2);
}

TEST(BuildLaunchPlan, LinksTheTimeZone) {  // AI1
  auto plan_of = [](const std::string& zone, bool guest_has_it) {
    HostFacts host = Host();
    host.timezone = zone;
    return BuildLaunchPlan(Request(), host,
                           {.init = "/i", .has_timezone = guest_has_it},
                           Hybrid(), kBootId);
  };
  constexpr char kFile[] = "/usr/share/zoneinfo/Asia/Tokyo";
  LaunchPlan bound = plan_of("Asia/Tokyo", false);
  EXPECT_EQ(Get(bound, Kind::kSymlink, "/etc/localtime").source,
            std::string("..") + kFile);
  EXPECT_EQ(Get(bound, Kind::kHostBind, kFile).source, kFile);
  LaunchPlan own = plan_of("Asia/Tokyo", true);
  EXPECT_GE(Find(own, Kind::kSymlink, "/etc/localtime"), 0);
  EXPECT_EQ(Find(own, Kind::kHostBind, kFile), -1);
  EXPECT_EQ(Find(plan_of("Etc/UTC", false), Kind::kSymlink, "/etc/localtime"),
            -1);
  EXPECT_GE(Find(plan_of("Etc/UTC", true), Kind::kSymlink, "/etc/localtime"),
            0);
  EXPECT_EQ(Find(plan_of("", true), Kind::kSymlink, "/etc/localtime"), -1);
}

TEST(BuildLaunchPlan, DescribesUsersOfTheHost) {  // RH10, RH11
  BootRequest request = Request();
  request.users = {{.name = "alice", .uid = 4711, .gid = 4712, .home = "/h/a"}};
  LaunchPlan plan = Build(request);
  EXPECT_EQ(Get(plan, Kind::kFile, "/run/host/userdb/alice.user").source,
            "{\"disposition\":\"regular\",\"gid\":4712,\"homeDirectory\":"
            "\"/run/host/home/alice\",\"shell\":\"/bin/sh\",\"uid\":4711,"
            "\"userName\":\"alice\"}\n");
  EXPECT_EQ(Get(plan, Kind::kSymlink, "/run/host/userdb/4712.group").source,
            "alice.group");
  EXPECT_EQ(Get(plan, Kind::kHostBind, "/run/host/home/alice").source, "/h/a");
  EXPECT_LT(Find(plan, Kind::kHostBind, "/run/host/home/alice"),
            Find(plan, Kind::kReadOnly, "/run/host"));
}

TEST(ValidateBootRequest, NamesTheField) {
  auto check = [](const char* field, auto change) {
    BootRequest request = Request();
    change(request);
    EXPECT_THAT(ValidateBootRequest(request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(field)))
        << field;
  };
  check("pod_id", [](BootRequest& r) { r.pod_id = "../x"; });
  check("hostname", [](BootRequest& r) { r.hostname = ""; });
  check("hostname", [](BootRequest& r) { r.hostname = "a b"; });
  check("hostname", [](BootRequest& r) { r.hostname = std::string(65, 'a'); });
  check("rootfs", [](BootRequest& r) { r.rootfs = "x"; });
  check("runtime_dir", [](BootRequest& r) { r.runtime_dir = ""; });
  check("state_dir", [](BootRequest& r) { r.state_dir = "/a/../b"; });
  check("netns_path", [](BootRequest& r) { r.netns_path = "x"; });
  check("init_argv[0]", [](BootRequest& r) { r.init_argv = {"init"}; });
  check("init_args[1]", [](BootRequest& r) {
    r.init_args = {"a", std::string("\0", 1)};
  });
  check("env[\"A=\"]", [](BootRequest& r) { r.env["A="] = ""; });
  check("env[\"\"]", [](BootRequest& r) { r.env[""] = ""; });
  check("credentials[\"a/b\"]",
        [](BootRequest& r) { r.credentials["a/b"] = ""; });
  check("credentials[\"..\"]",
        [](BootRequest& r) { r.credentials[".."] = ""; });
  check("binds[0].source", [](BootRequest& r) { r.binds = {{"a", "/b"}}; });
  check("binds[1].target", [](BootRequest& r) {
    r.binds = {{"/a", "/b"}, {"/a", "b/.."}};
  });
  check("overlays[0].target", [](BootRequest& r) {
    r.overlays = {{{"/a", "/b"}, "/run/c"}};
  });
  check("overlays[0].lower_dirs", [](BootRequest& r) {
    r.overlays = {{{"/a"}, "/run/host/c"}};
  });
  check("overlays[0].lower_dirs", [](BootRequest& r) {
    r.overlays = {{{"/a", "/b,upperdir=/x"}, "/run/host/c"}};
  });
  check("users[0].name",
        [](BootRequest& r) { r.users = {{.name = "a/b", .uid = 1}}; });
  check("users[0].name",
        [](BootRequest& r) { r.users = {{.name = "..", .uid = 1}}; });
  check("uid 0", [](BootRequest& r) { r.users = {{.name = "toor"}}; });
  check("users[0].home", [](BootRequest& r) {
    r.users = {{.name = "a", .uid = 1, .gid = 1, .home = "x"}};
  });
  check("extra_ttys", [](BootRequest& r) { r.extra_ttys = 9; });
  check("journal_dir", [](BootRequest& r) { r.journal_dir = "x"; });
  check("userns.path", [](BootRequest& r) { r.userns = {"x", 65536}; });
  check("userns.base", [](BootRequest& r) { r.userns = {"/x", 1000}; });
  check("files[0].path", [](BootRequest& r) { r.files = {{.path = "etc"}}; });
}

TEST(PlanCodec, RoundTrip) {
  BootRequest request = Request();
  request.credentials["bin"] = std::string("\0\xff", 2);
  request.files = {
      {.path = "/a", .symlink_target = "b", .only_if_absent = true}};
  request.binds = {{"/h", "/t"}};
  request.overlays = {{{"/a", "/b"}, "/run/host/c"}};
  request.extra_ttys = 1;
  request.listen_fds = {7, 8};
  request.userns = {"/run/userns", 3 << 16};
  LaunchPlan plan = Build(request);
  plan.cgroup_made_usec = 1234567890123456;
  ASSERT_OK_AND_ASSIGN(LaunchPlan back,
                       DecodeLaunchPlan(EncodeLaunchPlan(plan)));
  EXPECT_EQ(back, plan);
}

TEST(PlanCodec, RefusesWhatIsNoPlan) {
  EXPECT_THAT(DecodeLaunchPlan(""), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(DecodeLaunchPlan("\xff\xff\xff"),
              StatusIs(absl::StatusCode::kDataLoss));
  std::string bytes = EncodeLaunchPlan(Build(Request()));
  for (size_t cut : {size_t{1}, bytes.size() / 2, bytes.size() - 1}) {
    EXPECT_THAT(DecodeLaunchPlan(bytes.substr(0, cut)),
                StatusIs(absl::StatusCode::kDataLoss))
        << cut;
  }
}

}  // namespace
}  // namespace davit
