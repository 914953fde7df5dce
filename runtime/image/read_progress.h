#ifndef DAVIT_RUNTIME_IMAGE_READ_PROGRESS_H_
#define DAVIT_RUNTIME_IMAGE_READ_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <utility>

#include "absl/status/status.h"

namespace davit {

// Counts what an import has read of its source and asks whether to go on. One
// per import, one thread at a time.
class ReadProgress {
 public:
  // `callback` gets the bytes so far and returns false to cancel; may be null.
  explicit ReadProgress(std::function<bool(uint64_t)> callback)
      : callback_(std::move(callback)) {}

  // Cancelled if the caller wants no more. 0 bytes only asks.
  absl::Status Add(uint64_t bytes) {
    total_ += bytes;
    if (callback_ && !callback_(total_)) {
      return absl::CancelledError("import was cancelled");
    }
    return absl::OkStatus();
  }

 private:
  std::function<bool(uint64_t)> callback_;
  uint64_t total_ = 0;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_READ_PROGRESS_H_
