#include "tests/bench/nspawn_peer.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {
namespace {

absl::StatusOr<UniqueFd> BindNotifySocket(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket(AF_UNIX)");
  sockaddr_un at = {};
  at.sun_family = AF_UNIX;
  if (path.size() >= sizeof(at.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is too long"));
  }
  memcpy(at.sun_path, path.data(), path.size());
  unlink(path.c_str());
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)) < 0) {
    return ErrnoError("bind(%s)", path);
  }
  return fd;
}

absl::Status WaitForReady(int fd, absl::Time deadline) {
  while (absl::Now() < deadline) {
    pollfd p = {fd, POLLIN, 0};
    if (poll(&p, 1, 1000) <= 0) continue;
    char buffer[4096];
    ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
    if (n > 0 &&
        absl::StrContains(absl::string_view(buffer, static_cast<size_t>(n)),
                          "READY=1")) {
      return absl::OkStatus();
    }
  }
  return absl::DeadlineExceededError("no READY=1 from systemd-nspawn");
}

// Enters cgroup `name` in every hierarchy, then becomes systemd-nspawn.
SubprocessSpec NspawnCommand(const std::string& root, const std::string& socket,
                             const std::string& name) {
  SubprocessSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {
      "sh", "-c",
      absl::StrCat(
          "for h in /sys/fs/cgroup/*/; do mkdir -p ${h}", name,
          "; "
          "case $h in */cpuset/) cat $h/cpuset.cpus >${h}",
          name, "/cpuset.cpus; cat $h/cpuset.mems >${h}", name,
          "/cpuset.mems;; esac; echo $$ >${h}", name,
          "/cgroup.procs; done; "
          "exec systemd-nspawn -D ",
          root,
          " --volatile=overlay --private-network --boot --register=no "
          "--keep-unit --notify-ready=yes --console=read-only --quiet -M ",
          name)};
  spec.env = {"PATH=/usr/bin:/usr/sbin:/bin:/sbin",
              absl::StrCat("NOTIFY_SOCKET=", socket)};
  return spec;
}

void RemoveCgroups(const std::string& name) {
  SubprocessSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {
      "sh", "-c",
      absl::StrCat("for i in 1 2 3 4 5; do find /sys/fs/cgroup/*/", name,
                   " -depth -type d -exec rmdir {} + "
                   "2>/dev/null && break; sleep 0.1; done")};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.timeout = absl::Seconds(20);
  RunSubprocess(spec).IgnoreError();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NspawnMachine>> NspawnMachine::Boot(
    const std::string& root, const std::string& scratch,
    const std::string& name) {
  std::string path = absl::StrCat(scratch, "/", name, ".notify");
  ASSIGN_OR_RETURN(UniqueFd notify, BindNotifySocket(path));
  absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(pid_t pid, StartDetached(NspawnCommand(root, path, name)));
  std::unique_ptr<NspawnMachine> machine(new NspawnMachine(name, pid));
  RETURN_IF_ERROR(WaitForReady(notify.get(), start + absl::Seconds(120)));
  machine->ready_at_ = absl::Now();
  machine->ready_after_ = machine->ready_at_ - start;
  return machine;
}

absl::Duration NspawnMachine::Stop() {
  absl::Time start = absl::Now();
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  return absl::Now() - start;
}

NspawnMachine::~NspawnMachine() {
  if (pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  RemoveCgroups(name_);
}

}  // namespace davit::testing
