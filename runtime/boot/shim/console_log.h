#ifndef DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_LOG_H_
#define DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_LOG_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A log file that cannot fill the disk: at `limit` bytes it becomes
// "<path>.1" (in place of the one before) and a new one begins. What cannot be
// written is dropped: a full disk must not stop the pod.
class ConsoleLog {
 public:
  // Starts with an empty file; an older "<path>.1" is removed.
  static absl::StatusOr<ConsoleLog> Open(const std::string& path, size_t limit);

  void Append(absl::string_view data);
  // Reads `master`, the non-blocking master of a pty, until nothing is left;
  // `show` sees it too.
  void DrainFrom(int master,
                 const std::function<void(absl::string_view)>& show);

 private:
  ConsoleLog(std::string path, size_t limit, UniqueFd fd)
      : path_(std::move(path)), limit_(limit), fd_(std::move(fd)) {}
  void Rotate();

  std::string path_;
  size_t limit_;
  UniqueFd fd_;
  size_t size_ = 0;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_CONSOLE_LOG_H_
