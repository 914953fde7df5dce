#include "runtime/base/temporaries.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::Status RemoveTemporaries(const std::string& directory) {
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error), end;
  if (error == std::errc::no_such_file_or_directory) return absl::OkStatus();
  while (!error && entry != end) {
    const std::string name = entry->path().filename();
    if (absl::StartsWith(name, ".tmp-")) {
      RETURN_IF_ERROR(RemoveFile(entry->path()));
    }
    entry.increment(error);
  }
  if (error) {
    return absl::InternalError(
        absl::StrCat("readdir(", directory, "): ", error.message()));
  }
  return absl::OkStatus();
}

}  // namespace davit
