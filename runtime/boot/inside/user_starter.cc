#include "runtime/boot/inside/user_starter.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/inside/become_init.h"
#include "runtime/boot/inside/build_tree.h"
#include "runtime/userns/file_owner.h"

namespace davit {
namespace {

constexpr int kSetupFailed = 70;  // EX_SOFTWARE; seen by nobody but the shim

[[noreturn]] void End(const absl::Status& status, Channel& shim) {
  if (status.ok()) _exit(0);
  shim.SendError(status);
  _exit(kSetupFailed);
}

absl::Status AwaitChild(pid_t pid, absl::string_view name) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return absl::OkStatus();
  // Its own error has been sent before.
  return absl::AbortedError(absl::StrCat(name, " has failed"));
}

// The builder's second half, as a member of init's PID namespace: only there
// can /proc of that namespace be mounted.
absl::Status Build(const LaunchPlan& plan, const HostParts& parts,
                   Channel& init, Channel& shim) {
  RETURN_IF_ERROR(CreateFilesAs(plan.userns.base, plan.userns.base));
  RETURN_IF_ERROR(BuildTree(plan, parts, shim), "build file system tree");
  return init.Send(ChannelTag::kMountsDone);
}

absl::Status JoinInitAndBuild(const LaunchPlan& plan, const HostParts& parts,
                              Channel& init, Channel& shim) {
  // Nobody else would end us if the starter were killed.
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) return ErrnoError("prctl");
  ASSIGN_OR_RETURN(ChannelMessage message, init.Expect(ChannelTag::kInit));
  if (setns(message.fd.get(), CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWCGROUP) <
      0) {
    return ErrnoError("setns(init, NEWPID|NEWIPC|NEWCGROUP)");
  }
  pid_t child = fork();
  if (child < 0) return ErrnoError("fork");
  if (child == 0) End(Build(plan, parts, init, shim), shim);
  return AwaitChild(child, "builder");
}

absl::Status EnterUserns(int userns) {
  if (setns(userns, CLONE_NEWUSER) < 0) return ErrnoError("setns(NEWUSER)");
  if (setgroups(0, nullptr) < 0) return ErrnoError("setgroups(0)");
  if (setresgid(0, 0, 0) < 0) return ErrnoError("setresgid(0)");
  if (setresuid(0, 0, 0) < 0) return ErrnoError("setresuid(0)");
  // They belong to the user namespace now, and so to the pod's root.
  if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) < 0) {
    return ErrnoError("unshare(NEWUTS|NEWIPC|NEWCGROUP)");
  }
  return absl::OkStatus();
}

absl::Status RunInit(const LaunchPlan& plan, Channel& builder, Channel& shim) {
  absl::StatusOr<ChannelMessage> built =
      builder.Expect(ChannelTag::kMountsDone);
  // The builder has told why.
  if (!built.ok()) return absl::AbortedError("no file system tree");
  if (unshare(CLONE_NEWNS) < 0) return ErrnoError("unshare(CLONE_NEWNS)");
  RETURN_IF_ERROR(ShareTree());
  return BecomeInit(plan, shim);
}

// CLONE_PARENT: the shim is init's parent, and sees its end.
absl::Status CloneInit(const LaunchPlan& plan, Channel& to_builder,
                       Channel& shim) {
  int pidfd = -1;
  long pid =
      syscall(SYS_clone, CLONE_NEWPID | CLONE_PARENT | CLONE_PIDFD | SIGCHLD,
              nullptr, &pidfd, nullptr, nullptr);
  if (pid < 0) return ErrnoError("clone(NEWPID|PARENT)");
  if (pid == 0) End(RunInit(plan, to_builder, shim), shim);
  UniqueFd init(pidfd);
  RETURN_IF_ERROR(shim.Send(ChannelTag::kInit, absl::StrCat(pid), init.get()));
  return to_builder.Send(ChannelTag::kInit, "", init.get());
}

absl::Status Run(const LaunchPlan& plan, int netns, int bare_mounts, int userns,
                 Channel& shim) {
  umask(0);
  RETURN_IF_ERROR(JoinPod(plan, netns));
  ASSIGN_OR_RETURN(HostParts parts, OpenHostParts(plan, userns),
                   "build file system tree");
  RETURN_IF_ERROR(EnterBareMounts(bare_mounts));
  ASSIGN_OR_RETURN(auto ends, Channel::MakePair());
  pid_t builder = fork();
  if (builder < 0) return ErrnoError("fork");
  if (builder == 0) {
    { Channel theirs = std::move(ends.first); }
    End(JoinInitAndBuild(plan, parts, ends.second, shim), shim);
  }
  { Channel theirs = std::move(ends.second); }
  RETURN_IF_ERROR(EnterUserns(userns), "enter user namespace");
  RETURN_IF_ERROR(CloneInit(plan, ends.first, shim));
  { Channel ours = std::move(ends.first); }
  return AwaitChild(builder, "builder");
}

}  // namespace

void RunUserStarter(const LaunchPlan& plan, int netns, int bare_mounts,
                    int userns, Channel shim) {
  End(Run(plan, netns, bare_mounts, userns, shim), shim);
}

}  // namespace davit
