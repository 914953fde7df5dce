#ifndef DAVIT_AGENT_POD_FAKE_ROOTFS_OPS_H_
#define DAVIT_AGENT_POD_FAKE_ROOTFS_OPS_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/rootfs_ops.h"

namespace davit {

// A mount table in memory. Commands are found in /bin, users are numbers, until
// a test says otherwise. Thread-safe.
class FakeRootfsOps : public RootfsOps {
 public:
  absl::Status MountOverlay(const OverlaySpec& spec) override;
  absl::Status UnmountTree(const std::string& directory) override;
  absl::StatusOr<std::vector<std::string>> ListMountsBelow(
      const std::string& directory) override;
  absl::Status MakeMountPoint(const std::string& root, const std::string& path,
                              const PodUserns& userns) override;
  absl::StatusOr<std::string> ResolveCommand(
      const std::string& root, const std::string& command,
      const std::string& path_variable,
      const std::string& working_dir) override;
  absl::StatusOr<ResolvedUser> ResolveUser(const std::string& root,
                                           const std::string& user) override;

  void AddUser(const std::string& name, const ResolvedUser& user);
  void RemoveCommand(const std::string& command);
  std::vector<OverlaySpec> mounts() const;  // in order of their making

 private:
  mutable absl::Mutex mutex_;
  std::vector<OverlaySpec> mounts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, ResolvedUser> users_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> missing_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_FAKE_ROOTFS_OPS_H_
