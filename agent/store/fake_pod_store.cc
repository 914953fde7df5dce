#include "agent/store/fake_pod_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<PodStore::Contents> FakePodStore::Load() {
  absl::MutexLock lock(&mutex_);
  Contents contents;
  for (const auto& [id, pod] : pods_) {
    contents.pods.push_back(pod);
    // What the file does not keep either: see agent/rpc/convert.h.
    contents.pods.back().status.init.start_time = 0;
  }
  for (const std::string& id : broken_) {
    contents.broken.push_back({id, absl::StrCat(id, ": broken")});
  }
  contents.strays.assign(strays_.begin(), strays_.end());
  return contents;
}

absl::Status FakePodStore::Write(const Pod& pod) {
  if (hook_) RETURN_IF_ERROR(hook_(pod));
  pods_[pod.id] = pod;
  history_.push_back(pod);
  return absl::OkStatus();
}

absl::Status FakePodStore::Create(const Pod& pod) {
  absl::MutexLock lock(&mutex_);
  if (pods_.count(pod.id) > 0) {
    return absl::AlreadyExistsError(absl::StrCat(pod.id, " exists"));
  }
  return Write(pod);
}

absl::Status FakePodStore::Update(const Pod& pod) {
  absl::MutexLock lock(&mutex_);
  if (pods_.count(pod.id) == 0) {
    return absl::NotFoundError(absl::StrCat(pod.id, ": the pod was removed"));
  }
  return Write(pod);
}

absl::Status FakePodStore::Remove(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(id);
  if (it != pods_.end() && hook_) RETURN_IF_ERROR(hook_(it->second));
  pods_.erase(id);
  broken_.erase(id);
  strays_.erase(id);
  return absl::OkStatus();
}

void FakePodStore::FailWritesIf(std::function<absl::Status(const Pod&)> hook) {
  absl::MutexLock lock(&mutex_);
  hook_ = std::move(hook);
}

void FakePodStore::AddBroken(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  broken_.insert(id);
}

void FakePodStore::AddStray(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  strays_.insert(id);
}

std::vector<Pod> FakePodStore::pods() const {
  absl::MutexLock lock(&mutex_);
  std::vector<Pod> pods;
  for (const auto& [id, pod] : pods_) pods.push_back(pod);
  return pods;
}

std::vector<Pod> FakePodStore::history() const {
  absl::MutexLock lock(&mutex_);
  return history_;
}

}  // namespace davit
