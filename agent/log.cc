#include "agent/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace davit {
namespace {

constexpr char kLoggerName[] = "davitd";
// %v is FormatLogLine's.
constexpr char kTextPattern[] = "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
constexpr char kJsonPattern[] =
    R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})";

struct Logger {
  std::shared_ptr<spdlog::logger> logger;
  LogFormat format;
};

Logger NewLogger(LogFormat format) {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  auto logger = std::make_shared<spdlog::logger>(kLoggerName, std::move(sink));
  logger->set_pattern(format == LogFormat::kJson ? kJsonPattern : kTextPattern,
                      spdlog::pattern_time_type::utc);
  return {std::move(logger), format};
}

Logger& TheLogger() {
  // Never destroyed: threads may log until the very end.
  static auto& logger = *new Logger(NewLogger(LogFormat::kText));
  return logger;
}

spdlog::level::level_enum LevelOf(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

bool IsPlainWord(absl::string_view text) {
  if (text.empty()) return false;
  for (unsigned char c : text) {
    if (!absl::ascii_isgraph(c) || c == '"' || c == '=' || c == '\\') {
      return false;
    }
  }
  return true;
}

std::string TextValue(absl::string_view value) {
  if (IsPlainWord(value)) return std::string(value);
  return absl::StrCat("\"", absl::Utf8SafeCEscape(value), "\"");
}

struct ToText {
  std::string operator()(const std::string& value) const {
    return TextValue(value);
  }
  std::string operator()(int64_t value) const { return absl::StrCat(value); }
  std::string operator()(double value) const {
    return absl::StrFormat("%.6g", value);
  }
};

std::string FormatText(absl::string_view message,
                       const std::vector<LogField>& fields) {
  std::string line =
      absl::StrCat("message=\"", absl::Utf8SafeCEscape(message), "\"");
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.key, "=",
                    std::visit(ToText(), field.value));
  }
  return line;
}

// The members of an object, without its braces.
std::string FormatJson(absl::string_view message,
                       const std::vector<LogField>& fields) {
  nlohmann::ordered_json object;
  object["message"] = std::string(message);
  for (const LogField& field : fields) {
    std::visit([&](const auto& value) { object[field.key] = value; },
               field.value);
  }
  // Bytes that are not UTF-8 become U+FFFD; other modes throw.
  std::string text = object.dump(
      -1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  return text.substr(1, text.size() - 2);
}

}  // namespace

void SetUpLog(LogLevel level, LogFormat format) {
  TheLogger() = NewLogger(format);
  TheLogger().logger->set_level(LevelOf(level));
}

void Log(LogLevel level, absl::string_view message,
         const std::vector<LogField>& fields) {
  const Logger& log = TheLogger();
  if (!log.logger->should_log(LevelOf(level))) return;
  log.logger->log(LevelOf(level), FormatLogLine(log.format, message, fields));
}

std::string FormatLogLine(LogFormat format, absl::string_view message,
                          const std::vector<LogField>& fields) {
  return format == LogFormat::kJson ? FormatJson(message, fields)
                                    : FormatText(message, fields);
}

}  // namespace davit
