#ifndef DAVIT_RUNTIME_BOOT_TESTING_POD_FIXTURE_H_
#define DAVIT_RUNTIME_BOOT_TESTING_POD_FIXTURE_H_

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/base/subprocess.h"
#include "runtime/boot/kernel_guard.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/launcher.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// The images' directory: $DAVIT_TEST_IMAGES, else where deploy/images puts
// them. Empty if it does not exist.
std::string TestImagesDirectory();

// What one test's pods live in: a private mount namespace with a tmpfs that
// holds the unpacked root images, made once per process. Must be called before
// the process has threads. Everything goes away with the process.
//
// Kernels before 6.3 cannot map the ids of a tmpfs, as user namespaces need it.
// There $DAVIT_TEST_WORLD names a directory of another file system for it; what
// is left in that goes away with the machine.
class TestWorld {
 public:
  // Null, with the reason in `why`, if there are no images.
  static TestWorld* Get(std::string& why);

  // The unpacked root of "machine" or "stage1"; unpacks it at the first call,
  // unless the images' directory has it unpacked as well.
  const std::string& Image(const std::string& name);
  const std::string& directory() const { return directory_; }
  // A pinned network namespace of its own.
  const std::string& netns() const { return netns_; }
  // An error if this machine can have none.
  const absl::StatusOr<KernelGuard>& guard() const { return guard_; }

 private:
  TestWorld();
  ~TestWorld();
  const pid_t owner_ = getpid();
  std::string directory_;
  std::string netns_;
  const absl::StatusOr<KernelGuard> guard_ = KernelGuard::Load();
  std::map<std::string, std::string> images_;
};

// A launcher with a cgroup parent of its own, and pods over overlays. At its
// end a test must have left nothing: no cgroup, mount, process, file.
class PodFixture : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // A request for a new pod: fresh overlay over the image, fresh directories.
  BootRequest NewRequest(const std::string& image = "machine");
  // The same with a user namespace, which owns the network namespace as well.
  BootRequest NewUsernsRequest(const std::string& image = "machine");
  // Starts a plan that `edit` has changed: what the launcher itself would never
  // do, to see that a check can fail. Does not wait for READY=1.
  absl::StatusOr<std::unique_ptr<PodProcess>> StartEdited(
      const BootRequest& request, const std::function<void(LaunchPlan&)>& edit);
  // Starts and waits for READY=1.
  std::unique_ptr<PodProcess> StartReady(const BootRequest& request,
                                         PodListener listener = {});
  void NewAgent();  // another launcher, as after a restart
  // What keeps pods without a user namespace; why there is none.
  const absl::StatusOr<KernelGuard>& guard() const { return world_->guard(); }

  // Runs a command in all namespaces of the pod. It has our capabilities and
  // our cgroup: only for looking.
  SubprocessResult Look(const PodProcess& pod, std::vector<std::string> argv);
  // Runs a command as a transient unit of the pod's systemd: with the cgroup,
  // capabilities and filter that everything in the pod has. `properties` are
  // systemd-run's "-p" values. In a guest without a bus any failure is 1.
  SubprocessResult RunUnit(const PodProcess& pod, const std::string& script,
                           std::vector<std::string> properties = {});

  // What a command in the pod's namespaces prints, without the space around it;
  // a failure of the test if it does not end with 0.
  std::string OutOf(const PodProcess& pod, std::vector<std::string> argv);
  // Options and optional fields of the topmost mount at `path` in the pod, as
  // in its mountinfo; "" if there is none.
  std::string MountOptionsOf(const PodProcess& pod, const std::string& path);

  // Our cgroup directories and mounts, processes, and the files of the
  // request's directories: equal before and after what shall leave no trace.
  std::string Traces(const BootRequest& request);
  // LauncherOptions::unified_dir.
  std::string UnifiedDir() const { return world_->directory() + "/unified"; }

  std::unique_ptr<Launcher> launcher_;
  std::string cgroup_parent_;

 private:
  // A request's directories; the root is not mounted yet.
  BootRequest NewDirectories();

  TestWorld* world_ = nullptr;
  std::vector<BootRequest> requests_;
};

// The image for a test that takes any guest: "machine", or what
// $DAVIT_TEST_GUEST names, a smaller one where the processor is emulated.
std::string AnyGuest();

std::string ShimPath();
// pod-probe (pod_probe.cc), static: fit to be bound into any pod.
std::string ProbePath();
// A field of /proc/PID/status: "VmRSS" → "1234 kB".
std::string StatusField(pid_t pid, const std::string& field);

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_BOOT_TESTING_POD_FIXTURE_H_
