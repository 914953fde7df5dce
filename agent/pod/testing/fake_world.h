#ifndef DAVIT_AGENT_POD_TESTING_FAKE_WORLD_H_
#define DAVIT_AGENT_POD_TESTING_FAKE_WORLD_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "agent/pod/fake_rootfs_ops.h"
#include "agent/pod/pod_manager_impl.h"
#include "agent/pod/testing/journal.h"
#include "agent/pod/testing/scripted_apps.h"
#include "agent/pod/testing/scripted_launcher.h"
#include "agent/store/fake_pod_store.h"
#include "net/fake_pod_network.h"
#include "runtime/image/fake_image_store.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// The mount table with a journal: "overlay", "unmount".
class JournaledRootfs : public FakeRootfsOps {
 public:
  explicit JournaledRootfs(Journal* journal) : journal_(journal) {}
  absl::Status MountOverlay(const OverlaySpec& spec) override;
  absl::Status UnmountTree(const std::string& directory) override;

 private:
  Journal* const journal_;
};

// The network with a journal: "netns", "rm_netns", "attach", "detach".
class JournaledNetwork : public FakePodNetwork {
 public:
  explicit JournaledNetwork(Journal* journal)
      : FakePodNetwork({"default", "second"}), journal_(journal) {}
  absl::StatusOr<std::string> CreateNetns(const std::string& pod_id) override;
  absl::Status RemoveNetns(const std::string& pod_id) override;
  absl::StatusOr<std::vector<InterfaceStatus>> Attach(
      const PodNetworkRequest& request) override;
  absl::Status Detach(const PodNetworkRequest& request) override;

 private:
  Journal* const journal_;
};

// User namespaces with a journal: "userns", "rm_userns". The n-th has base
// n * 65536.
class JournaledUserns : public UsernsOps {
 public:
  explicit JournaledUserns(Journal* journal) : journal_(journal) {}
  absl::StatusOr<PodUserns> Prepare(const std::string& runtime_dir) override;
  absl::Status Remove(const std::string& runtime_dir) override;
  // Any open file: the fake network knows namespaces by their pods.
  absl::StatusOr<UniqueFd> CreateNetns(const PodUserns& userns) override;
  std::set<std::string> pins() const;

 private:
  Journal* const journal_;
  mutable absl::Mutex mutex_;
  std::set<std::string> pins_ ABSL_GUARDED_BY(mutex_);
  uint32_t last_base_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Live mounts with a journal: "mount SOURCE ROOT TARGET", "umount ID" with
// " by force"; the n-th
// has id n.
class JournaledMounts : public MountOps {
 public:
  explicit JournaledMounts(Journal* journal) : journal_(journal) {}
  absl::Status Mount(
      const ProcessIdentity& init, const PodUserns& userns,
      const LiveMount& mount,
      const std::function<absl::Status(uint64_t mount_id)>& record) override;
  absl::Status Unmount(const ProcessIdentity& init, const LiveMount& mount,
                       uint64_t mount_id, bool force) override;

 private:
  Journal* const journal_;
  std::atomic<uint64_t> last_id_ = 0;
};

// A node for pod managers: its disk, its kernel, its images. Managers come and
// go; the world stays. Images: the stage1, "web" (entrypoint "serve"), and
// "plain", which cannot boot.
class FakeWorld {
 public:
  FakeWorld();
  ~FakeWorld();

  // Ends the present agent, if any, and starts one on the same node. With
  // `kill` nothing that the old one still tries has any effect.
  PodManager& Restart(bool kill = false);
  PodManager& manager() { return *manager_; }

  static PodSpec Spec(const std::string& name, int apps = 1);

  // What is left on the host, of all pods: "mount …", "netns …", …; empty when
  // clean.
  std::vector<std::string> Leftovers();
  // The journal must hold `before`, then the undo of the network and, beside
  // it, what `beside` says and the undo of the root.
  void ExpectUndone(const std::vector<std::string>& before,
                    const std::vector<std::string>& beside = {}) const;
  // Waits for the pod to get there.
  bool WaitForState(const std::string& pod, PodState state);
  bool WaitFor(const std::function<bool()>& condition);
  std::vector<std::string> problems() const;

  TempDir dir;
  Journal journal;
  FakePodStore store;
  FakeImageStore images;
  JournaledRootfs rootfs{&journal};
  JournaledNetwork network{&journal};
  ScriptedLauncher launcher{&journal};
  ScriptedApps apps{&journal};
  JournaledUserns userns{&journal};
  JournaledMounts mounts{&journal};
  PodManagerOptions options;
  // What the manager's other dependencies answer, and were asked.
  std::string node_address, last_dial;
  absl::Status dial_answer = absl::UnavailableError("nobody listens");
  std::atomic<bool> logs_complete{true};
  StepObserver* observer = nullptr;

 private:
  mutable absl::Mutex mutex_;
  std::vector<std::string> problems_ ABSL_GUARDED_BY(mutex_);
  std::unique_ptr<PodManager> manager_;
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_POD_TESTING_FAKE_WORLD_H_
