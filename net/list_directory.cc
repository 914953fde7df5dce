#include "net/list_directory.h"

#include <dirent.h>

#include <algorithm>
#include <memory>

#include "runtime/base/errno_error.h"

namespace davit {
namespace {

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

absl::StatusOr<std::vector<std::string>> ListDirectory(
    const std::string& path) {
  std::vector<std::string> names;
  std::unique_ptr<DIR, DirCloser> dir(opendir(path.c_str()));
  if (dir == nullptr) {
    if (errno == ENOENT) return names;
    return ErrnoError("opendir(%s)", path);
  }
  // Only errno tells the end from an error.
  errno = 0;
  while (dirent* entry = readdir(dir.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    errno = 0;
  }
  if (errno != 0) return ErrnoError("readdir(%s)", path);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace davit
