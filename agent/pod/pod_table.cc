#include "agent/pod/pod_table.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace davit {
namespace {

constexpr size_t kMinPrefix = 4;

}  // namespace

absl::Status PodTable::Reserve(const std::string& name, const std::string& id) {
  absl::MutexLock lock(&mutex_);
  auto [it, inserted] = names_.emplace(name, id);
  if (inserted) return absl::OkStatus();
  return absl::AlreadyExistsError(
      absl::StrCat("a pod named \"", name, "\" exists already: ", it->second));
}

void PodTable::Unreserve(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  names_.erase(name);
}

void PodTable::Insert(std::shared_ptr<LivePod> pod) {
  absl::MutexLock lock(&mutex_);
  std::string id = pod->id();
  pods_.emplace(std::move(id), std::move(pod));
}

void PodTable::Erase(const LivePod& pod) {
  // The table's reference may be the last: released without the lock.
  std::shared_ptr<LivePod> erased;
  absl::MutexLock lock(&mutex_);
  auto it = pods_.find(pod.id());
  if (it == pods_.end()) return;
  names_.erase(pod.name());
  erased = std::move(it->second);
  pods_.erase(it);
}

absl::StatusOr<std::shared_ptr<LivePod>> PodTable::Find(
    const std::string& reference) const {
  absl::MutexLock lock(&mutex_);
  auto name = names_.find(reference);
  auto it = pods_.find(name != names_.end() ? name->second : reference);
  if (it != pods_.end()) return it->second;
  std::shared_ptr<LivePod> found;
  if (reference.size() >= kMinPrefix) {
    for (it = pods_.lower_bound(reference);
         it != pods_.end() && absl::StartsWith(it->first, reference); ++it) {
      if (found != nullptr) {
        return absl::InvalidArgumentError(absl::StrCat(
            "\"", reference, "\" is the beginning of several pods' ids"));
      }
      found = it->second;
    }
  }
  if (found != nullptr) return found;
  return absl::NotFoundError(absl::StrCat("pod \"", reference, "\" not found"));
}

bool PodTable::Contains(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  return pods_.count(id) > 0;
}

std::vector<std::shared_ptr<LivePod>> PodTable::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::shared_ptr<LivePod>> all;
  for (const auto& [id, pod] : pods_) all.push_back(pod);
  return all;
}

}  // namespace davit
