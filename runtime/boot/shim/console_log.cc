#include "runtime/boot/shim/console_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

UniqueFd Create(const std::string& path) {
  return UniqueFd(open(
      path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0640));
}

}  // namespace

absl::StatusOr<ConsoleLog> ConsoleLog::Open(const std::string& path,
                                            size_t limit) {
  RETURN_IF_ERROR(RemoveFile(path + ".1"));
  UniqueFd fd = Create(path);
  if (!fd) return ErrnoError("open(%s, O_CREAT|O_TRUNC)", path);
  return ConsoleLog(path, limit, std::move(fd));
}

void ConsoleLog::Append(absl::string_view data) {
  while (!data.empty()) {
    if (size_ >= limit_) Rotate();
    absl::string_view piece = data.substr(0, limit_ - size_);
    WriteAll(fd_.get(), piece).IgnoreError();
    size_ += piece.size();
    data.remove_prefix(piece.size());
  }
}

void ConsoleLog::DrainFrom(int master,
                           const std::function<void(absl::string_view)>& show) {
  char buffer[4096];
  while (true) {
    ssize_t n = read(master, buffer, sizeof(buffer));
    if (n < 0 && errno == EINTR) continue;
    // EIO: no process has the console open just now; that may change.
    if (n <= 0) return;
    absl::string_view data(buffer, static_cast<size_t>(n));
    Append(data);
    show(data);
  }
}

void ConsoleLog::Rotate() {
  rename(path_.c_str(), (path_ + ".1").c_str());
  UniqueFd fresh = Create(path_);
  // On failure we go on in the old file's descriptor: bounded either way, as
  // Create truncates when it succeeds the next time.
  if (fresh) fd_ = std::move(fresh);
  size_ = 0;
}

}  // namespace davit
