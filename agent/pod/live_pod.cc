#include "agent/pod/live_pod.h"

#include <utility>

#include "agent/pod/app_state.h"
#include "runtime/base/status_macros.h"

namespace davit {

LivePod::LivePod(Pod pod, PodPaths paths, PodStore* store,
                 std::shared_ptr<PodEvents> events)
    : id_(pod.id),
      name_(pod.spec.name),
      paths_(std::move(paths)),
      store_(store),
      events_(std::move(events)),
      pod_(std::move(pod)) {}

Pod LivePod::Get() const {
  absl::MutexLock lock(&mutex_);
  return pod_;
}

PodState LivePod::state() const {
  absl::MutexLock lock(&mutex_);
  return pod_.status.state;
}

void LivePod::Publish(bool with_event) {
  if (deleted_) return;
  auto value = std::make_shared<const Pod>(pod_);
  if (with_event) {
    events_->Publish(PodEvent::Type::kModified, std::move(value));
  } else {
    events_->Refresh(std::move(value));
  }
}

void LivePod::Update(const Change& change) {
  absl::MutexLock lock(&mutex_);
  change(pod_);
  Publish(/*with_event=*/true);
}

void LivePod::UpdateQuietly(const Change& change) {
  absl::MutexLock lock(&mutex_);
  change(pod_);
  Publish(/*with_event=*/false);
}

absl::Status LivePod::Save() {
  absl::MutexLock save(&save_mutex_);
  if (deleted()) return absl::OkStatus();
  return store_->Update(Get());
}

absl::Status LivePod::WriteChanged(const Change& change) {
  Pod copy = Get();
  change(copy);
  return store_->Update(copy);
}

absl::Status LivePod::RecordQuietly(const Change& change) {
  absl::MutexLock save(&save_mutex_);
  RETURN_IF_ERROR(WriteChanged(change));
  UpdateQuietly(change);
  return absl::OkStatus();
}

absl::Status LivePod::RecordUnlessInterrupted(const Change& change) {
  absl::MutexLock save(&save_mutex_);
  RETURN_IF_ERROR(WriteChanged(change));
  absl::MutexLock lock(&mutex_);
  if (interrupts_ > 0) return absl::AbortedError("interrupted");
  change(pod_);
  Publish(/*with_event=*/true);
  return absl::OkStatus();
}

void LivePod::BeginRun() {
  absl::MutexLock lock(&mutex_);
  ++run_number_;
  mailbox_ = std::make_shared<AppMailbox>();
}

uint64_t LivePod::run_number() const {
  absl::MutexLock lock(&mutex_);
  return run_number_;
}

std::shared_ptr<AppMailbox> LivePod::mailbox() const {
  absl::MutexLock lock(&mutex_);
  return mailbox_;
}

bool LivePod::ReadMail() {
  absl::MutexLock lock(&mutex_);
  return ReadMailLocked();
}

void LivePod::CloseMail() {
  absl::MutexLock lock(&mutex_);
  ReadMailLocked();
  mailbox_ = nullptr;
}

bool LivePod::ReadMailLocked() {
  if (mailbox_ == nullptr) return false;
  bool ended = false;
  std::vector<AppMailbox::Letter> letters = mailbox_->Take();
  for (const auto& [name, status] : letters) {
    for (AppState& app : pod_.status.apps) {
      if (app.name == name) ended |= MergeAppStatus(status, app);
    }
  }
  if (!letters.empty()) Publish(/*with_event=*/true);
  return ended;
}

std::shared_ptr<PodProcess> LivePod::process() const {
  absl::MutexLock lock(&mutex_);
  return process_;
}

void LivePod::SetProcess(std::shared_ptr<PodProcess> process) {
  // The old one dies after the lock is released.
  absl::MutexLock lock(&mutex_);
  process_.swap(process);
}

bool LivePod::interrupted() const {
  absl::MutexLock lock(&mutex_);
  return interrupts_ > 0;
}

void LivePod::Announce() {
  absl::MutexLock lock(&mutex_);
  events_->Publish(PodEvent::Type::kAdded, std::make_shared<const Pod>(pod_));
}

absl::Status LivePod::Delete() {
  absl::MutexLock save(&save_mutex_);
  if (deleted()) return absl::OkStatus();
  RETURN_IF_ERROR(store_->Remove(id_));
  absl::MutexLock lock(&mutex_);
  deleted_ = true;
  events_->Publish(PodEvent::Type::kDeleted, std::make_shared<const Pod>(pod_));
  return absl::OkStatus();
}

bool LivePod::deleted() const {
  absl::MutexLock lock(&mutex_);
  return deleted_;
}

bool LivePod::ClaimRetry() {
  absl::MutexLock lock(&mutex_);
  return !deleted_ && !std::exchange(retry_claimed_, true);
}

void LivePod::RetryRuns() {
  absl::MutexLock lock(&mutex_);
  retry_claimed_ = false;
}

StartInterrupt::StartInterrupt(LivePod& pod) : pod_(pod) {
  std::shared_ptr<PodProcess> booting;
  {
    absl::MutexLock lock(&pod_.mutex_);
    ++pod_.interrupts_;
    if (pod_.pod_.status.state == PodState::kStarting) booting = pod_.process_;
  }
  // Whatever this says, the start sees the interrupt and undoes its steps.
  if (booting != nullptr) {
    booting->Stop(absl::ZeroDuration()).status().IgnoreError();
  }
}

StartInterrupt::~StartInterrupt() {
  absl::MutexLock lock(&pod_.mutex_);
  --pod_.interrupts_;
}

}  // namespace davit
