#ifndef DAVIT_AGENT_POD_APP_MAILBOX_H_
#define DAVIT_AGENT_POD_APP_MAILBOX_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "runtime/app/app.h"

namespace davit {

// Statuses of the apps of one run of a pod on their way from the watcher's
// thread to a worker, in order. Thread-safe; never blocks.
class AppMailbox {
 public:
  using Letter = std::pair<std::string, AppStatus>;  // app, its status

  void Push(const std::string& app, const AppStatus& status) {
    absl::MutexLock lock(&mutex_);
    letters_.emplace_back(app, status);
  }

  std::vector<Letter> Take() {
    absl::MutexLock lock(&mutex_);
    return std::exchange(letters_, {});
  }

 private:
  absl::Mutex mutex_;
  std::vector<Letter> letters_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_APP_MAILBOX_H_
