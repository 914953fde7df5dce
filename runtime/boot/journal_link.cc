#include "runtime/boot/journal_link.h"

#include <unistd.h>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::Status MakeLink(const std::string& path, const std::string& target) {
  if (symlink(target.c_str(), path.c_str()) == 0) return absl::OkStatus();
  return ErrnoError("symlink(%s, %s)", target, path);
}

// Whether another pod, or another machine, has the name. A link whose pod is
// gone has been left by a crash, and is removed.
absl::StatusOr<bool> IsTaken(const std::string& path) {
  absl::StatusOr<std::string> target = ReadLink(path);
  if (absl::IsNotFound(target.status())) return false;
  if (!target.ok()) return true;  // a directory
  if (PathExists(target->substr(0, target->rfind('/')))) return true;
  RETURN_IF_ERROR(RemoveFile(path));
  return false;
}

}  // namespace

// The intent is a link, made in one call: <path in host_root>:<target>. Nobody
// follows it.
absl::Status LinkJournal(const JournalLink& link) {
  if (!PathExists(link.host_root) || link.machine_id == link.host_id) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(UnlinkJournal(link.intent));
  std::string path = absl::StrCat(link.host_root, "/", link.machine_id);
  std::string target = absl::StrCat(link.pod_root, "/", link.machine_id);
  ASSIGN_OR_RETURN(bool taken, IsTaken(path));
  if (taken) return absl::OkStatus();
  RETURN_IF_ERROR(MakeLink(link.intent, absl::StrCat(path, ":", target)));
  return MakeLink(path, target);
}

absl::Status UnlinkJournal(const std::string& intent) {
  absl::StatusOr<std::string> noted = ReadLink(intent);
  if (absl::IsNotFound(noted.status())) return absl::OkStatus();
  RETURN_IF_ERROR(noted.status());
  size_t colon = noted->rfind(':');
  std::string path = noted->substr(0, colon);
  absl::StatusOr<std::string> there = ReadLink(path);
  if (there.ok() && colon != noted->npos &&
      *there == noted->substr(colon + 1)) {
    RETURN_IF_ERROR(RemoveFile(path));
  }
  return RemoveFile(intent);
}

}  // namespace davit
