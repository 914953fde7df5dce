#ifndef DAVIT_AGENT_POD_LIVE_POD_H_
#define DAVIT_AGENT_POD_LIVE_POD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "agent/pod/app_mailbox.h"
#include "agent/pod/pod.h"
#include "agent/pod/pod_events.h"
#include "agent/pod/pod_paths.h"
#include "agent/store/pod_store.h"
#include "runtime/boot/launcher.h"
#include "runtime/image/image_store.h"

namespace davit {

// Keep a pod's images from being removed as long as the pod exists.
struct PodImages {
  std::unique_ptr<ImageHold> root;               // null: not held (any more)
  std::vector<std::unique_ptr<ImageHold>> apps;  // in order of containers
};

// One pod that the agent owns: its value, its record, its processes.
//
// Three locks, taken in this order: `operation` for the whole of a start, stop
// or removal; `save_mutex_` while the record is written; `mutex_` for memory
// only, so that readers never wait.
class LivePod {
 public:
  using Change = std::function<void(Pod&)>;

  // `store` outlives it.
  LivePod(Pod pod, PodPaths paths, PodStore* store,
          std::shared_ptr<PodEvents> events);

  const std::string& id() const { return id_; }
  const std::string& name() const { return name_; }
  const PodPaths& paths() const { return paths_; }

  // Serialises operations on this pod. The holder alone changes the state, the
  // intents and `images`.
  absl::Mutex operation;
  PodImages images ABSL_GUARDED_BY(operation);
  // How often in a row it rebooted right after its start.
  int quick_reboots ABSL_GUARDED_BY(operation) = 0;

  Pod Get() const;
  PodState state() const;

  // Changes the value in memory; watchers hear of it. Save() makes it durable.
  void Update(const Change& change);
  // The same without an event: for what only records and inspect show.
  void UpdateQuietly(const Change& change);
  // Writes the present value to the record. OK if the pod was deleted.
  absl::Status Save();
  // Writes first, then changes memory: nothing that depends on it can happen
  // before it is on disk, and memory is as before after an error. `change` runs
  // twice. No event.
  absl::Status RecordQuietly(const Change& change);
  // The same with an event. Aborted, with memory as before, if a StartInterrupt
  // exists at the end. The record may then say too much; the caller writes it
  // anew.
  absl::Status RecordUnlessInterrupted(const Change& change);

  // Begins a run: what comes of an earlier one is told apart by the number and
  // the mailbox.
  void BeginRun();
  uint64_t run_number() const;
  std::shared_ptr<AppMailbox> mailbox() const;
  // Puts the letters of the present run into the value, in order. True if a
  // run of an app has ended.
  bool ReadMail();
  // Reads what is there; letters that come later are never read.
  void CloseMail();

  // The pod's processes; null when there are none.
  std::shared_ptr<PodProcess> process() const;
  void SetProcess(std::shared_ptr<PodProcess> process);

  bool interrupted() const;

  // Publishes the pod (ADDED), once.
  void Announce();
  // Removes the record, then publishes DELETED. From then on nothing is written
  // or published. Idempotent.
  absl::Status Delete();
  bool deleted() const;

  // Retries of leftovers: true for the one who has to schedule one.
  bool ClaimRetry();
  void RetryRuns();

 private:
  friend class StartInterrupt;
  absl::Status WriteChanged(const Change& change)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(save_mutex_);
  bool ReadMailLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Publish(bool with_event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string id_, name_;
  const PodPaths paths_;
  PodStore* const store_;
  const std::shared_ptr<PodEvents> events_;

  absl::Mutex save_mutex_;
  mutable absl::Mutex mutex_;
  Pod pod_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<PodProcess> process_ ABSL_GUARDED_BY(mutex_);
  uint64_t run_number_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<AppMailbox> mailbox_ ABSL_GUARDED_BY(mutex_);
  int interrupts_ ABSL_GUARDED_BY(mutex_) = 0;
  bool deleted_ ABSL_GUARDED_BY(mutex_) = false;
  bool retry_claimed_ ABSL_GUARDED_BY(mutex_) = false;
};

// While one exists a start of the pod gives up after its present step, and no
// other begins. If the pod is booting it is killed, so that this step is short.
// Made by a stop or removal before it waits for `operation`.
class StartInterrupt {
 public:
  explicit StartInterrupt(LivePod& pod);
  ~StartInterrupt();
  StartInterrupt(const StartInterrupt&) = delete;

 private:
  LivePod& pod_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_LIVE_POD_H_
