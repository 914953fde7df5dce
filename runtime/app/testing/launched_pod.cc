// TestPod::Start: a pod of the built-in stage1, booted by our own launcher.

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "runtime/app/testing/test_pod.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/launcher.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/userns/pod_userns.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {
namespace {

constexpr char kBusybox[] = "/bin/busybox";
constexpr const char* kApplets[] = {
    "cat",   "echo",  "env",   "grep", "head",   "id",   "kill", "ls",
    "mkdir", "mknod", "mount", "mv",   "printf", "ps",   "pwd",  "readlink",
    "seq",   "sh",    "sleep", "sort", "stty",   "test", "tty",  "wc"};

// $NAME, or "" if it is not set.
std::string Environment(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

// A binary of the build, named by the test's environment below its working
// directory.
std::string Tool(const char* variable) {
  return std::filesystem::absolute(Environment(variable));
}

std::string Stage1() {
  return Environment("DAVIT_TEST_IMAGES") + "/stage1.tar";
}

absl::Status Mount(const std::string& type, const std::string& target,
                   unsigned long flags, const std::string& options) {
  if (mount(type.c_str(), target.c_str(), type.c_str(), flags,
            options.c_str()) < 0) {
    return ErrnoError("mount(%s, %s, %s)", type, target, options);
  }
  return absl::OkStatus();
}

// Once a process: mount and network namespaces of our own, and the unpacked
// stage1, in memory over a directory that every system has: gone with us.
absl::StatusOr<std::string> SharedRoot() {
  const std::string directory = "/mnt";
  static const absl::Status& made = *new absl::Status([&]() -> absl::Status {
    if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0) {
      return ErrnoError("unshare(CLONE_NEWNS | CLONE_NEWNET)");
    }
    if (mount(nullptr, "/", nullptr, MS_SLAVE | MS_REC, nullptr) < 0) {
      return ErrnoError("mount(/, MS_SLAVE)");
    }
    RETURN_IF_ERROR(Mount("tmpfs", directory, 0, "mode=755"));
    ASSIGN_OR_RETURN(
        SubprocessResult result,
        RunSubprocess({.path = "/usr/bin/tar",
                       .argv = {"tar", "-C", directory, "-xf", Stage1()}}));
    if (!result.ExitedWith(0)) return absl::InternalError(result.err);
    return absl::OkStatus();
  }());
  RETURN_IF_ERROR(made);
  return directory;
}

absl::Status FillAppRoot(const std::string& root) {
  namespace fs = std::filesystem;
  for (const char* name : {"/bin", "/etc", "/out"}) {
    RETURN_IF_ERROR(MakeDirectories(root + name));
  }
  if (chmod((root + "/out").c_str(), 01777) < 0) return ErrnoError("chmod");
  fs::copy_file(kBusybox, root + "/bin/busybox");
  for (const char* applet : kApplets) {
    fs::create_symlink("busybox", root + "/bin/" + applet);
  }
  return WriteFileAtomic(root + "/etc/passwd",
                         "root:x:0:0:root:/root:/bin/sh\n"
                         "tester:x:1234:2345::/home/tester:/bin/sh\n");
}

class LaunchedPod : public TestPod {
 public:
  LaunchedPod() = default;
  ~LaunchedPod() override { Complain(Stop()); }

  absl::Status Boot(const std::vector<AppSpec>& apps, PodUsers users) {
    RETURN_IF_ERROR(MakeLayers(apps));
    RETURN_IF_ERROR(CopyLauncher());
    if (users == PodUsers::kOwn) RETURN_IF_ERROR(MakeUserns());
    RETURN_IF_ERROR(MountRoot());
    ASSIGN_OR_RETURN(
        launcher_,
        NewLauncher({.shim_path = Tool("DAVIT_SHIM"),
                     .cgroup_parent = absl::StrCat("davit-app-test-", getpid()),
                     .unified_dir = work_ / "unified"}));
    ref_.pod_id = NewUuid();
    BootRequest request = {
        .pod_id = ref_.pod_id,
        .hostname = "apptest",
        .rootfs = root(),
        .userns = userns_,
        .binds = {{.source = journal_dir(),
                   .target = "/var/log/journal",
                   .read_only = false}},
        .overlays = {{{work_ / "launcher", work_ / "empty"},
                      kAppLauncherDirInPod}},
        .files = BuildAppFiles(apps),
        .runtime_dir = work_ / "runtime",
        .state_dir = work_ / "state",
    };
    request.files.push_back({.path = "/run/systemd/journal/flushed"});
    request.files.push_back(
        {.path = "/etc/hosts", .content = "127.0.0.1 me\n"});
    ASSIGN_OR_RETURN(process_, launcher_->Start(request, {}), "boot");
    RETURN_IF_ERROR(process_->WaitReady(absl::Seconds(60)), "ready");
    ref_.init = process_->init();
    pod_apps_ = NewPodApps(Tool("DAVIT_APP"));
    return absl::OkStatus();
  }

  PodRef ref() const override { return ref_; }
  PodApps& apps() override { return *pod_apps_; }
  std::string journal_dir() const override { return work_ / "journal"; }

  absl::Status Stop() override {
    absl::Status stopped;
    if (process_ != nullptr) {
      stopped = process_->Stop(absl::Seconds(20)).status();
    }
    process_.reset();
    absl::Status unmounted = mounts_.Run();
    return stopped.ok() ? unmounted : stopped;
  }

 private:
  static void Complain(const absl::Status& status) {
    if (!status.ok()) fprintf(stderr, "%s\n", status.ToString().c_str());
  }

  std::string root() const { return work_ / "root"; }

  absl::Status MakeUserns() {
    IdRanges ranges({.directory = work_ / "ranges"});
    mounts_.Add("remove user namespace", [this, ranges] {
      return RemovePodUserns(ranges, work_ / "runtime");
    });
    ASSIGN_OR_RETURN(userns_, PreparePodUserns(ranges, work_ / "runtime"));
    return absl::OkStatus();
  }

  absl::Status CopyLauncher() {
    RETURN_IF_ERROR(MakeDirectories(work_ / "launcher"));
    RETURN_IF_ERROR(MakeDirectories(work_ / "empty"));
    std::error_code error;
    std::filesystem::copy_file(Tool("DAVIT_APP"), work_ / "launcher/davit-app",
                               error);
    if (!error) return absl::OkStatus();
    return absl::InternalError(
        absl::StrCat("copy ", Tool("DAVIT_APP"), ": ", error.message()));
  }

  absl::Status MakeLayers(const std::vector<AppSpec>& apps) {
    RETURN_IF_ERROR(SharedRoot().status());
    for (const char* name : {"root", "layer", "runtime", "state", "journal"}) {
      RETURN_IF_ERROR(MakeDirectories(work_ / name, 0700));
    }
    AddUnmount(work_ / "layer");
    RETURN_IF_ERROR(Mount("tmpfs", work_ / "layer", 0, "mode=755"));
    RETURN_IF_ERROR(MakeDirectories(work_ / "layer/upper"));
    RETURN_IF_ERROR(MakeDirectories(work_ / "layer/work"));
    for (const AppSpec& app : apps) {
      RETURN_IF_ERROR(
          FillAppRoot(work_ / "layer/upper" + AppRootInPod(app.name)),
          app.name);
    }
    return absl::OkStatus();
  }

  absl::Status MountRoot() {
    ASSIGN_OR_RETURN(std::string lower, SharedRoot());
    AddUnmount(root());
    return MountOverlay({{lower},
                         work_ / "layer/upper",
                         work_ / "layer/work",
                         root(),
                         userns_});
  }

  void AddUnmount(const std::string& path) {
    mounts_.Add("unmount " + path, [path] {
      if (umount2(path.c_str(), MNT_DETACH) < 0 && errno != EINVAL) {
        return ErrnoError("umount2(%s)", path);
      }
      return absl::OkStatus();
    });
  }

  TempDir work_;
  PodUserns userns_;
  Rollback mounts_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<PodProcess> process_;
  std::unique_ptr<PodApps> pod_apps_;
  PodRef ref_;
};

}  // namespace

std::string WhyNoPods() {
  if (geteuid() != 0) return "needs root";
  if (!PathExists(kBusybox)) return "needs /bin/busybox (busybox-static)";
  if (!PathExists(Stage1())) {
    return "needs $DAVIT_TEST_IMAGES/stage1.tar (deploy/images)";
  }
  return "";
}

absl::StatusOr<std::unique_ptr<TestPod>> TestPod::Start(
    const std::vector<AppSpec>& apps, PodUsers users) {
  auto pod = std::make_unique<LaunchedPod>();
  RETURN_IF_ERROR(pod->Boot(apps, users));
  return std::unique_ptr<TestPod>(std::move(pod));
}

}  // namespace davit::testing
