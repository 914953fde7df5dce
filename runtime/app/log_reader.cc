#include "runtime/app/log_reader.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/app/app.h"
#include "runtime/app/sigbus_guard.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// journald splits lines far below this (LineMax=); a pod could write more.
constexpr size_t kMaxField = 1 << 20;
constexpr uint64_t kAskEndedUsec = 1000000;

struct JournalCloser {
  void operator()(sd_journal* journal) const { sd_journal_close(journal); }
};
using Journal = std::unique_ptr<sd_journal, JournalCloser>;

absl::Status Checked(int result, const char* call) {
  if (result >= 0) return absl::OkStatus();
  return ErrorNumber(result, "%s", call);
}

// What a damaged journal, or one that is being written by a stranger, gives:
// such an entry is passed over.
bool IsDamage(int result) {
  return result == -EBADMSG || result == -ENODATA || result == -E2BIG ||
         result == -EPROTONOSUPPORT || result == -ENOENT ||
         result == -EADDRNOTAVAIL || result == -EIO;
}

absl::StatusOr<Journal> OpenJournal(const std::string& directory) {
  sd_journal* raw = nullptr;
  int result = sd_journal_open_directory(&raw, directory.c_str(), 0);
  if (result < 0) {
    return ErrorNumber(result, "sd_journal_open_directory(%s)", directory);
  }
  Journal journal(raw);
  RETURN_IF_ERROR(Checked(sd_journal_set_data_threshold(raw, kMaxField),
                          "sd_journal_set_data_threshold"));
  return journal;
}

absl::Status MatchApp(sd_journal* journal, const std::string& app) {
  std::string unit = "_SYSTEMD_UNIT=" + AppUnitName(app);
  return Checked(sd_journal_add_match(journal, unit.data(), unit.size()),
                 "sd_journal_add_match");
}

uint64_t ToUsec(absl::Time time) {
  return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMicros(time)));
}

absl::Status SeekTime(sd_journal* journal, absl::Time since) {
  if (since == absl::InfinitePast()) {
    return Checked(sd_journal_seek_head(journal), "sd_journal_seek_head");
  }
  return Checked(sd_journal_seek_realtime_usec(journal, ToUsec(since)),
                 "sd_journal_seek_realtime_usec");
}

// Places `journal` so that sd_journal_next gives the first entry wanted.
absl::Status SeekStart(sd_journal* journal, const LogOptions& options) {
  if (options.tail_lines < 0) return SeekTime(journal, options.since);
  RETURN_IF_ERROR(
      Checked(sd_journal_seek_tail(journal), "sd_journal_seek_tail"));
  // One more than wanted: sd_journal_next steps forward first.
  uint64_t back = static_cast<uint64_t>(options.tail_lines) + 1;
  int skipped = sd_journal_previous_skip(journal, back);
  RETURN_IF_ERROR(Checked(skipped, "sd_journal_previous_skip"));
  uint64_t usec = 0;
  bool before_since = options.since != absl::InfinitePast() && skipped > 0 &&
                      sd_journal_get_realtime_usec(journal, &usec) >= 0 &&
                      usec < ToUsec(options.since);
  if (before_since) return SeekTime(journal, options.since);
  // Fewer than that: from the first one on.
  if (static_cast<uint64_t>(skipped) < back) {
    return SeekTime(journal, options.since);
  }
  return absl::OkStatus();
}

// A field's value, or nothing if the entry has none.
std::optional<std::string> Field(sd_journal* journal, const char* name) {
  const void* data = nullptr;
  size_t size = 0;
  if (sd_journal_get_data(journal, name, &data, &size) < 0) {
    return std::nullopt;
  }
  absl::string_view field(static_cast<const char*>(data), size);
  size_t prefix = strlen(name) + 1;
  if (field.size() < prefix) return std::nullopt;
  return std::string(field.substr(prefix));
}

// "web" of "app-web.service"; the unit's name for any other; else who says it
// is.
std::string Origin(sd_journal* journal) {
  std::optional<std::string> unit = Field(journal, "_SYSTEMD_UNIT");
  if (!unit.has_value()) {
    return Field(journal, "SYSLOG_IDENTIFIER").value_or("");
  }
  absl::string_view name = *unit;
  if (absl::ConsumePrefix(&name, "app-") &&
      absl::ConsumeSuffix(&name, ".service")) {
    return std::string(name);
  }
  return *unit;
}

std::string Cursor(sd_journal* journal) {
  char* cursor = nullptr;
  if (sd_journal_get_cursor(journal, &cursor) < 0) return "";
  std::string result = cursor;
  free(cursor);
  return result;
}

// Nothing if the entry has no message.
std::optional<LogEntry> ReadEntry(sd_journal* journal) {
  std::optional<std::string> message = Field(journal, "MESSAGE");
  if (!message.has_value()) return std::nullopt;
  LogEntry entry;
  entry.message = *std::move(message);
  uint64_t usec = 0;
  if (sd_journal_get_realtime_usec(journal, &usec) >= 0) {
    entry.at = absl::FromUnixMicros(static_cast<int64_t>(usec));
  }
  int priority = LOG_INFO;
  entry.is_stderr =
      absl::SimpleAtoi(Field(journal, "PRIORITY").value_or(""), &priority) &&
      priority <= LOG_ERR;
  entry.app = Origin(journal);
  entry.cursor = Cursor(journal);
  return entry;
}

// Gives the sink all entries that are there now. False once it wants no more.
absl::StatusOr<bool> Drain(sd_journal* journal,
                           const std::function<bool(const LogEntry&)>& sink) {
  for (;;) {
    int result = sd_journal_next(journal);
    if (result == 0) return true;
    if (IsDamage(result)) return true;
    RETURN_IF_ERROR(Checked(result, "sd_journal_next"));
    std::optional<LogEntry> entry = ReadEntry(journal);
    if (entry.has_value() && !sink(*entry)) return false;
  }
}

// The nearest directory that exists, at or above `path`.
std::string ExistingAncestor(std::string path) {
  while (!PathExists(path)) {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos || slash == 0) return "/";
    path.resize(slash);
  }
  return path;
}

// Waits until the directory exists; false if `ended` said so first.
absl::StatusOr<bool> AwaitDirectory(const std::string& path,
                                    const std::function<bool()>& ended) {
  UniqueFd events(inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!events) return ErrnoError("inotify_init1");
  while (!PathExists(path)) {
    std::string above = ExistingAncestor(path);
    if (inotify_add_watch(events.get(), above.c_str(),
                          IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF) < 0 &&
        errno != ENOENT) {
      return ErrnoError("inotify_add_watch(%s)", above);
    }
    // It may have come between the look and the watch.
    if (PathExists(path)) break;
    if (ended()) return PathExists(path);
    pollfd event = {events.get(), POLLIN, 0};
    poll(&event, 1, static_cast<int>(kAskEndedUsec / 1000));
    char buffer[sizeof(inotify_event) + NAME_MAX + 1];
    while (read(events.get(), buffer, sizeof(buffer)) > 0) {
    }
  }
  return true;
}

absl::Status Follow(sd_journal* journal,
                    const std::function<bool(const LogEntry&)>& sink,
                    const std::function<bool()>& ended) {
  for (;;) {
    // Asked before reading: what was written before the end is read after it.
    bool over = ended();
    if (over) {
      // Takes in files and entries that were not announced yet.
      RETURN_IF_ERROR(
          Checked(sd_journal_process(journal), "sd_journal_process"));
    }
    ASSIGN_OR_RETURN(bool more, Drain(journal, sink));
    if (!more || over) return absl::OkStatus();
    int result = sd_journal_wait(journal, kAskEndedUsec);
    if (!IsDamage(result)) {
      RETURN_IF_ERROR(Checked(result, "sd_journal_wait"));
    }
  }
}

absl::Status ReadJournal(const LogOptions& options,
                         const std::function<bool(const LogEntry&)>& sink,
                         const std::function<bool()>& ended) {
  ASSIGN_OR_RETURN(Journal journal, OpenJournal(options.journal_dir));
  if (!options.app.empty()) {
    RETURN_IF_ERROR(MatchApp(journal.get(), options.app));
  }
  if (options.follow) {
    // Starts the watches, before the first look.
    RETURN_IF_ERROR(
        Checked(sd_journal_get_fd(journal.get()), "sd_journal_get_fd"));
  }
  RETURN_IF_ERROR(SeekStart(journal.get(), options));
  if (options.follow) return Follow(journal.get(), sink, ended);
  return Drain(journal.get(), sink).status();
}

}  // namespace

absl::Status ReadLogs(const LogOptions& options,
                      const std::function<bool(const LogEntry&)>& sink,
                      const std::function<bool()>& ended) {
  if (!PathExists(options.journal_dir)) {
    if (!options.follow) return absl::OkStatus();
    ASSIGN_OR_RETURN(bool exists, AwaitDirectory(options.journal_dir, ended),
                     "follow logs");
    if (!exists) return absl::OkStatus();
  }
  // The pod's journald, a stranger, writes and truncates these files.
  SigbusGuard guard;
  return Annotate(ReadJournal(options, sink, ended), "read logs");
}

}  // namespace davit
