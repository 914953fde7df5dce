#ifndef DAVIT_AGENT_FILE_LOCK_H_
#define DAVIT_AGENT_FILE_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A held flock(2): says that something belongs to this process, and lets go
// with it, however it ends. The file stays; only its lock means anything.
class FileLock {
 public:
  // Creates `path` (0600) if needed. FailedPrecondition if another holds it;
  // the message says "<what> belongs to another agent" and its pid, if known.
  static absl::StatusOr<FileLock> Acquire(const std::string& path,
                                          const std::string& what);

 private:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_FILE_LOCK_H_
