#include "agent/rpc/cursor.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace davit {

std::string CursorCodec::Encode(uint64_t sequence) const {
  return absl::StrCat(instance_, ":", sequence);
}

absl::StatusOr<uint64_t> CursorCodec::Decode(const std::string& cursor) const {
  std::pair<std::string, std::string> parts =
      absl::StrSplit(cursor, absl::MaxSplits(':', 1));
  uint64_t sequence = 0;
  if (!absl::SimpleAtoi(parts.second, &sequence)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cursor: \"", cursor, "\" is not a cursor"));
  }
  if (parts.first != instance_) {
    return absl::OutOfRangeError(absl::StrCat(
        "cursor \"", cursor, "\" is from another agent process; list again"));
  }
  return sequence;
}

}  // namespace davit
