#include "tests/bench/bench_node.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/netns/netns.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

UniqueFd MemoryFile(const std::string& content) {
  UniqueFd fd(memfd_create("bench", MFD_CLOEXEC));
  if (!fd || !WriteAll(fd.get(), content).ok() ||
      lseek(fd.get(), 0, SEEK_SET) != 0) {
    Die(absl::StrCat("memfd_create: ", strerror(errno)));
  }
  return fd;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

double NowMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 +
         static_cast<double>(now.tv_nsec) / 1e6;
}

void Die(const std::string& why) {
  fflush(stdout);
  fprintf(stderr, "bench: %s\n", why.c_str());
  exit(1);
}

void EnterBenchNode() {
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
      mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) {
    Die(absl::StrCat("unshare(CLONE_NEWNET | CLONE_NEWNS): ", strerror(errno)));
  }
  RunTool({"/usr/sbin/ip", "link", "set", "lo", "up"});
}

bool EnterRealTime() {
  sched_param parameters = {};
  parameters.sched_priority = 1;
  return sched_setscheduler(0, SCHED_FIFO, &parameters) == 0;
}

BenchPod::BenchPod() {
  absl::Status made = Netns::Create(netns_path()).status();
  if (!made.ok()) Die(std::string(made.message()));
}

BenchPod::~BenchPod() {
  absl::Status removed = Netns::Remove(netns_path());
  if (!removed.ok()) fprintf(stderr, "bench: %s\n", removed.ToString().c_str());
}

void Start(TimedCall* call) {
  UniqueFd input = MemoryFile(call->input);
  call->out = MemoryFile("");
  const std::vector<char*> argv = Pointers(call->argv);
  const std::vector<char*> env = Pointers(call->env);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input.get(), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, call->out.get(), STDOUT_FILENO);
  call->milliseconds = -NowMilliseconds();
  int error = posix_spawn(&call->pid, call->path.c_str(), &actions, nullptr,
                          argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) Die(absl::StrCat(call->path, ": ", strerror(error)));
}

void Finish(TimedCall* call) {
  int status = 0;
  while (waitpid(call->pid, &status, 0) < 0) {
    if (errno != EINTR) Die(absl::StrCat("waitpid: ", strerror(errno)));
  }
  call->milliseconds += NowMilliseconds();
  lseek(call->out.get(), 0, SEEK_SET);
  call->output = ReadAll(call->out.get()).value_or("");
  call->out.Reset();
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  Die(absl::StrCat(absl::StrJoin(call->argv, " "), " failed (status ", status,
                   ")\n", absl::StrJoin(call->env, "\n"), "\n", call->input,
                   "\n", call->output));
}

double Run(TimedCall* call) {
  Start(call);
  Finish(call);
  return call->milliseconds;
}

void RunTool(std::vector<std::string> argv, const std::string& input) {
  TimedCall call;
  call.path = argv.front();
  call.argv = std::move(argv);
  call.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
  call.input = input;
  Run(&call);
}

}  // namespace davit::testing
