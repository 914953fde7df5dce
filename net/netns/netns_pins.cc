#include "net/netns/netns_pins.h"

#include "absl/strings/str_cat.h"
#include "net/list_directory.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/temporaries.h"

namespace davit {

absl::Status NetnsPins::ForgetMissing() {
  RETURN_IF_ERROR(RemoveTemporaries(record_dir_));
  ASSIGN_OR_RETURN(std::vector<std::string> pods, ListDirectory(record_dir_));
  for (const std::string& pod_id : pods) {
    if (PathExists(PinPath(pod_id))) continue;
    RETURN_IF_ERROR(RemoveFile(RecordPath(pod_id)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> NetnsPins::Create(const std::string& pod_id) {
  return Record(pod_id, &Netns::Create);
}

absl::StatusOr<std::string> NetnsPins::Adopt(const std::string& pod_id,
                                             int fd) {
  return Record(
      pod_id, [fd](const std::string& path) { return Netns::Adopt(path, fd); });
}

// Makes a pin, with its record before and until after it.
absl::StatusOr<std::string> NetnsPins::Record(
    const std::string& pod_id,
    const std::function<absl::StatusOr<Netns>(const std::string&)>& make) {
  std::string path = PinPath(pod_id);
  if (PathExists(path)) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is there already"));
  }
  RETURN_IF_ERROR(MakeDirectories(record_dir_, 0700));
  RETURN_IF_ERROR(WriteFileAtomic(RecordPath(pod_id), absl::StrCat(path, "\n")),
                  "record netns pin");
  absl::StatusOr<Netns> netns = make(path);
  if (!netns.ok()) {
    // It leaves nothing behind: no pin, no record. A record that stays is
    // forgotten at the next start.
    RemoveFile(RecordPath(pod_id)).IgnoreError();
    return netns.status();
  }
  return path;
}

absl::Status NetnsPins::Remove(const std::string& pod_id) {
  RETURN_IF_ERROR(Netns::Remove(PinPath(pod_id)));
  return RemoveFile(RecordPath(pod_id));
}

absl::StatusOr<std::vector<std::string>> NetnsPins::List() const {
  ASSIGN_OR_RETURN(std::vector<std::string> pods, ListDirectory(record_dir_));
  std::erase_if(pods, [this](const std::string& pod_id) {
    return !PathExists(PinPath(pod_id));
  });
  return pods;
}

std::string NetnsPins::PinPath(const std::string& pod_id) const {
  return absl::StrCat(netns_dir_, "/cni-", pod_id);
}

std::string NetnsPins::RecordPath(const std::string& pod_id) const {
  return absl::StrCat(record_dir_, "/", pod_id);
}

}  // namespace davit
