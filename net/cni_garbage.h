#ifndef DAVIT_NET_CNI_GARBAGE_H_
#define DAVIT_NET_CNI_GARBAGE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/cni/cache.h"
#include "net/cni/config_dir.h"
#include "net/cni/ledger.h"
#include "net/cni_leases.h"
#include "net/cni_membership.h"
#include "net/cni_node.h"
#include "net/cni_teardown.h"
#include "net/netns/netns_pins.h"
#include "net/pod_network.h"

namespace davit {

// PodNetwork::CollectGarbage. Something is garbage if it bears the id of a
// container that was ours once (the ledger, the cache or the pins know it) and
// is not alive now. An object is for one search.
class CniGarbage {
 public:
  struct Parts {  // borrowed
    CniMemberships& memberships;
    CniTeardown& teardown;
    CniConfigDir& configs;
    const CniCache& cache;
    const CniLedger& ledger;
    NetnsPins& pins;
    const CniNode& node;
  };

  CniGarbage(const Parts& parts, std::set<std::string> alive, bool dry_run)
      : parts_(parts), alive_(std::move(alive)), dry_run_(dry_run) {}

  std::vector<GarbageItem> Collect();

 private:
  void FindDead();
  void SweepAttachments();
  void RunPluginsGc();
  void SweepLeases();
  void SweepLinks();
  void SweepElements();
  void SweepPins();
  void ForgetPods();

  // The container was ours and is no more, and what is found of it is not for
  // another step: for the DEL of its attachment, now or the next time.
  bool IsGarbage(const std::string& container_id) const;
  void Note(std::string kind, std::string name, const std::string& container_id,
            absl::Status outcome);
  // A search that could not be made.
  void NoteFailure(std::string kind, std::string name, absl::Status status);

  const Parts parts_;
  const std::set<std::string> alive_;
  const bool dry_run_;
  std::vector<CniCacheEntry> entries_;
  std::vector<CniCacheKey> broken_;
  std::set<std::string> dead_;
  std::set<std::string> left_to_del_;  // of dead_
  std::set<std::string> unclean_;      // whose ids must be remembered
  std::set<CniLeaseDir> lease_dirs_;
  std::vector<GarbageItem> items_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_GARBAGE_H_
