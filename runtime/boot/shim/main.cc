// davit-shim: boots one pod and stays with it until its end. Started by davitd
// (runtime/boot/launcher.cc) with the file of the launch plan as descriptor 3
// and a control connection as 4, on which it hears when the plan is complete;
// needs nothing of davitd after that.

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/time/time.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/process_id.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/launch_plan.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/plan_codec.h"
#include "runtime/boot/shim/console_log.h"
#include "runtime/boot/shim/monitor.h"
#include "runtime/boot/shim/pod_start.h"
#include "runtime/boot/shim_record.h"
#include "runtime/boot/shim_state.h"

// Where the program's text begins and ends, by the linker (end(3)).
extern "C" char __executable_start, etext;

namespace davit {
namespace {

constexpr absl::Duration kKillTimeout = absl::Seconds(10);
constexpr size_t kConsoleLogBytes = 1 << 20;

// Waits for the plan: meanwhile the agent, or the host's systemd, puts us into
// the pod's cgroups. OutOfRange if the agent has given up.
absl::StatusOr<LaunchPlan> ReadPlan(int client) {
  UniqueFd fd(kPlanFdOfShim);
  RETURN_IF_ERROR(AwaitPacket(client));
  ASSIGN_OR_RETURN(std::string packet, ReceivePacket(client),
                   "wait for the launch plan");
  if (packet != kPlanIsReady) {
    return absl::DataLossError("first packet is not the agent's");
  }
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(fd.get()), "read launch plan");
  return DecodeLaunchPlan(bytes);
}

// Nothing but SIGKILL and a request ends a shim: everything is blocked, SIGTERM
// is read by Monitor.
absl::Status PrepareProcess() {
  sigset_t all;
  sigfillset(&all);
  if (sigprocmask(SIG_SETMASK, &all, nullptr) < 0) {
    return ErrnoError("sigprocmask");
  }
  if (chdir("/") < 0) return ErrnoError("chdir(/)");
  // We live in the pod's memory limit on v2 and must not be its victim. Needs
  // CAP_SYS_RESOURCE; without it our size alone has to protect us.
  WriteKernelFile("/proc/self/oom_score_adj", "-999").IgnoreError();
  return absl::OkStatus();
}

absl::StatusOr<MonitoredPod> Describe(const LaunchPlan& plan) {
  ASSIGN_OR_RETURN(std::string boot_id,
                   ReadFile("/proc/sys/kernel/random/boot_id"));
  return MonitoredPod{
      .pod_id = plan.pod_id,
      .host_boot_id = std::string(absl::StripAsciiWhitespace(boot_id)),
      .runtime_dir = plan.runtime_dir,
      .state_dir = plan.state_dir,
      .cgroup = PodCgroup(plan.cgroups)};
}

// Everything up to the pod's exec.
absl::Status Boot(const LaunchPlan& plan, Epoll& epoll,
                  std::unique_ptr<Monitor>& monitor) {
  RETURN_IF_ERROR(PrepareProcess());
  RETURN_IF_ERROR(PodCgroup(plan.cgroups).EnterSupervisor(),
                  "enter supervisor cgroup");
  ASSIGN_OR_RETURN(MonitoredPod pod, Describe(plan));
  ASSIGN_OR_RETURN(UniqueFd listener,
                   ListenForPackets(ShimSocketPath(plan.runtime_dir)));
  ASSIGN_OR_RETURN(
      ConsoleLog log,
      ConsoleLog::Open(ConsoleLogPath(plan.state_dir), kConsoleLogBytes));
  ShimState state;
  ASSIGN_OR_RETURN(state.shim, IdentifyProcess(getpid()));
  state.phases.push_back(
      {"cgroup", absl::FromUnixMicros(plan.cgroup_made_usec)});
  ASSIGN_OR_RETURN(StartedPod started, StartPod(plan));
  monitor = std::make_unique<Monitor>(epoll, std::move(pod), std::move(started),
                                      std::move(log), std::move(state));
  return monitor->Begin(std::move(listener));
}

absl::Status Start(int client, Epoll& epoll,
                   std::unique_ptr<Monitor>& monitor) {
  ASSIGN_OR_RETURN(LaunchPlan plan, ReadPlan(client));
  absl::Status status = Boot(plan, epoll, monitor);
  if (!status.ok()) {
    // What was started already; who started us removes the rest.
    PodCgroup(plan.cgroups).Kill(kKillTimeout).IgnoreError();
  }
  return status;
}

// A shim lives as long as its pod and there are many: gives back the plan's
// heap and the program's pages that only the start needed. Clean pages of a
// private file mapping come back from the page cache when they are touched.
void ReleaseStartupMemory() {
  malloc_trim(0);
  uintptr_t page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  uintptr_t begin = reinterpret_cast<uintptr_t>(&__executable_start);
  uintptr_t end = reinterpret_cast<uintptr_t>(&etext) & ~(page - 1);
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

void ReportFailure(int client, const absl::Status& failure) {
  ShimState state;
  state.failure = failure;
  // An agent that died meanwhile finds no shim.json and cleans up.
  SendPacket(client, EncodeShimState(state)).IgnoreError();
}

absl::Status Run() {
  UniqueFd client(kClientFdOfShim);
  ASSIGN_OR_RETURN(Epoll epoll, Epoll::Create());
  std::unique_ptr<Monitor> monitor;
  absl::Status started = Start(client.get(), epoll, monitor);
  if (!started.ok()) {
    ReportFailure(client.get(), started);
    return started;
  }
  ReleaseStartupMemory();
  monitor->Adopt(std::move(client));
  return monitor->Run();
}

}  // namespace
}  // namespace davit

int main() {
  absl::Status status = davit::Run();
  if (status.ok()) return 0;
  fprintf(stderr, "davit-shim: %s\n", status.ToString().c_str());
  return 1;
}
