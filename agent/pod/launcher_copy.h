#ifndef DAVIT_AGENT_POD_LAUNCHER_COPY_H_
#define DAVIT_AGENT_POD_LAUNCHER_COPY_H_

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"

namespace davit {

// The app launcher (davit-app) that this agent's pods run: a copy beside the
// pods, which all of them have a hard link to. So a start copies nothing, all
// pods share its memory, and one that runs while another release of davit is
// installed keeps what it was started with. Thread-safe.
class LauncherCopy {
 public:
  // `program` is read when the first pod starts; `directory` is ours alone, on
  // the pods' file system.
  LauncherCopy(std::string program, std::string directory)
      : program_(std::move(program)), directory_(std::move(directory)) {}

  // Makes `to` the launcher; what was there is replaced. A copy where there can
  // be no link.
  absl::Status LinkTo(const std::string& to);

 private:
  absl::Status MakeOnce();

  const std::string program_;
  const std::string directory_;
  absl::Mutex mutex_;
  bool made_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace davit

#endif  // DAVIT_AGENT_POD_LAUNCHER_COPY_H_
