#ifndef DAVIT_AGENT_POD_POD_MANAGER_H_
#define DAVIT_AGENT_POD_POD_MANAGER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "runtime/app/exec.h"
#include "runtime/app/log_reader.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// One change of a pod. `sequence` grows by one with each event of this agent
// process and never repeats in it.
struct PodEvent {
  enum class Type { kAdded, kModified, kDeleted };
  Type type;
  Pod pod;
  uint64_t sequence = 0;
};

// A bounded subscription: events queue up in it, oldest first.
class PodSubscription {
 public:
  virtual ~PodSubscription() = default;  // unsubscribes
  // Waits for the next event. DeadlineExceeded when there is none in time;
  // OutOfRange when this reader was too slow and events were dropped;
  // Unavailable when the manager shuts down.
  virtual absl::StatusOr<PodEvent> Next(absl::Duration timeout) = 0;
};

struct PodList {
  std::vector<Pod> pods;  // by name
  uint64_t sequence = 0;  // of the last event contained in it
};

struct RecoveryReport {
  int adopted = 0;
  int ended = 0;
  int rolled_back = 0;
  std::vector<std::string> removed;
  std::vector<std::string> failed;
};

// What CNI's CHECK says of one network of a pod.
struct NetworkCheck {
  std::string network, interface;
  absl::Status outcome;
};

struct UnmountRequest {
  std::string app, target;  // as in PodMount
  bool force = false;       // also while it is in use
};

// Owns all pods of the node: names, records, states, the order of steps.
// Thread-safe. Operations on one pod are serialised; on different pods they run
// in parallel, and nothing global is held while a plugin or a boot runs.
// Effects, idempotency and codes of the calls are those promised in
// proto/davit/v1/pod_service.proto. `pod` arguments are a name, an id, or an
// unambiguous prefix (≥ 4 characters) of an id.
class PodManager {
 public:
  virtual ~PodManager() = default;

  // Reads the records, takes up running pods, undoes half-made ones, removes
  // what nobody owns. Call once before all else.
  virtual absl::StatusOr<RecoveryReport> Recover() = 0;

  // `spec` has been validated by the border (ValidatePodSpec).
  virtual absl::StatusOr<Pod> Create(const PodSpec& spec) = 0;
  virtual absl::StatusOr<Pod> Start(const std::string& pod) = 0;
  // Create, then Start; a failed start removes the pod again.
  virtual absl::StatusOr<Pod> Run(const PodSpec& spec) = 0;
  virtual absl::StatusOr<Pod> Stop(const std::string& pod,
                                   std::optional<absl::Duration> grace) = 0;
  // False if there was no such pod.
  virtual absl::StatusOr<bool> Remove(const std::string& pod,
                                      std::optional<absl::Duration> grace) = 0;

  virtual absl::StatusOr<Pod> Get(const std::string& pod) = 0;
  virtual PodList List() = 0;
  virtual absl::StatusOr<PodUsage> Usage(const std::string& pod) = 0;

  // Events after `sequence` (a PodList's or PodEvent's). OutOfRange if they are
  // no longer kept.
  virtual absl::StatusOr<std::unique_ptr<PodSubscription>> Subscribe(
      uint64_t sequence) = 0;

  // Where to read a pod's log; checks the app's name. The reader's `ended`
  // callback is PodManager::LogEnded.
  virtual absl::StatusOr<LogOptions> LogSource(const std::string& pod,
                                               const std::string& app) = 0;
  // True when no more lines of the app (empty: of the whole journal) can come:
  // the pod does not run, or the app has ended for good and all that it wrote
  // is in the journal.
  virtual bool LogEnded(const std::string& pod, const std::string& app) = 0;

  virtual absl::StatusOr<std::unique_ptr<ExecSession>> Exec(
      const std::string& pod, ExecRequest request) = 0;

  // The console of the pod's PID 1 (PodProcess::AttachConsole).
  virtual absl::StatusOr<std::unique_ptr<ExecSession>> Attach(
      const std::string& pod, bool typing) = 0;

  // See PodService.UpdatePodResources, PausePod and UnpausePod.
  virtual absl::StatusOr<Pod> ChangeResources(
      const std::string& pod, const std::string& app,
      const ResourceRequirements& change) = 0;
  virtual absl::StatusOr<Pod> Pause(const std::string& pod) = 0;
  virtual absl::StatusOr<Pod> Unpause(const std::string& pod) = 0;

  // Shows something of the node in a running pod, and undoes it. See
  // PodService.MountVolume.
  virtual absl::StatusOr<Pod> Mount(const std::string& pod,
                                    const PodMount& volume) = 0;
  virtual absl::StatusOr<Pod> Unmount(const std::string& pod,
                                      const UnmountRequest& request) = 0;

  // Runs CHECK of each network of a running pod, in order. FailedPrecondition
  // if it does not run.
  virtual absl::StatusOr<std::vector<NetworkCheck>> CheckNetworks(
      const std::string& pod) = 0;

  // A TCP connection to 127.0.0.1, else ::1, in the pod's network namespace; a
  // non-blocking socket. FailedPrecondition if the pod does not run,
  // Unavailable if nothing listens there.
  virtual absl::StatusOr<UniqueFd> Dial(const std::string& pod,
                                        uint16_t port) = 0;

  // Removes what exists on the node for pods and belongs to none, and names it
  // (see NodeService.CollectGarbage). New pods wait meanwhile.
  virtual std::vector<GarbageItem> CollectGarbage(bool dry_run) = 0;

  virtual RecoveryReport recovery_report() = 0;

  // Refuses new work with Unavailable, wakes subscribers, waits for operations
  // under way (at most `timeout`). Pods run on.
  virtual void Drain(absl::Duration timeout) = 0;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_MANAGER_H_
