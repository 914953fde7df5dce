#include "runtime/boot/launcher.h"

#include <linux/magic.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/temporaries.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/bare_mounts.h"
#include "runtime/boot/event_thread.h"
#include "runtime/boot/journal_link.h"
#include "runtime/boot/kernel_guard.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/plan_builder.h"
#include "runtime/boot/pod_process.h"
#include "runtime/boot/record_reader.h"
#include "runtime/boot/root_inspector.h"
#include "runtime/boot/shim_process.h"
#include "runtime/boot/shim_record.h"
#include "runtime/boot/unix_export.h"
#include "runtime/cgroup/cgroup_record.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/pod_home.h"
#include "runtime/sandbox/seccomp.h"

namespace davit {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
// A set-up takes some 25 ms; only a dead network file system below the root
// takes for ever.
constexpr absl::Duration kStartTimeout = absl::Seconds(60);

// Whether a pod may write by it to what KernelGuard refuses.
bool GivesKernelFiles(const PodBind& bind) {
  struct statfs info;
  if (bind.read_only || statfs(bind.source.c_str(), &info) < 0) return false;
  // Binds are recursive: the host's root has them below.
  return bind.source == "/" || info.f_type == SYSFS_MAGIC ||
         info.f_type == PROC_SUPER_MAGIC;
}

absl::StatusOr<std::string> HostBootId() {
  ASSIGN_OR_RETURN(std::string text,
                   ReadFile("/proc/sys/kernel/random/boot_id"));
  return std::string(absl::StripAsciiWhitespace(text));
}

// "Europe/Berlin" if `path` is a link into the zoneinfo directory, else "".
std::string TimezoneOf(const std::string& path) {
  std::string text = ReadLink(path).value_or("");
  constexpr char kZones[] = "/zoneinfo/";
  size_t at = text.rfind(kZones);
  if (at == text.npos) return "";
  std::string zone = text.substr(at + strlen(kZones));
  // A name of the database, never a path out of it.
  bool exists = PathExists(absl::StrCat("/usr/share/zoneinfo/", zone));
  return exists && !absl::StrContains(zone, "..") ? zone : "";
}

std::string ReadMachineId(const std::string& path) {
  return std::string(
      absl::StripAsciiWhitespace(ReadFile(path, 4096).value_or("")));
}

absl::StatusOr<HostFacts> DetectHost() {
  HostFacts host;
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    if (!host.os_release.empty()) break;
    host.os_release = ReadFile(path, 64 << 10).value_or("");
  }
  host.has_selinux = PathExists("/sys/fs/selinux/enforce");
  ASSIGN_OR_RETURN(SeccompFilter filter,
                   SeccompFilter::Create(PodSeccompProfile()),
                   "compile the pods' system call filter");
  host.seccomp_program = filter.Export();
  return host;
}

absl::Status CheckPodId(const std::string& pod_id) {
  if (IsUuid(pod_id)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("pod_id: \"", pod_id, "\" is not a UUID in lower case"));
}

absl::Status RemoveRuntimeFiles(const std::string& runtime_dir) {
  RETURN_IF_ERROR(RemoveFile(ShimSocketPath(runtime_dir)));
  // Of a shim that was killed while it wrote its record.
  RETURN_IF_ERROR(RemoveTemporaries(runtime_dir));
  RETURN_IF_ERROR(RemoveFile(ShimRecordPath(runtime_dir)));
  RETURN_IF_ERROR(RemoveUnixExport(UnixExportPath(runtime_dir)));
  RETURN_IF_ERROR(UnlinkJournal(JournalLinkPath(runtime_dir)));
  // The intent last: it is the way back to all else.
  return RemoveFile(CgroupRecordPath(runtime_dir));
}

absl::Status RemoveStateFiles(const std::string& state_dir) {
  RETURN_IF_ERROR(RemoveTemporaries(state_dir));
  RETURN_IF_ERROR(RemoveFile(ExitRecordPath(state_dir)));
  RETURN_IF_ERROR(RemoveFile(ConsoleLogPath(state_dir)));
  return RemoveFile(ConsoleLogPath(state_dir) + ".1");
}

// The shim is killed before the rest is undone.
class PreparedShim : public PreparedPod {
 public:
  PreparedShim(Rollback undo, ShimProcess shim, PodCgroup cgroup)
      : undo(std::move(undo)),
        shim(std::move(shim)),
        cgroup(std::move(cgroup)) {}

  Rollback undo;
  ShimProcess shim;
  PodCgroup cgroup;
};

class LauncherImpl : public Launcher {
 public:
  LauncherImpl(LauncherOptions options, PodHome home, HostFacts host,
               std::string boot_id, UniqueFd bare_mounts,
               std::unique_ptr<EventThread> events)
      : options_(std::move(options)),
        home_(std::move(home)),
        host_(std::move(host)),
        boot_id_(std::move(boot_id)),
        bare_mounts_(std::move(bare_mounts)),
        events_(std::move(events)) {}

  absl::StatusOr<std::unique_ptr<PreparedPod>> Prepare(
      const BootRequest& request) override;
  absl::StatusOr<std::unique_ptr<PodProcess>> Boot(
      std::unique_ptr<PreparedPod> prepared, const BootRequest& request,
      PodListener listener) override;
  absl::StatusOr<std::unique_ptr<PodProcess>> Recover(
      const std::string& pod_id, const std::string& runtime_dir,
      const std::string& state_dir, PodListener listener) override;
  absl::Status Destroy(const std::string& pod_id,
                       const std::string& runtime_dir) override;
  absl::StatusOr<std::vector<std::string>> ListCgroups() override;

 private:
  absl::StatusOr<PodCgroup> FindCgroup(const std::string& pod_id,
                                       const std::string& runtime_dir) const;
  absl::Status CheckNotRunning(const BootRequest& request,
                               const PodCgroup& cgroup) const;
  absl::Status RemoveCgroup(const std::string& pod_id,
                            const PodCgroup& cgroup) const;
  PodProcessParts PartsOf(const std::string& pod_id,
                          const std::string& runtime_dir,
                          const std::string& state_dir, PodCgroup cgroup,
                          PodListener listener) const;
  absl::StatusOr<PodCgroup> StartHoused(const BootRequest& request,
                                        std::optional<ShimProcess>& shim) const;
  void Announce(const BootRequest& request, const ShimState& state,
                const PodListener& listener) const;
  absl::Status LinkJournalOf(const BootRequest& request,
                             const GuestFacts& guest) const;
  absl::Status Guard(const BootRequest& request, const PodCgroup& cgroup) const;
  absl::StatusOr<std::unique_ptr<PodProcess>> TakeUpRunning(
      PodProcessParts& parts);
  absl::StatusOr<std::unique_ptr<PodProcess>> TakeUpEnded(
      PodProcessParts parts);

  const LauncherOptions options_;
  const PodHome home_;
  const HostFacts host_;
  const std::string boot_id_;
  const UniqueFd bare_mounts_;
  const std::unique_ptr<EventThread> events_;
};

// A second start under one id would take the first one's files away, and a
// failed one kill it.
absl::Status LauncherImpl::CheckNotRunning(const BootRequest& request,
                                           const PodCgroup& cgroup) const {
  if (ConnectForPackets(ShimSocketPath(request.runtime_dir)).ok()) {
    return absl::AlreadyExistsError(
        absl::StrCat("pod ", request.pod_id, " is running"));
  }
  ASSIGN_OR_RETURN(bool populated, cgroup.IsPopulated());
  if (populated) {
    return absl::AlreadyExistsError(
        absl::StrCat("processes of pod ", request.pod_id,
                     " are running without a shim; recover or destroy it"));
  }
  return absl::OkStatus();
}

absl::Status LauncherImpl::RemoveCgroup(const std::string& pod_id,
                                        const PodCgroup& cgroup) const {
  RETURN_IF_ERROR(cgroup.KillAll(kKillTimeout));
  return home_.Remove(pod_id, cgroup);
}

PodProcessParts LauncherImpl::PartsOf(const std::string& pod_id,
                                      const std::string& runtime_dir,
                                      const std::string& state_dir,
                                      PodCgroup cgroup,
                                      PodListener listener) const {
  return {.pod_id = pod_id,
          .runtime_dir = runtime_dir,
          .state_dir = state_dir,
          .home = &home_,
          .cgroup = std::move(cgroup),
          .listener = std::move(listener),
          .events = events_.get()};
}

// Makes the pod's cgroups and starts the waiting shim in them.
absl::StatusOr<PodCgroup> LauncherImpl::StartHoused(
    const BootRequest& request, std::optional<ShimProcess>& shim) const {
  absl::StatusOr<PodCgroup> made = home_.Make(
      request.pod_id, absl::StrCat("Davit pod ", request.hostname),
      request.limits, CgroupRecordPath(request.runtime_dir),
      [&](int cgroup) -> absl::StatusOr<pid_t> {
        ASSIGN_OR_RETURN(
            ShimProcess started,
            ShimProcess::Start(options_.shim_path, request.pod_id,
                               bare_mounts_.get(), request.listen_fds, cgroup));
        return shim.emplace(std::move(started)).child();
      });
  if (!made.ok() && shim.has_value() &&
      shim->AwaitEnd(absl::ZeroDuration()).ok()) {
    // Nobody can make a scope for a dead process: the cause, not the effect.
    return absl::AbortedError(absl::StrCat("shim has ended without a word; ",
                                           made.status().message()));
  }
  RETURN_IF_ERROR(made.status());
  if (!request.userns.path.empty()) {
    RETURN_IF_ERROR(made->Delegate(request.userns.base));
  }
  return made;
}

void LauncherImpl::Announce(const BootRequest& request, const ShimState& state,
                            const PodListener& listener) const {
  if (request.machine_name.empty()) return;
  absl::Status status = home_.Announce(request.pod_id, request.machine_name,
                                       state.init.pid, request.rootfs);
  if (!status.ok() && listener.on_trouble) listener.on_trouble(status);
}

absl::Status LauncherImpl::LinkJournalOf(const BootRequest& request,
                                         const GuestFacts& guest) const {
  if (request.journal_dir.empty()) return absl::OkStatus();
  return LinkJournal(
      {.host_root = options_.journal_root,
       .host_id = ReadMachineId(options_.machine_id),
       .machine_id = MachineIdOfUuid(ContainerUuid(request, guest)),
       .pod_root = request.journal_dir,
       .intent = JournalLinkPath(request.runtime_dir)});
}

// With a user namespace the kernel itself keeps the pod from all that.
absl::Status LauncherImpl::Guard(const BootRequest& request,
                                 const PodCgroup& cgroup) const {
  if (options_.guard == nullptr || !request.userns.path.empty() ||
      std::any_of(request.binds.begin(), request.binds.end(),
                  GivesKernelFiles)) {
    return absl::OkStatus();
  }
  // Every pod is in the v2 hierarchy (PodHome).
  return options_.guard->Attach(cgroup.Unified()->payload);
}

absl::StatusOr<std::unique_ptr<PreparedPod>> LauncherImpl::Prepare(
    const BootRequest& request) {
  RETURN_IF_ERROR(CheckPodId(request.pod_id));
  RETURN_IF_ERROR(ValidateLimits(request.limits), "limits");
  PodCgroup planned = home_.Plan(request.pod_id);
  RETURN_IF_ERROR(CheckNotRunning(request, planned));
  RETURN_IF_ERROR(home_.Remove(request.pod_id, planned),
                  "clear an earlier run");

  auto cgroup = std::make_shared<PodCgroup>(std::move(planned));
  Rollback undo;
  undo.Add(
      "remove what was started",
      [this, cgroup, pod_id = request.pod_id, state_dir = request.state_dir,
       runtime_dir = request.runtime_dir]() -> absl::Status {
        RETURN_IF_ERROR(RemoveCgroup(pod_id, *cgroup));
        RETURN_IF_ERROR(RemoveStateFiles(state_dir));
        return RemoveRuntimeFiles(runtime_dir);
      });
  // Declared after the rollback: it is killed before its cgroups are removed.
  std::optional<ShimProcess> shim;
  ASSIGN_OR_RETURN(*cgroup, StartHoused(request, shim));
  return std::make_unique<PreparedShim>(std::move(undo), *std::move(shim),
                                        *cgroup);
}

absl::StatusOr<std::unique_ptr<PodProcess>> LauncherImpl::Boot(
    std::unique_ptr<PreparedPod> prepared, const BootRequest& request,
    PodListener listener) {
  // Nobody else makes them.
  PreparedShim& pod = static_cast<PreparedShim&>(*prepared);
  RETURN_IF_ERROR(ValidateBootRequest(request));
  HostFacts host = host_;
  // It may have changed since we looked last.
  host.timezone = TimezoneOf(options_.localtime);
  ASSIGN_OR_RETURN(
      GuestFacts guest,
      InspectRoot(request.rootfs, request.init_argv.empty(), host.timezone));

  RETURN_IF_ERROR(RemoveStateFiles(request.state_dir));
  RETURN_IF_ERROR(LinkJournalOf(request, guest), "link journal");
  RETURN_IF_ERROR(Guard(request, pod.cgroup), "guard the kernel");
  LaunchPlan plan =
      BuildLaunchPlan(request, host, guest, pod.cgroup, NewUuid());
  plan.cgroup_made_usec = absl::ToUnixMicros(absl::Now());
  RETURN_IF_ERROR(pod.shim.SendPlan(plan));
  ASSIGN_OR_RETURN(ShimState state, pod.shim.AwaitState(kStartTimeout),
                   "boot pod");
  pod.undo.Commit();
  Announce(request, state, listener);
  PodProcessParts parts =
      PartsOf(request.pod_id, request.runtime_dir, request.state_dir,
              std::move(pod.cgroup), std::move(listener));
  ShimProcess::Parts released = std::move(pod.shim).Release();
  return FollowPod(std::move(parts), std::move(state),
                   std::move(released.socket), std::move(released.pidfd));
}

// The directories that were written down; without a record those that a start
// now would make.
absl::StatusOr<PodCgroup> LauncherImpl::FindCgroup(
    const std::string& pod_id, const std::string& runtime_dir) const {
  absl::StatusOr<PodCgroup> recorded =
      ReadCgroupRecord(CgroupRecordPath(runtime_dir), pod_id);
  if (absl::IsNotFound(recorded.status()) ||
      absl::IsDataLoss(recorded.status())) {
    return home_.Plan(pod_id);
  }
  return recorded;
}

absl::StatusOr<std::unique_ptr<PodProcess>> LauncherImpl::Recover(
    const std::string& pod_id, const std::string& runtime_dir,
    const std::string& state_dir, PodListener listener) {
  RETURN_IF_ERROR(CheckPodId(pod_id));
  ASSIGN_OR_RETURN(PodCgroup cgroup, FindCgroup(pod_id, runtime_dir));
  PodProcessParts parts = PartsOf(pod_id, runtime_dir, state_dir,
                                  std::move(cgroup), std::move(listener));
  absl::StatusOr<std::unique_ptr<PodProcess>> running = TakeUpRunning(parts);
  if (!absl::IsNotFound(running.status())) return running;
  return TakeUpEnded(std::move(parts));
}

// NotFound if no shim lives; `parts` are untouched then.
absl::StatusOr<std::unique_ptr<PodProcess>> LauncherImpl::TakeUpRunning(
    PodProcessParts& parts) {
  absl::StatusOr<ShimProcess> shim =
      ShimProcess::Connect(ShimSocketPath(parts.runtime_dir));
  if (!shim.ok()) return absl::NotFoundError("no shim answers");
  // It may be in the middle of the start, or of its own end.
  absl::StatusOr<ShimState> state = shim->AwaitState(kStartTimeout);
  if (absl::IsDeadlineExceeded(state.status())) return state.status();
  if (!state.ok() || state->exit.has_value()) {
    // Its pidfd tells when all is written.
    RETURN_IF_ERROR(shim->AwaitEnd(kStartTimeout));
    return absl::NotFoundError("its shim has just ended");
  }
  ShimProcess::Parts released = std::move(*shim).Release();
  return FollowPod(std::move(parts), *std::move(state),
                   std::move(released.socket), std::move(released.pidfd));
}

absl::StatusOr<std::unique_ptr<PodProcess>> LauncherImpl::TakeUpEnded(
    PodProcessParts parts) {
  absl::StatusOr<ShimState> recorded =
      ReadShimRecord(ShimRecordPath(parts.runtime_dir), boot_id_);
  if (recorded.ok()) {
    // It does not answer: dead, or as good as dead.
    RETURN_IF_ERROR(KillProcess(recorded->shim, kKillTimeout), "kill shim");
  }
  absl::StatusOr<PodExit> exit =
      ReadExitRecord(ExitRecordPath(parts.state_dir));
  if (absl::IsNotFound(exit.status())) {
    bool trace = parts.cgroup.Exists() ||
                 PathExists(ShimRecordPath(parts.runtime_dir)) ||
                 PathExists(CgroupRecordPath(parts.runtime_dir));
    if (!trace) {
      return absl::NotFoundError(
          absl::StrCat("no trace of a pod in ", parts.runtime_dir));
    }
  }
  if (!exit.ok()) {
    exit =
        EndLostPod(parts, recorded.ok() ? recorded->init : ProcessIdentity());
  }
  RETURN_IF_ERROR(exit.status(), "end a pod without a shim");
  return EndedPod(std::move(parts), recorded.value_or(ShimState()), *exit);
}

absl::Status LauncherImpl::Destroy(const std::string& pod_id,
                                   const std::string& runtime_dir) {
  RETURN_IF_ERROR(CheckPodId(pod_id));
  ASSIGN_OR_RETURN(PodCgroup cgroup, FindCgroup(pod_id, runtime_dir));
  absl::StatusOr<ShimState> recorded =
      ReadShimRecord(ShimRecordPath(runtime_dir), boot_id_);
  if (recorded.ok()) {
    // First the shim: it must not write while its files are removed.
    RETURN_IF_ERROR(KillProcess(recorded->shim, kKillTimeout), "kill shim");
  }
  RETURN_IF_ERROR(RemoveCgroup(pod_id, cgroup));
  return RemoveRuntimeFiles(runtime_dir);
}

absl::StatusOr<std::vector<std::string>> LauncherImpl::ListCgroups() {
  return home_.List();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Launcher>> NewLauncher(
    const LauncherOptions& options) {
  if (access(options.shim_path.c_str(), X_OK) < 0) {
    return ErrnoError("access(%s, X_OK)", options.shim_path);
  }
  if (options.cgroup_parent.empty() || options.cgroup_parent[0] == '.' ||
      options.cgroup_parent.find('/') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("cgroup_parent: \"", options.cgroup_parent,
                     "\" is not a directory's name"));
  }
  ASSIGN_OR_RETURN(PodHome home,
                   PodHome::Open(options.cgroup_parent, options.unified_dir));
  ASSIGN_OR_RETURN(HostFacts host, DetectHost());
  ASSIGN_OR_RETURN(std::string boot_id, HostBootId());
  ASSIGN_OR_RETURN(UniqueFd bare_mounts, NewBareMounts());
  ASSIGN_OR_RETURN(std::unique_ptr<EventThread> events, EventThread::Create());
  return std::make_unique<LauncherImpl>(
      options, std::move(home), std::move(host), std::move(boot_id),
      std::move(bare_mounts), std::move(events));
}

}  // namespace davit
