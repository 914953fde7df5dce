#ifndef DAVIT_RUNTIME_BOOT_SHIM_MONITOR_H_
#define DAVIT_RUNTIME_BOOT_SHIM_MONITOR_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "runtime/base/unique_fd.h"
#include "runtime/boot/epoll.h"
#include "runtime/boot/shim/console_hub.h"
#include "runtime/boot/shim/console_log.h"
#include "runtime/boot/shim/control.h"
#include "runtime/boot/shim/notify.h"
#include "runtime/boot/shim/pod_start.h"
#include "runtime/boot/shim/stop_sequence.h"
#include "runtime/boot/shim_state.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// A shim's view of its pod: where things are.
struct MonitoredPod {
  std::string pod_id;
  std::string host_boot_id;
  std::string runtime_dir;
  std::string state_dir;
  PodCgroup cgroup;
};

// The life of a shim from the pod's exec to its end: drains the console and the
// notify socket, serves the control socket, stops the pod when asked to, and
// when PID 1 has ended kills what is left, writes how it ended and cleans up.
// One thread.
class Monitor {
 public:
  // `epoll` must outlive this. `state` has the shim's identity and the phases
  // so far.
  Monitor(Epoll& epoll, MonitoredPod pod, StartedPod started, ConsoleLog log,
          ShimState state);

  // Writes shim.json, then serves `listener`.
  absl::Status Begin(UniqueFd listener);
  // Serves the agent that waits for the start, and so tells it of the success.
  void Adopt(UniqueFd client);
  // Returns when the pod has ended and all is written.
  absl::Status Run();

 private:
  absl::Status Watch();
  absl::Status WatchTtys();
  void OnNotify(const NotifyMessage& message);
  void OnTerminate();
  void OnConsole(uint32_t events);
  void DrainConsole();
  void Stop(absl::Duration grace);
  void ContinueStop();
  absl::Status Finish();
  absl::Status WriteExit(const PodExit& exit) const;
  absl::Status RemoveCgroups() const;
  absl::Status WriteRecord() const;
  void Publish() { control_.Publish(EncodeShimState(state_)); }

  Epoll& epoll_;
  MonitoredPod pod_;
  StartedPod started_;
  NotifySocket notify_;
  ConsoleLog log_;
  ConsoleHub hub_;
  ShimState state_;
  StopSequence stop_;
  ControlServer control_;
  UniqueFd terminate_;  // signalfd of SIGTERM
  bool ended_ = false;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_MONITOR_H_
