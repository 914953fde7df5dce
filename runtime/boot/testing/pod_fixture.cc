#include "runtime/boot/testing/pod_fixture.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/bare_mounts.h"
#include "runtime/boot/plan_builder.h"
#include "runtime/boot/root_inspector.h"
#include "runtime/boot/shim_process.h"
#include "runtime/boot/shim_record.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/pod_home.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sandbox/seccomp.h"
#include "runtime/sandbox/seccomp_profile.h"
#include "runtime/userns/pod_userns.h"
#include "runtime/userns/user_namespace.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

constexpr char kDefaultImages[] = "/var/cache/davit/images/current";
constexpr char kPath[] =
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

void Require(bool ok, const std::string& what) {
  if (ok) return;
  fprintf(stderr, "test world: %s: %s\n", what.c_str(), strerror(errno));
  abort();
}

SubprocessResult MustRun(std::vector<std::string> argv) {
  SubprocessSpec spec;
  spec.path = argv[0];
  spec.argv = std::move(argv);
  spec.env = {kPath};
  spec.timeout = Patience(absl::Seconds(120));
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  EXPECT_THAT(result, IsOk());
  return result.value_or(SubprocessResult{.wait_status = 255 << 8});
}

std::string PinNetns(const std::string& path) {
  std::ofstream(path).close();
  std::thread([&] {
    Require(unshare(CLONE_NEWNET) == 0, "unshare(CLONE_NEWNET)");
    std::string self = absl::StrCat("/proc/self/task/", gettid(), "/ns/net");
    Require(mount(self.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) == 0,
            "mount(" + path + ")");
  }).join();
  return path;
}

}  // namespace

std::string TestImagesDirectory() {
  const char* named = getenv("DAVIT_TEST_IMAGES");
  std::string directory = named != nullptr ? named : kDefaultImages;
  return PathExists(directory) ? directory : "";
}

std::string AnyGuest() {
  const char* guest = getenv("DAVIT_TEST_GUEST");
  return guest == nullptr ? "machine" : guest;
}

std::string ShimPath() {
  return absl::StrCat(getenv("TEST_SRCDIR"), "/davit/runtime/boot/davit-shim");
}

std::string ProbePath() {
  return absl::StrCat(getenv("TEST_SRCDIR"),
                      "/davit/runtime/boot/testing/pod-probe");
}

std::string StatusField(pid_t pid, const std::string& field) {
  std::string text =
      ReadFile(absl::StrCat("/proc/", pid, "/status")).value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, field + ":")) {
      return std::string(absl::StripAsciiWhitespace(line));
    }
  }
  return "";
}

TestWorld* TestWorld::Get(std::string& why) {
  if (getuid() != 0) {
    why = "needs root";
    return nullptr;
  }
  if (TestImagesDirectory().empty()) {
    why = "no root images: set DAVIT_TEST_IMAGES or run deploy/images";
    return nullptr;
  }
  static TestWorld world;
  return &world;
}

TestWorld::TestWorld() {
  Require(unshare(CLONE_NEWNS) == 0, "unshare(CLONE_NEWNS)");
  Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
          "mount(/, MS_PRIVATE)");
  const char* parent = getenv("DAVIT_TEST_WORLD");
  // Short, since it holds sockets (unix(7): 107 characters).
  directory_ =
      absl::StrCat(parent == nullptr ? "/tmp" : parent, "/davit-world-XXXXXX");
  Require(mkdtemp(directory_.data()) != nullptr, "mkdtemp");
  if (parent == nullptr) {
    Require(mount("tmpfs", directory_.c_str(), "tmpfs", 0, "mode=755") == 0,
            "mount(tmpfs)");
  }
  Require(chmod(directory_.c_str(), 0755) == 0, "chmod(" + directory_ + ")");
  netns_ = PinNetns(directory_ + "/netns");
}

TestWorld::~TestWorld() {
  if (getpid() != owner_) return;  // a child that called exit(3)
  umount2(netns_.c_str(), MNT_DETACH);
  umount2(directory_.c_str(), MNT_DETACH);  // if it is a mount
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

const std::string& TestWorld::Image(const std::string& name) {
  std::string& root = images_[name];
  if (!root.empty()) return root;
  root = TestImagesDirectory() + "/" + name;
  if (PathExists(root)) return root;
  root = directory_ + "/" + name;
  Require(MakeDirectories(root).ok(), root);
  SubprocessResult unpacked =
      MustRun({"/bin/tar", "--numeric-owner", "-C", root, "-xf",
               TestImagesDirectory() + "/" + name + ".tar"});
  EXPECT_TRUE(unpacked.ExitedWith(0)) << unpacked.err;
  return root;
}

void PodFixture::SetUp() {
  std::string why;
  world_ = TestWorld::Get(why);
  if (world_ == nullptr) GTEST_SKIP() << why;
  cgroup_parent_ = absl::StrCat("davit-boot-test-", getpid());
  NewAgent();
}

void PodFixture::NewAgent() {
  launcher_.reset();
  const absl::StatusOr<KernelGuard>& guard = world_->guard();
  ASSERT_OK_AND_ASSIGN(launcher_,
                       NewLauncher({.shim_path = ShimPath(),
                                    .cgroup_parent = cgroup_parent_,
                                    .unified_dir = UnifiedDir(),
                                    .guard = guard.ok() ? &*guard : nullptr}));
}

void PodFixture::TearDown() {
  if (world_ == nullptr) return;
  for (const BootRequest& request : requests_) {
    EXPECT_THAT(launcher_->Destroy(request.pod_id, request.runtime_dir),
                IsOk());
    EXPECT_EQ(umount2(request.rootfs.c_str(), 0), 0) << strerror(errno);
    if (!request.userns.path.empty()) {
      IdRanges ranges({.directory = world_->directory() + "/id-ranges"});
      EXPECT_THAT(RemovePodUserns(ranges, request.runtime_dir), IsOk());
      EXPECT_THAT(UnpinNamespace(request.netns_path), IsOk());
    }
    EXPECT_THAT(
        Traces(request),
        ::testing::Not(::testing::HasSubstr(request.runtime_dir + "/")));
    std::filesystem::remove_all(
        std::filesystem::path(request.rootfs).parent_path());
  }
  ASSERT_OK_AND_ASSIGN(auto left, launcher_->ListCgroups());
  EXPECT_THAT(left, ::testing::IsEmpty());
  ASSERT_OK_AND_ASSIGN(auto hierarchies, DiscoverCgroupHierarchies());
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    EXPECT_FALSE(PathExists(hierarchy.own_dir + "/" + cgroup_parent_));
  }
  launcher_.reset();
  // Every shim that we started has ended and been reaped.
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
}

BootRequest PodFixture::NewDirectories() {
  BootRequest request;
  request.pod_id = NewUuid();
  std::string home = absl::StrCat(world_->directory(), "/", request.pod_id);
  for (const char* name : {"/root", "/upper", "/work", "/run", "/state"}) {
    EXPECT_THAT(MakeDirectories(home + name, 0700), IsOk());
  }
  chmod((home + "/upper").c_str(), 0755);
  request.hostname = "testpod";
  request.rootfs = home + "/root";
  request.netns_path = world_->netns();
  request.runtime_dir = home + "/run";
  request.state_dir = home + "/state";
  return request;
}

BootRequest PodFixture::NewRequest(const std::string& image) {
  BootRequest request = NewDirectories();
  std::string home = absl::StrCat(world_->directory(), "/", request.pod_id);
  EXPECT_THAT(MountOverlay({{world_->Image(image)},
                            home + "/upper",
                            home + "/work",
                            request.rootfs}),
              IsOk());
  requests_.push_back(request);
  return request;
}

BootRequest PodFixture::NewUsernsRequest(const std::string& image) {
  BootRequest request = NewDirectories();
  std::string home = absl::StrCat(world_->directory(), "/", request.pod_id);
  IdRanges ranges({.directory = world_->directory() + "/id-ranges"});
  absl::StatusOr<PodUserns> userns =
      PreparePodUserns(ranges, request.runtime_dir);
  EXPECT_THAT(userns, IsOk());
  request.userns = userns.value_or(PodUserns());
  EXPECT_THAT(MountOverlay({{world_->Image(image)},
                            home + "/upper",
                            home + "/work",
                            request.rootfs,
                            request.userns}),
              IsOk());
  request.netns_path = home + "/netns";
  UniqueFd fd(open(request.userns.path.c_str(), O_RDONLY | O_CLOEXEC));
  absl::StatusOr<UniqueFd> netns = CreateNetnsOwnedBy(fd.get());
  EXPECT_THAT(netns, IsOk());
  if (netns.ok()) {
    EXPECT_THAT(PinNamespace(netns->get(), request.netns_path), IsOk());
  }
  requests_.push_back(request);
  return request;
}

std::unique_ptr<PodProcess> PodFixture::StartReady(const BootRequest& request,
                                                   PodListener listener) {
  absl::StatusOr<std::unique_ptr<PodProcess>> pod =
      launcher_->Start(request, std::move(listener));
  EXPECT_THAT(pod, IsOk());
  if (!pod.ok()) return nullptr;
  absl::Status ready = (*pod)->WaitReady(Patience(absl::Seconds(60)));
  EXPECT_THAT(ready, IsOk())
      << ReadFile(request.state_dir + "/console.log").value_or("");
  if (!ready.ok()) return nullptr;
  return *std::move(pod);
}

bool HasUserns(pid_t pid) {
  std::error_code error;
  return std::filesystem::read_symlink(absl::StrCat("/proc/", pid, "/ns/user"),
                                       error) !=
         std::filesystem::read_symlink("/proc/self/ns/user", error);
}

SubprocessResult PodFixture::Look(const PodProcess& pod,
                                  std::vector<std::string> argv) {
  std::vector<std::string> command = {"/usr/bin/nsenter",
                                      "-t",
                                      absl::StrCat(pod.init().pid),
                                      "-m",
                                      "-u",
                                      "-i",
                                      "-n",
                                      "-p",
                                      "-C"};
  // Without it we would be nobody inside.
  if (HasUserns(pod.init().pid)) {
    command.insert(command.end(), {"-U", "--setuid=0", "--setgid=0"});
  }
  command.push_back("--");
  command.insert(command.end(), argv.begin(), argv.end());
  return MustRun(std::move(command));
}

SubprocessResult PodFixture::RunUnit(const PodProcess& pod,
                                     const std::string& script,
                                     std::vector<std::string> properties) {
  constexpr char kOut[] = "/run/unit.out", kErr[] = "/run/unit.err";
  // Collected, or one that fails leaves the machine "degraded".
  std::vector<std::string> command = {"systemd-run", "--quiet", "--collect"};
  const bool bus = PathExists(absl::StrCat("/proc/", pod.init().pid,
                                           "/root/run/dbus/system_bus_socket"));
  if (bus) {
    command.insert(command.end(), {"--wait", "--pipe"});
  } else {
    // systemd itself is asked then, who tells of jobs and not of ends.
    properties.push_back("Type=oneshot");
    properties.push_back(absl::StrCat("StandardOutput=truncate:", kOut));
    properties.push_back(absl::StrCat("StandardError=truncate:", kErr));
  }
  for (std::string& property : properties) {
    command.push_back("-p");
    command.push_back(std::move(property));
  }
  command.insert(command.end(), {"/bin/sh", "-c", script});
  SubprocessResult result = Look(pod, std::move(command));
  if (bus) return result;
  result.out = Look(pod, {"cat", kOut}).out;
  result.err = Look(pod, {"cat", kErr}).out;
  return result;
}

std::string PodFixture::OutOf(const PodProcess& pod,
                              std::vector<std::string> argv) {
  SubprocessResult result = Look(pod, std::move(argv));
  EXPECT_TRUE(result.ExitedWith(0)) << result.out << result.err;
  return std::string(absl::StripAsciiWhitespace(result.out));
}

std::string PodFixture::MountOptionsOf(const PodProcess& pod,
                                       const std::string& path) {
  std::string options;
  std::string text =
      ReadFile(absl::StrCat("/proc/", pod.init().pid, "/mountinfo"))
          .value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> fields = absl::StrSplit(line, ' ');
    if (fields.size() > 6 && fields[4] == path) {
      options = fields[5] + " " + fields[6];
    }
  }
  return options;
}

absl::StatusOr<std::unique_ptr<PodProcess>> PodFixture::StartEdited(
    const BootRequest& request, const std::function<void(LaunchPlan&)>& edit) {
  ASSIGN_OR_RETURN(PodHome home, PodHome::Open(cgroup_parent_, UnifiedDir()));
  ASSIGN_OR_RETURN(SeccompFilter filter,
                   SeccompFilter::Create(PodSeccompProfile()));
  ASSIGN_OR_RETURN(GuestFacts guest, InspectRoot(request.rootfs, true));
  ASSIGN_OR_RETURN(UniqueFd bare_mounts, NewBareMounts());
  std::optional<ShimProcess> shim;
  ASSIGN_OR_RETURN(
      PodCgroup cgroup,
      home.Make(
          request.pod_id, "edited", {}, CgroupRecordPath(request.runtime_dir),
          [&](int into) -> absl::StatusOr<pid_t> {
            ASSIGN_OR_RETURN(ShimProcess started,
                             ShimProcess::Start(ShimPath(), request.pod_id,
                                                bare_mounts.get(), {}, into));
            return shim.emplace(std::move(started)).child();
          }));
  LaunchPlan plan = BuildLaunchPlan(
      request, {.seccomp_program = filter.Export()}, guest, cgroup, NewUuid());
  edit(plan);
  RETURN_IF_ERROR(shim->SendPlan(plan));
  RETURN_IF_ERROR(shim->AwaitState(Patience(absl::Seconds(60))).status());
  // The launcher takes it up as another agent's; we remain its parent.
  std::move(*shim).Release();
  return launcher_->Recover(request.pod_id, request.runtime_dir,
                            request.state_dir, {});
}

std::string PodFixture::Traces(const BootRequest& request) {
  std::vector<std::string> lines;
  auto hierarchies = DiscoverCgroupHierarchies();
  for (const CgroupHierarchy& hierarchy : *hierarchies) {
    std::string parent = hierarchy.own_dir + "/" + cgroup_parent_;
    if (PathExists(parent)) lines.push_back(parent);
  }
  for (const std::string& directory :
       {request.runtime_dir, request.state_dir}) {
    std::error_code ignored;
    for (const auto& entry :
         std::filesystem::directory_iterator(directory, ignored)) {
      lines.push_back(entry.path());
    }
  }
  lines.push_back(ReadFile("/proc/self/mountinfo").value_or(""));
  lines.push_back(absl::StrCat(
      "children: ",
      ReadFile(absl::StrCat("/proc/self/task/", getpid(), "/children"))
          .value_or("")));
  std::sort(lines.begin(), lines.end());
  return absl::StrJoin(lines, "\n");
}

}  // namespace davit::testing
