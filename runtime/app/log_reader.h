#ifndef DAVIT_RUNTIME_APP_LOG_READER_H_
#define DAVIT_RUNTIME_APP_LOG_READER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace davit {

struct LogOptions {
  std::string journal_dir;  // on the host; the pod's /var/log/journal
  std::string app;          // empty: everything of the pod's journal
  bool follow = false;
  int64_t tail_lines = -1;  // -1: all
  absl::Time since = absl::InfinitePast();
};

struct LogEntry {
  absl::Time at;
  bool is_stderr = false;
  std::string app;      // or the unit's name for entries that are no app's
  std::string message;  // one line, without its newline; may hold any bytes
  std::string cursor;   // resumes after this entry
};

// Reads an app's log lines from the pod's journal files with sd-journal, in
// order. Calls `sink` for each until it returns false (OK), the end is reached
// and `follow` is off (OK), or, when following, until `ended()` says that no
// more can come and all has been read (OK). Waits on inotify, not by polling;
// `ended` is asked at least once a second. An absent journal is an empty one.
absl::Status ReadLogs(const LogOptions& options,
                      const std::function<bool(const LogEntry&)>& sink,
                      const std::function<bool()>& ended);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LOG_READER_H_
