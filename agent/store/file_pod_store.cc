#include "agent/store/file_pod_store.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/store/pod_codec.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

constexpr char kNewPrefix[] = ".new-";
constexpr mode_t kPrivateDir = 0700;
constexpr mode_t kPrivateFile = 0600;
constexpr size_t kMaxRecord = 16 << 20;

absl::StatusOr<std::vector<std::string>> ListNames(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator it(dir, error);
  for (; !error && it != std::filesystem::directory_iterator();
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error) {
    return ErrorNumber(error.value(), "readdir(%s)", dir);
  }
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status SyncDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path);
  if (fsync(fd.get()) < 0) return ErrnoError("fsync(%s)", path);
  return absl::OkStatus();
}

absl::Status Rename(const std::string& from, const std::string& to) {
  if (rename(from.c_str(), to.c_str()) == 0) return absl::OkStatus();
  return ErrnoError("rename(%s, %s)", from, to);
}

class FilePodStore : public PodStore {
 public:
  explicit FilePodStore(AgentPaths paths) : paths_(std::move(paths)) {}

  // Makes the directories and finishes what a crash interrupted.
  absl::Status Prepare() {
    RETURN_IF_ERROR(MakeDirectories(paths_.pods(), kPrivateDir));
    RETURN_IF_ERROR(MakeDirectories(paths_.trash(), kPrivateDir));
    RETURN_IF_ERROR(RemoveAll(paths_.pods(), kNewPrefix));
    // What cannot be deleted costs space, not the agent's start.
    RemoveAll(paths_.trash(), "").IgnoreError();
    return absl::OkStatus();
  }

  absl::StatusOr<Contents> Load() override;
  absl::Status Create(const Pod& pod) override;
  absl::Status Update(const Pod& pod) override;
  absl::Status Remove(const std::string& id) override;

 private:
  static absl::Status RemoveAll(const std::string& dir,
                                absl::string_view prefix) {
    ASSIGN_OR_RETURN(std::vector<std::string> names, ListNames(dir));
    for (const std::string& name : names) {
      if (!absl::StartsWith(name, prefix)) continue;
      RETURN_IF_ERROR(RemoveTree(absl::StrCat(dir, "/", name)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Pod> Read(const std::string& id) const;
  void LoadOne(const std::string& id, Contents& contents) const;
  absl::Status Write(const std::string& dir, const Pod& pod) const;

  const AgentPaths paths_;
};

absl::StatusOr<PodStore::Contents> FilePodStore::Load() {
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListNames(paths_.pods()));
  Contents contents;
  for (const std::string& name : names) {
    if (IsUuid(name)) LoadOne(name, contents);
  }
  return contents;
}

void FilePodStore::LoadOne(const std::string& id, Contents& contents) const {
  std::string record = paths_.ForPod(id).record;
  std::string aside = absl::StrCat(record, ".broken");
  absl::StatusOr<Pod> pod = Read(id);
  if (pod.ok()) {
    contents.pods.push_back(*std::move(pod));
    return;
  }
  if (absl::IsNotFound(pod.status())) {
    if (PathExists(aside)) {
      contents.broken.push_back({id, absl::StrCat(aside, " was put aside")});
    } else {
      contents.strays.push_back(id);
    }
    return;
  }
  std::string error = absl::StrCat(record, ": ", pod.status().message());
  // A newer agent's record is good for that agent: it keeps its name.
  if (absl::IsDataLoss(pod.status())) {
    absl::Status renamed = Rename(record, aside);
    absl::StrAppend(
        &error, renamed.ok() ? "; put aside as .broken" : renamed.message());
  }
  contents.broken.push_back({id, std::move(error)});
}

absl::StatusOr<Pod> FilePodStore::Read(const std::string& id) const {
  ASSIGN_OR_RETURN(std::string text,
                   ReadFile(paths_.ForPod(id).record, kMaxRecord));
  ASSIGN_OR_RETURN(Pod pod, DecodePodRecord(text));
  if (pod.id != id) {
    return absl::DataLossError(
        absl::StrCat("it is the record of pod ", pod.id));
  }
  return pod;
}

absl::Status FilePodStore::Write(const std::string& dir, const Pod& pod) const {
  ASSIGN_OR_RETURN(std::string text, EncodePodRecord(pod));
  return WriteFileAtomic(absl::StrCat(dir, "/pod.json"), text, kPrivateFile);
}

absl::Status FilePodStore::Create(const Pod& pod) {
  std::string dir = paths_.ForPod(pod.id).dir;
  std::string fresh = absl::StrCat(paths_.pods(), "/", kNewPrefix, pod.id);
  if (PathExists(dir)) {
    return absl::AlreadyExistsError(absl::StrCat(dir, " exists"));
  }
  RETURN_IF_ERROR(MakeDirectories(fresh, kPrivateDir));
  absl::Status status = Write(fresh, pod);
  if (status.ok()) status = Rename(fresh, dir);
  if (!status.ok()) {
    RemoveTree(fresh).IgnoreError();  // Open removes it otherwise
    return status;
  }
  return SyncDirectory(paths_.pods());
}

absl::Status FilePodStore::Update(const Pod& pod) {
  std::string dir = paths_.ForPod(pod.id).dir;
  if (!PathExists(dir)) {
    return absl::NotFoundError(absl::StrCat(dir, ": the pod was removed"));
  }
  return Write(dir, pod);
}

absl::Status FilePodStore::Remove(const std::string& id) {
  std::string dir = paths_.ForPod(id).dir;
  if (!PathExists(dir)) return absl::OkStatus();
  // The name in the trash is new each time: a deletion may have failed there.
  std::string trash = absl::StrCat(paths_.trash(), "/", id, ".", NewUuid());
  RETURN_IF_ERROR(Rename(dir, trash));
  RETURN_IF_ERROR(SyncDirectory(paths_.pods()));
  // The rename was the removal; what stays in the trash goes at the next Open.
  RemoveTree(trash).IgnoreError();
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<PodStore>> OpenFilePodStore(
    const AgentPaths& paths) {
  auto store = std::make_unique<FilePodStore>(paths);
  RETURN_IF_ERROR(store->Prepare(), "open pod store");
  return store;
}

}  // namespace davit
