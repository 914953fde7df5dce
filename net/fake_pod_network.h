#ifndef DAVIT_NET_FAKE_POD_NETWORK_H_
#define DAVIT_NET_FAKE_POD_NETWORK_H_

#include <deque>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "net/pod_network.h"

namespace davit {

// A PodNetwork in memory, for tests of what uses one. It keeps the promises of
// pod_network.h (net/pod_network_conformance.h checks both), gives addresses
// from 172.16.28.2 upwards, lowest free first, and fails or hangs when told to.
// Thread-safe.
class FakePodNetwork : public PodNetwork {
 public:
  enum class Op {
    kCreateNetns,
    kRemoveNetns,
    kListNetns,
    kAttach,
    kDetach,
    kCheck,
    kDescribeNetwork,
    kCollectGarbage  // cannot fail as a whole: a scripted status is ignored
  };
  struct Call {
    Op op;
    std::string pod_id;  // empty where the call is not for one pod
    bool operator==(const Call&) const = default;
  };

  // Knows these networks. Netns paths are <netns_dir>/cni-<pod id>; no file is
  // made there.
  explicit FakePodNetwork(std::vector<std::string> networks = {"default"},
                          std::string netns_dir = "/fake/netns");

  // The next call of `op` that is not scripted yet returns `status` and does
  // nothing. Several in a row queue up.
  void FailNext(Op op, absl::Status status);

  // The next call of `op` that is not scripted yet blocks until Release(), then
  // goes on as if nothing had been.
  void HangNext(Op op);
  // Waits until `count` calls hang.
  void WaitUntilHanging(int count);
  // Lets go all calls that hang now.
  void Release();

  // Of all networks; at first those of pod_network.h are all declared.
  void SetCapabilities(std::set<std::string> capabilities);

  // All calls begun so far, in order.
  std::vector<Call> calls() const;
  // What the pod has now, in order of attachment.
  std::vector<InterfaceStatus> InterfacesOf(const std::string& pod_id) const;

  absl::StatusOr<std::string> CreateNetns(const std::string& pod_id) override;
  // As CreateNetns: here a namespace is its pod's id.
  absl::StatusOr<std::string> AdoptNetns(const std::string& pod_id,
                                         int) override {
    return CreateNetns(pod_id);
  }
  absl::Status RemoveNetns(const std::string& pod_id) override;
  absl::StatusOr<std::vector<std::string>> ListNetns() override;
  absl::StatusOr<std::vector<InterfaceStatus>> Attach(
      const PodNetworkRequest& request) override;
  absl::Status Detach(const PodNetworkRequest& request) override;
  absl::Status Check(const PodNetworkRequest& request) override;
  std::vector<NetworkInfo> ListNetworks() override;
  absl::StatusOr<NetworkDetail> DescribeNetwork(
      const std::string& name) override;
  // Detach of each, in order.
  std::vector<absl::Status> DetachMany(
      const std::vector<PodNetworkRequest>& requests) override;
  // Finds pins and attachments.
  std::vector<GarbageItem> CollectGarbage(
      const std::vector<PodNetworkRequest>& alive, bool dry_run) override;

 private:
  struct Script {
    bool hang = false;
    absl::Status status;  // ignored if hang
  };
  struct Attached {
    std::string pod_id;
    int host_number = 0;  // 2 is 172.16.28.2
    InterfaceStatus status;
  };

  absl::Status Begin(Op op, const std::string& pod_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ValidateAttach(const PodNetworkRequest& request) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ExpectCapabilities(const PodNetworkRequest& request,
                                  size_t index) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  const Attached* FindAttached(const std::string& pod_id,
                               const NetworkRequest& join) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  int LowestFreeHostNumber() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::vector<std::string> networks_;
  const std::string netns_dir_;
  mutable absl::Mutex mutex_;
  std::map<Op, std::deque<Script>> scripts_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> capabilities_ ABSL_GUARDED_BY(mutex_) = {
      "ips",          "mac",       "aliases",   "hostInterfaceName",
      "portMappings", "bandwidth", "cgroupPath"};
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> pins_ ABSL_GUARDED_BY(mutex_);
  std::vector<Attached> attached_ ABSL_GUARDED_BY(mutex_);
  int hanging_ ABSL_GUARDED_BY(mutex_) = 0;
  int released_ ABSL_GUARDED_BY(mutex_) = 0;  // times Release() was called
};

}  // namespace davit

#endif  // DAVIT_NET_FAKE_POD_NETWORK_H_
