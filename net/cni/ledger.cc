#include "net/cni/ledger.h"

#include <fcntl.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "net/list_directory.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {

absl::Status CniLedger::Prepare() const { return MakeDirectories(dir_, 0700); }

absl::Status CniLedger::Add(const std::string& container_id) const {
  std::string path = absl::StrCat(dir_, "/", container_id);
  if (PathExists(path)) return absl::OkStatus();
  UniqueFd fd(open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  if (fd.get() < 0) return ErrnoError("open(%s, O_CREAT)", path);
  return absl::OkStatus();
}

absl::Status CniLedger::Remove(const std::string& container_id) const {
  return RemoveFile(absl::StrCat(dir_, "/", container_id));
}

std::set<std::string> CniLedger::List() const {
  std::vector<std::string> ids =
      ListDirectory(dir_).value_or(std::vector<std::string>());
  return std::set<std::string>(ids.begin(), ids.end());
}

}  // namespace davit
