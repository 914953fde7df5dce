#ifndef DAVIT_AGENT_RPC_LOG_READ_FUNCTION_H_
#define DAVIT_AGENT_RPC_LOG_READ_FUNCTION_H_

#include <functional>

#include "absl/status/status.h"
#include "runtime/app/log_reader.h"

namespace davit {

// ReadLogs of runtime/app/log_reader.h, or a test's. Calls `sink` and `ended`
// on the caller's thread.
using LogReadFunction = std::function<absl::Status(
    const LogOptions& options, const std::function<bool(const LogEntry&)>& sink,
    const std::function<bool()>& ended)>;

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_LOG_READ_FUNCTION_H_
