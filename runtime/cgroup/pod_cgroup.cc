#include "runtime/cgroup/pod_cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "runtime/cgroup/cgroup_fs.h"

namespace davit {
namespace {

constexpr char kSystemd[] = "name=systemd";
constexpr char kAgentLeaf[] = "agent";

bool OnlyV2(const std::vector<CgroupHierarchy>& hierarchies) {
  return std::all_of(hierarchies.begin(), hierarchies.end(),
                     [](const CgroupHierarchy& h) { return h.v2; });
}

// Our directory before PrepareAgentCgroup moved us (or the agent that started
// us) into the leaf.
std::string HomeOf(const CgroupHierarchy& hierarchy,
                   const std::string& parent) {
  absl::string_view home = hierarchy.own_dir;
  absl::ConsumeSuffix(&home, absl::StrCat("/", parent, "/", kAgentLeaf));
  return std::string(home);
}

std::string ParentOf(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) < 0 && errno != EEXIST) {
    return ErrnoError("mkdir(%s)", path);
  }
  return absl::OkStatus();
}

absl::Status MakeLevel(const CgroupDir& dir, const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(path));
  if (dir.Has("cpuset")) RETURN_IF_ERROR(InheritCpuset(path));
  if (dir.hand_down) RETURN_IF_ERROR(HandDownControllers(path));
  return absl::OkStatus();
}

absl::Status CreateOnce(const CgroupDir& dir) {
  RETURN_IF_ERROR(MakeLevel(dir, ParentOf(dir.base)));
  RETURN_IF_ERROR(MakeLevel(dir, dir.base));
  if (dir.payload != dir.base && (dir.v2 || !dir.Has("devices"))) {
    RETURN_IF_ERROR(MakeDirectory(dir.payload));
  }
  if (!dir.supervisor.empty()) RETURN_IF_ERROR(MakeDirectory(dir.supervisor));
  return absl::OkStatus();
}

absl::Status CreateDirectory(const CgroupDir& dir) {
  // Another pod's Remove() may take the empty parent away between our mkdirs.
  constexpr int kAttempts = 100;
  absl::Status status;
  for (int i = 0; i < kAttempts; ++i) {
    status = CreateOnce(dir);
    if (!absl::IsNotFound(status) || !PathExists(dir.mount_point)) break;
  }
  return Annotate(status, "create cgroup");
}

// `pid` 0 is the calling process. Waits until no process of the machine is in
// the middle of a fork or an end, a grace period of RCU.
absl::Status Enter(const std::string& directory, pid_t pid = 0) {
  return WriteKernelFile(absl::StrCat(directory, "/cgroup.procs"),
                         absl::StrCat(pid));
}

// The calling thread into a cgroup of v1: a thread that moves itself is the one
// case without that wait (cgroup_procs_write_start of the kernel).
absl::Status EnterAsThread(const std::string& directory) {
  return WriteKernelFile(absl::StrCat(directory, "/tasks"), "0");
}

absl::StatusOr<UniqueFd> OpenCgroup(const std::string& directory) {
  UniqueFd fd(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_PATH|O_DIRECTORY)", directory);
  return fd;
}

// Whether what is written in the base holds for a directory below it, so that
// the payload can be there. In v1 it does not for block I/O, and a cpuset
// cannot shrink below its children's.
bool BoundsChildren(const CgroupDir& dir) {
  if (dir.v2 || dir.Has(kSystemd)) return true;
  constexpr const char* kHierarchical[] = {"cpu", "devices", "memory", "pids"};
  bool any = false;
  for (const char* controller : kHierarchical) any = any || dir.Has(controller);
  return any && !dir.Has("blkio") && !dir.Has("cpuset");
}

// What the kernel lists in /sys/kernel/cgroup/delegate, and v1's "tasks".
constexpr const char* kDelegated[] = {
    "cgroup.procs",     "cgroup.threads", "cgroup.subtree_control",
    "memory.oom.group", "memory.reclaim", "tasks"};

absl::Status GiveAway(const std::string& path, uid_t owner) {
  if (chown(path.c_str(), owner, owner) < 0) {
    return ErrnoError("chown(%s, %d)", path, owner);
  }
  return absl::OkStatus();
}

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

}  // namespace

bool CgroupDir::Has(const std::string& controller) const {
  return std::find(controllers.begin(), controllers.end(), controller) !=
         controllers.end();
}

CgroupDir PlanBeside(const CgroupHierarchy& hierarchy,
                     const std::string& parent, const std::string& pod_id) {
  CgroupDir dir;
  std::string home = HomeOf(hierarchy, parent);
  dir.v2 = hierarchy.v2;
  dir.controllers = hierarchy.controllers;
  dir.mount_point = hierarchy.mount_point;
  dir.base = absl::StrCat(home, "/", parent, "/", pod_id);
  dir.payload = dir.base;
  if (BoundsChildren(dir)) dir.payload = absl::StrCat(dir.base, "/payload");
  if (dir.v2 || dir.Has(kSystemd)) {
    dir.supervisor = absl::StrCat(dir.base, "/supervisor");
    dir.retreat = std::move(home);
  }
  return dir;
}

PodCgroup PodCgroup::Plan(const std::vector<CgroupHierarchy>& hierarchies,
                          const std::string& parent, const std::string& pod_id,
                          bool host_runs_systemd) {
  std::vector<CgroupDir> dirs;
  bool pure = OnlyV2(hierarchies);
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (host_runs_systemd && !hierarchy.v2 && hierarchy.own_path == "/") {
      continue;
    }
    CgroupDir dir = PlanBeside(hierarchy, parent, pod_id);
    dir.hand_down = pure;
    if (pure) absl::StrAppend(&dir.retreat, "/", parent, "/", kAgentLeaf);
    dirs.push_back(std::move(dir));
  }
  return PodCgroup(std::move(dirs));
}

absl::Status PodCgroup::Create() const {
  for (const CgroupDir& dir : dirs_) RETURN_IF_ERROR(CreateDirectory(dir));
  return absl::OkStatus();
}

absl::Status PodCgroup::CreateInScope(pid_t shim) const {
  for (const CgroupDir& dir : dirs_) {
    if (dir.in_scope) {
      RETURN_IF_ERROR(MakeDirectory(dir.payload), "create cgroup");
      RETURN_IF_ERROR(MakeDirectory(dir.supervisor), "create cgroup");
    } else {
      RETURN_IF_ERROR(CreateDirectory(dir));
    }
    // First out of the base: on v2 nobody may sit beside controllers.
    RETURN_IF_ERROR(Enter(dir.supervisor, shim), "move shim");
    if (dir.hand_down) RETURN_IF_ERROR(HandDownControllers(dir.base));
  }
  return absl::OkStatus();
}

absl::Status PodCgroup::SetLimits(const CgroupLimits& limits) const {
  return WriteLimits(limits, /*lift=*/false);
}

absl::Status PodCgroup::ChangeLimits(const CgroupLimits& limits) const {
  return WriteLimits(limits, /*lift=*/true);
}

absl::Status PodCgroup::WriteLimits(const CgroupLimits& limits,
                                    bool lift) const {
  std::vector<std::pair<LimitWrite, bool>> refused;
  for (bool v2 : {true, false}) {
    for (LimitWrite& write : v2 ? PlanLimitsV2(limits) : PlanLimitsV1(limits)) {
      if (!write.is_limit && !lift) continue;
      absl::Status status = WriteLimit(write, v2);
      if (absl::IsInvalidArgument(status)) {
        refused.emplace_back(std::move(write), v2);
        continue;
      }
      RETURN_IF_ERROR(status, absl::StrCat("limit on ", write.what));
    }
  }
  // On v1 memory may not exceed memory with swap at any moment, so the right
  // order depends on what is there.
  for (const auto& [write, v2] : refused) {
    RETURN_IF_ERROR(WriteLimit(write, v2),
                    absl::StrCat("limit on ", write.what));
  }
  return absl::OkStatus();
}

// Does nothing if the controller is one of the other version's.
absl::Status PodCgroup::WriteLimit(const LimitWrite& write, bool v2) const {
  const CgroupDir* dir = WithController(write.controller);
  if (dir == nullptr) {
    if (v2 || !write.is_limit) return absl::OkStatus();
    return absl::FailedPreconditionError(
        "no cgroup controller for it is available");
  }
  if (dir->v2 != v2) return absl::OkStatus();
  if (!write.is_limit && !v2 && write.controller == "cpuset") {
    return LiftCpuset(dir->base);
  }
  absl::Status status =
      WriteKernelFile(absl::StrCat(dir->base, "/", write.file), write.value);
  if (!absl::IsNotFound(status)) return status;
  if (!write.is_limit) return absl::OkStatus();
  return absl::FailedPreconditionError(status.message());
}

absl::Status PodCgroup::Delegate(uid_t owner) const {
  for (const CgroupDir& dir : dirs_) {
    if (!dir.v2 && !dir.Has(kSystemd)) continue;
    RETURN_IF_ERROR(GiveAway(dir.payload, owner));
    for (const char* file : kDelegated) {
      absl::Status status =
          GiveAway(absl::StrCat(dir.payload, "/", file), owner);
      if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> PodCgroup::OpenPayload() const {
  const CgroupDir* dir = Unified();
  return dir == nullptr ? UniqueFd() : OpenCgroup(dir->payload);
}

absl::StatusOr<UniqueFd> PodCgroup::OpenSupervisor() const {
  const CgroupDir* dir = Unified();
  return dir == nullptr ? UniqueFd() : OpenCgroup(dir->supervisor);
}

absl::Status PodCgroup::EnterPayload() const {
  for (const CgroupDir& dir : dirs_) {
    if (dir.v2) continue;
    RETURN_IF_ERROR(MakeDirectory(dir.payload));
    RETURN_IF_ERROR(EnterAsThread(dir.payload));
  }
  return absl::OkStatus();
}

absl::Status PodCgroup::EnterSupervisor() const {
  for (const CgroupDir& dir : dirs_) {
    if (dir.v2 || dir.supervisor.empty()) continue;
    RETURN_IF_ERROR(EnterAsThread(dir.supervisor));
  }
  return absl::OkStatus();
}

absl::Status PodCgroup::LeaveSupervisor() const {
  for (const CgroupDir& dir : dirs_) {
    if (dir.retreat.empty()) continue;
    RETURN_IF_ERROR(dir.v2 ? Enter(dir.retreat) : EnterAsThread(dir.retreat));
  }
  return absl::OkStatus();
}

int64_t PodCgroup::OomKills() const {
  const CgroupDir* dir = WithController("memory");
  if (dir == nullptr) return 0;
  // v1 does not count for the parents of the victim's cgroup.
  return ReadKey(dir->v2 ? dir->base + "/memory.events"
                         : dir->payload + "/memory.oom_control",
                 "oom_kill")
      .value_or(0);
}

absl::StatusOr<bool> PodCgroup::IsPopulated() const {
  if (const CgroupDir* dir = Unified(); dir != nullptr) {
    absl::StatusOr<int64_t> populated =
        ReadKey(dir->payload + "/cgroup.events", "populated");
    if (absl::IsNotFound(populated.status())) return false;
    RETURN_IF_ERROR(populated);
    return *populated != 0;
  }
  for (const CgroupDir& dir : dirs_) {
    ASSIGN_OR_RETURN(std::vector<pid_t> pids, ListProcesses(dir.payload));
    if (!pids.empty()) return true;
  }
  return false;
}

bool PodCgroup::Exists() const {
  return std::any_of(dirs_.begin(), dirs_.end(),
                     [](const CgroupDir& dir) { return PathExists(dir.base); });
}

absl::Status PodCgroup::Freeze(absl::Duration timeout) const {
  absl::Time deadline = absl::Now() + timeout;
  if (const CgroupDir* dir = Unified(); dir != nullptr) {
    RETURN_IF_ERROR(WriteKernelFile(dir->payload + "/cgroup.freeze", "1"),
                    "freeze pod");
    return WaitFrozen(dir->payload, deadline);
  }
  const CgroupDir* dir = WithController("freezer");
  if (dir == nullptr) {
    return absl::FailedPreconditionError(
        "freeze pod: neither cgroup v2 nor the freezer controller is there");
  }
  return FreezeV1(dir->payload, deadline);
}

absl::Status PodCgroup::Thaw() const {
  if (const CgroupDir* dir = Unified(); dir != nullptr) {
    return WriteKernelFile(dir->payload + "/cgroup.freeze", "0");
  }
  const CgroupDir* dir = WithController("freezer");
  if (dir == nullptr) return absl::OkStatus();
  return WriteKernelFile(dir->payload + "/freezer.state", "THAWED");
}

absl::Status PodCgroup::Kill(absl::Duration timeout) const {
  for (const CgroupDir& dir : dirs_) {
    RETURN_IF_ERROR(KillByCgroup(dir.payload, timeout), "kill cgroup");
  }
  return absl::OkStatus();
}

absl::Status PodCgroup::KillAll(absl::Duration timeout) const {
  for (const CgroupDir& dir : dirs_) {
    RETURN_IF_ERROR(KillByCgroup(dir.base, timeout), "kill cgroup");
  }
  return absl::OkStatus();
}

absl::Status PodCgroup::KillByCgroup(const std::string& directory,
                                     absl::Duration timeout) const {
  absl::Time deadline = absl::Now() + timeout;
  // Only v2 has the file, from Linux 5.14.
  if (!PathExists(absl::StrCat(directory, "/cgroup.kill"))) {
    return KillByFreezer(directory, deadline);
  }
  absl::Status status =
      WriteKernelFile(absl::StrCat(directory, "/cgroup.kill"), "1");
  if (!status.ok() && PathExists(directory)) return status;
  return WaitUnpopulated(directory, deadline);
}

absl::Status PodCgroup::KillByFreezer(const std::string& directory,
                                      absl::Time deadline) const {
  const CgroupDir* freezer = nullptr;
  for (const CgroupDir& dir : dirs_) {
    if (dir.Has("freezer")) freezer = &dir;
  }
  auto set_frozen = [&](absl::string_view state) {
    // Only against forks that outrun us: the loop ends without it as well.
    if (freezer == nullptr) return;
    WriteKernelFile(freezer->base + "/freezer.state", state).IgnoreError();
  };
  // What slips past this is found by who removes the directory.
  ASSIGN_OR_RETURN(std::vector<pid_t> before, ListProcesses(directory));
  if (before.empty()) return absl::OkStatus();
  while (true) {
    set_frozen("FROZEN");
    absl::StatusOr<std::vector<pid_t>> pids = ListProcesses(directory);
    std::vector<UniqueFd> killed;
    if (pids.ok()) killed = SendKill(*pids);
    set_frozen("THAWED");
    RETURN_IF_ERROR(pids);
    if (pids->empty()) return absl::OkStatus();
    RETURN_IF_ERROR(WaitForEnds(killed, deadline), directory);
    if (absl::Now() >= deadline) {
      return absl::DeadlineExceededError(
          absl::StrCat("processes are left in ", directory));
    }
  }
}

absl::Status PodCgroup::Remove() const {
  absl::Status result;
  for (const CgroupDir& dir : dirs_) {
    const std::string& ours = dir.in_scope ? dir.payload : dir.base;
    result.Update(Annotate(RemoveCgroupTree(ours), "remove cgroup"));
    if (dir.in_scope) continue;
    // Stays while other pods are in it.
    rmdir(ParentOf(dir.base).c_str());
  }
  return result;
}

const CgroupDir* PodCgroup::Unified() const {
  for (const CgroupDir& dir : dirs_) {
    if (dir.v2) return &dir;
  }
  return nullptr;
}

const CgroupDir* PodCgroup::WithController(
    const std::string& controller) const {
  const CgroupDir* unified = nullptr;
  for (const CgroupDir& dir : dirs_) {
    if (dir.Has(controller)) return &dir;
    if (dir.v2 && dir.hand_down) unified = &dir;
  }
  return unified;
}

absl::Status PrepareAgentCgroup(const std::vector<CgroupHierarchy>& hierarchies,
                                const std::string& parent) {
  if (!OnlyV2(hierarchies)) return absl::OkStatus();
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    std::string home = HomeOf(hierarchy, parent);
    std::string leaf = absl::StrCat(home, "/", parent, "/", kAgentLeaf);
    RETURN_IF_ERROR(MakeDirectory(ParentOf(leaf)));
    RETURN_IF_ERROR(MakeDirectory(leaf));
    RETURN_IF_ERROR(Enter(leaf), "enter agent cgroup");
    RETURN_IF_ERROR(HandDownControllers(home));
    RETURN_IF_ERROR(HandDownControllers(ParentOf(leaf)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> ListPodCgroups(
    const std::vector<CgroupHierarchy>& hierarchies,
    const std::string& parent) {
  std::set<std::string> ids;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    std::string path = absl::StrCat(HomeOf(hierarchy, parent), "/", parent);
    std::unique_ptr<DIR, DirCloser> dir(opendir(path.c_str()));
    if (dir == nullptr && errno == ENOENT) continue;
    if (dir == nullptr) return ErrnoError("opendir(%s)", path);
    while (dirent* entry = readdir(dir.get())) {
      if (IsUuid(entry->d_name)) ids.insert(entry->d_name);
    }
  }
  return std::vector<std::string>(ids.begin(), ids.end());
}

}  // namespace davit
