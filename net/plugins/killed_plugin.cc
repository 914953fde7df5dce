#include "net/plugins/killed_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "runtime/base/unique_fd.h"

namespace davit::testing {
namespace {

void Require(bool condition, const char* what) {
  if (condition) return;
  perror(what);
  abort();
}

// The name of the call if it is a step, else null. Standard output is the
// plugin's answer, not a deed.
const char* StepName(const __ptrace_syscall_info& info) {
  const auto* args = info.entry.args;
  switch (info.entry.nr) {
    case SYS_sendmsg:
      return "sendmsg";
    case SYS_sendto:
      return "sendto";
    case SYS_write:
      return args[0] > 2 ? "write" : nullptr;
    case SYS_openat:
      return (args[2] & O_CREAT) != 0 ? "openat" : nullptr;
    case SYS_linkat:
      return "linkat";
    case SYS_renameat2:
      return "renameat2";
    case SYS_unlinkat:
      return "unlinkat";
    case SYS_mkdirat:
      return "mkdirat";
    case SYS_ftruncate:
      return "ftruncate";
#ifdef SYS_rename  // what older architectures have besides
    case SYS_link:
      return "link";
    case SYS_rename:
      return "rename";
    case SYS_unlink:
      return "unlink";
    case SYS_mkdir:
      return "mkdir";
#endif
    default:
      return nullptr;
  }
}

UniqueFd MakeInput(const std::string& text) {
  UniqueFd fd(memfd_create("config", MFD_CLOEXEC));
  Require(fd.valid(), "memfd_create");
  Require(write(fd.get(), text.data(), text.size()) ==
              static_cast<ssize_t>(text.size()),
          "write(memfd)");
  lseek(fd.get(), 0, SEEK_SET);
  return fd;
}

std::vector<std::string> EnvironmentOf(const std::string& cni_path,
                                       const PluginCall& call) {
  return {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
          "CNI_COMMAND=" + call.command,
          "CNI_CONTAINERID=" + call.container_id,
          "CNI_NETNS=" + call.netns,
          "CNI_IFNAME=" + call.ifname,
          "CNI_ARGS=" + call.args,
          "CNI_PATH=" + cni_path};
}

// A plugin in its first instruction, stopped, with this thread as its tracer.
pid_t StartTraced(const PluginWorld& world, const std::string& path,
                  const PluginCall& call) {
  UniqueFd input = MakeInput(call.config);
  UniqueFd output(open("/dev/null", O_WRONLY | O_CLOEXEC));
  std::vector<std::string> environment =
      EnvironmentOf(world.our_plugins(), call);
  std::vector<char*> env;
  for (std::string& variable : environment) env.push_back(variable.data());
  env.push_back(nullptr);
  pid_t pid = fork();
  Require(pid >= 0, "fork");
  if (pid == 0) {
    const char* argv[] = {path.c_str(), nullptr};
    bool ready = setns(world.node().fd(), CLONE_NEWNET) == 0 &&
                 dup2(input.get(), 0) == 0 && dup2(output.get(), 1) == 1 &&
                 ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0;
    if (ready) execve(path.c_str(), const_cast<char**>(argv), env.data());
    _exit(127);
  }
  int status;
  Require(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status), "execve");
  Require(
      ptrace(PTRACE_SETOPTIONS, pid, nullptr,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACECLONE |
                 PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK) == 0,
      "PTRACE_SETOPTIONS");
  return pid;
}

// Follows one plugin, all its threads and children.
class Tracer {
 public:
  Tracer(pid_t pid, int last_step)
      : pid_(pid), last_step_(last_step), tasks_{pid} {}

  KilledPlugin Run() {
    Resume(pid_, 0);
    while (!tasks_.empty()) {
      int status;
      pid_t task = waitpid(-1, &status, __WALL);
      if (task < 0 && errno == EINTR) continue;
      Require(task >= 0, "waitpid");
      Handle(task, status);
    }
    return result_;
  }

 private:
  void Handle(pid_t task, int status) {
    if (!WIFSTOPPED(status)) {
      tasks_.erase(task);
      if (task == pid_ && WIFEXITED(status)) {
        result_.exit_code = WEXITSTATUS(status);
      }
      return;
    }
    tasks_.insert(task);  // new ones report by themselves
    int signal = WSTOPSIG(status);
    if (signal == (SIGTRAP | 0x80)) {
      HandleCall(task);
      signal = 0;
    } else if (signal == SIGTRAP || signal == SIGSTOP) {
      signal = 0;  // of the tracing itself
    }
    if (!result_.killed) Resume(task, signal);
  }

  void HandleCall(pid_t task) {
    __ptrace_syscall_info info = {};
    if (ptrace(PTRACE_GET_SYSCALL_INFO, task, sizeof(info), &info) < 0) {
      return;  // it has just died
    }
    if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
      const char* name = StepName(info);
      if (name == nullptr) return;
      result_.last = name;
      in_step_.insert(task);
    } else if (info.op == PTRACE_SYSCALL_INFO_EXIT &&
               in_step_.erase(task) != 0 && ++result_.steps == last_step_) {
      result_.killed = true;
      for (pid_t each : tasks_) kill(each, SIGKILL);
    }
  }

  void Resume(pid_t task, int signal) {
    ptrace(PTRACE_SYSCALL, task, nullptr, signal);
  }

  const pid_t pid_;
  const int last_step_;
  std::set<pid_t> tasks_;
  std::set<pid_t> in_step_;
  KilledPlugin result_;
};

}  // namespace

KilledPlugin RunAndKill(const PluginWorld& world, const std::string& path,
                        const PluginCall& call, int step) {
  return Tracer(StartTraced(world, path, call), step).Run();
}

}  // namespace davit::testing
