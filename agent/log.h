#ifndef DAVIT_AGENT_LOG_H_
#define DAVIT_AGENT_LOG_H_

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"

// The agent's log: one line an event on standard error, for journald or a
// terminal. Libraries return errors; only the agent's edge logs, once.

namespace davit {

enum class LogLevel { kDebug, kInfo, kWarning, kError };
enum class LogFormat {
  kText,  // 2026-01-02T03:04:05.678Z info message="pod started" pod=web
  kJson,  // {"time":"…","level":"info","message":"pod started","pod":"web"}
};

struct LogField {
  std::string key;  // a word
  std::variant<std::string, int64_t, double> value;
};

// Call once, before other threads start. Until then the log is text and "info".
void SetUpLog(LogLevel level, LogFormat format);

// Writes one line if `level` is wanted. Thread-safe.
void Log(LogLevel level, absl::string_view message,
         const std::vector<LogField>& fields = {});

// The line without time and level: what comes after them. Whatever the values
// hold, it is one line and its fields can be told apart.
std::string FormatLogLine(LogFormat format, absl::string_view message,
                          const std::vector<LogField>& fields);

}  // namespace davit

#endif  // DAVIT_AGENT_LOG_H_
