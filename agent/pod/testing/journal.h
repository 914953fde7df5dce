#ifndef DAVIT_AGENT_POD_TESTING_JOURNAL_H_
#define DAVIT_AGENT_POD_TESTING_JOURNAL_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace davit::testing {

// One ordered list of what was done to the fake world, and the place where
// tests break it. Each fake does
//
//   RETURN_IF_ERROR(journal.Enter("attach", id));   // may fail: nothing is
//   done …the deed… return journal.Leave("attach");                 // may
//   fail: it is done
//
// "save" (a record is written) is not listed. Thread-safe; hooks run without
// its lock and may block.
class Journal {
 public:
  using Hook = std::function<absl::Status()>;

  absl::Status Enter(const std::string& op, const std::string& detail = "") {
    Hook hook;
    {
      absl::MutexLock lock(&mutex_);
      if (dead_) return absl::UnavailableError("this agent is dead");
      if (op != "save") {
        lines_.push_back(detail.empty() ? op : absl::StrCat(op, " ", detail));
      }
      ++counts_[op];
      hook = Find(before_, op);
    }
    return hook ? hook() : absl::OkStatus();
  }

  absl::Status Leave(const std::string& op) {
    Hook hook;
    {
      absl::MutexLock lock(&mutex_);
      hook = Find(after_, op);
    }
    return hook ? hook() : absl::OkStatus();
  }

  // What happens at each call of `op` from now on; null: nothing special.
  void Before(const std::string& op, Hook hook) {
    absl::MutexLock lock(&mutex_);
    before_[op] = std::move(hook);
  }
  void After(const std::string& op, Hook hook) {
    absl::MutexLock lock(&mutex_);
    after_[op] = std::move(hook);
  }
  void Fail(const std::string& op, absl::Status status) {
    Before(op, [status] { return status; });
  }
  void Heal(const std::string& op) {
    Before(op, nullptr);
    After(op, nullptr);
  }

  // The agent's process is gone at this moment: nothing that its remains still
  // try has any effect, until Revive.
  absl::Status Kill() {
    absl::MutexLock lock(&mutex_);
    dead_ = true;
    return absl::UnavailableError("this agent is dead");
  }
  void Revive() {
    absl::MutexLock lock(&mutex_);
    dead_ = false;
    before_.clear();
    after_.clear();
  }
  bool dead() const {
    absl::MutexLock lock(&mutex_);
    return dead_;
  }

  std::vector<std::string> lines() const {
    absl::MutexLock lock(&mutex_);
    return lines_;
  }
  void Clear() {
    absl::MutexLock lock(&mutex_);
    lines_.clear();
  }

  // Waits until `op` has begun `count` times since the beginning.
  bool WaitFor(const std::string& op, int count) const {
    absl::MutexLock lock(&mutex_);
    auto seen = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      auto it = counts_.find(op);
      return it != counts_.end() && it->second >= count;
    };
    return mutex_.AwaitWithTimeout(absl::Condition(&seen), absl::Seconds(30));
  }

 private:
  static Hook Find(const std::map<std::string, Hook>& hooks,
                   const std::string& op) {
    auto it = hooks.find(op);
    return it != hooks.end() ? it->second : nullptr;
  }

  mutable absl::Mutex mutex_;
  bool dead_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, int> counts_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Hook> before_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, Hook> after_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit::testing

#endif  // DAVIT_AGENT_POD_TESTING_JOURNAL_H_
