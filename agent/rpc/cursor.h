#ifndef DAVIT_AGENT_RPC_CURSOR_H_
#define DAVIT_AGENT_RPC_CURSOR_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace davit {

// Where a watch stands: "<agent process>:<sequence>". Sequences start anew in
// each agent process, so a cursor names the one that it is from.
class CursorCodec {
 public:
  // `instance` is any text without ':', different for each agent process.
  explicit CursorCodec(std::string instance) : instance_(std::move(instance)) {}

  std::string Encode(uint64_t sequence) const;

  // OutOfRange if it is another process's; InvalidArgument ("cursor: …") if it
  // is no cursor.
  absl::StatusOr<uint64_t> Decode(const std::string& cursor) const;

 private:
  const std::string instance_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_CURSOR_H_
