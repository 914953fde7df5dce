#ifndef DAVIT_NET_CNI_MEMBERSHIP_H_
#define DAVIT_NET_CNI_MEMBERSHIP_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "net/cni/attachment.h"
#include "net/cni/cache.h"
#include "net/cni/chain.h"
#include "net/cni/config_dir.h"
#include "net/cni/exec.h"
#include "net/cni/network_config.h"
#include "net/cni/versions.h"
#include "net/pod_network.h"

namespace davit {

// One pod's membership of one network, and how far it has come.
struct CniMembership {
  std::shared_ptr<const CniNetworkConfig> network;
  CniAttachment attachment;
  CniChainProgress progress;
  bool intended = false;  // its cache entry may exist

  CniCacheEntry CacheEntry() const {
    return {network->name, attachment, network->text, progress.result};
  }
};

// Makes and ends memberships so that a crash at any point leaves an entry in
// the cache that tells how to end them. Borrows its parts. Thread-safe for
// different pods.
class CniMemberships {
 public:
  CniMemberships(CniConfigDir* configs, const CniCache* cache,
                 const CniExec* exec, CniVersions* versions)
      : configs_(*configs),
        cache_(*cache),
        exec_(*exec),
        versions_(*versions) {}

  // The membership that request.networks[index] asks for, after everything
  // about it that can be known to be wrong beforehand: AlreadyExists for one
  // that is there, NotFound for a network or a plugin that is not.
  absl::StatusOr<CniMembership> Plan(const PodNetworkRequest& request,
                                     size_t index);

  // ADD. What it has begun when it fails is for Leave().
  absl::StatusOr<InterfaceStatus> Enter(const NetworkRequest& join,
                                        CniMembership& membership);

  // DEL of what was begun. The entry stays unless all of it is gone.
  absl::Status Leave(const CniMembership& membership);

  // GC of the network's plugins, which may keep what belongs to attachments
  // that have an entry, and what `others` tells. Waits for the ADDs and DELs
  // of this network that run, and holds up new ones.
  absl::Status CollectGarbage(
      const CniNetworkConfig& network,
      const std::function<std::vector<CniValidAttachment>()>& others);

  // What is known of an earlier Enter: by its entry, else by the configuration
  // of today. None if there is neither. CNI_NETNS is empty if it is gone.
  absl::StatusOr<std::optional<CniMembership>> Recall(
      const PodNetworkRequest& request, size_t index);

  // CHECK. FailedPrecondition if it never was entered, or not to the end.
  absl::Status Check(const PodNetworkRequest& request, size_t index) const;

  // The membership of which this is the entry. `netns_path`: where the netns is
  // now; empty: where it was.
  static absl::StatusOr<CniMembership> FromEntry(const CniCacheEntry& entry,
                                                 const std::string& netns_path);

 private:
  absl::Status ExpectNoEntry(const std::string& pod_id,
                             const NetworkRequest& join) const;
  // Held shared by ADD and DEL, and alone by GC, as the specification wants.
  absl::Mutex& LockOf(const std::string& network);

  CniConfigDir& configs_;
  const CniCache& cache_;
  const CniExec& exec_;
  CniVersions& versions_;
  absl::Mutex mutex_;
  std::map<std::string, absl::Mutex> locks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_MEMBERSHIP_H_
