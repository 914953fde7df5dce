#ifndef DAVIT_RUNTIME_APP_LAUNCHER_JOURNAL_STREAM_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_JOURNAL_STREAM_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A stream of log lines to the journald of the current root, each with syslog
// `priority` (sd_journal_stream_fd(3): the protocol of
// /run/systemd/journal/stdout). Needs no libsystemd.
absl::StatusOr<UniqueFd> OpenJournalStream(const std::string& identifier,
                                           const std::string& unit,
                                           int priority);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_JOURNAL_STREAM_H_
