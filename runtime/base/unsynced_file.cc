#include "runtime/base/unsynced_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

absl::Status WriteAndRename(int fd, const std::string& temporary,
                            const std::string& path, absl::string_view data,
                            mode_t mode) {
  RETURN_IF_ERROR(WriteAll(fd, data), temporary);
  if (fchmod(fd, mode) < 0) return ErrnoError("fchmod(%s)", temporary);
  if (rename(temporary.c_str(), path.c_str()) < 0) {
    return ErrnoError("rename(%s, %s)", temporary, path);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteFileUnsynced(const std::string& path, absl::string_view data,
                               mode_t mode) {
  std::string temporary =
      absl::StrCat(path.substr(0, path.rfind('/') + 1), ".tmp-XXXXXX");
  UniqueFd fd(mkostemp(temporary.data(), O_CLOEXEC));
  if (!fd) return ErrnoError("mkostemp(%s)", temporary);
  absl::Status status = WriteAndRename(fd.get(), temporary, path, data, mode);
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace davit
