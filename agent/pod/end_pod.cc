#include "agent/pod/end_pod.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/pod/app_state.h"
#include "agent/pod/intents.h"
#include "agent/pod/run_pod.h"
#include "agent/pod/stop_pod.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kMaxDoublings = 7;  // a delay of 64 s
constexpr absl::Duration kShutdownTime = absl::Seconds(5);

void Report(PodContext& context, const LivePod& pod, absl::string_view doing,
            const absl::Status& status) {
  if (status.ok()) return;
  context.Problem(absl::StrCat("pod \"", pod.name(), "\": ", doing, ": ",
                               status.message()));
}

bool WillRestart(const Pod& pod, const PodExit& exit) {
  return exit.kind == PodExit::Kind::kReboot && !exit.stop_requested &&
         !pod.stop_requested && !pod.remove_requested &&
         pod.spec.restart_policy != RestartPolicy::kNever;
}

bool IsRun(const LivePod& pod, uint64_t run) {
  return pod.run_number() == run && pod.state() == PodState::kRunning;
}

void HandleExit(PodContext& context, const std::shared_ptr<LivePod>& pod,
                uint64_t run, const PodExit& exit) {
  {
    absl::MutexLock lock(&pod->operation);
    // A stop or a failed start has seen the end and dealt with it.
    if (!IsRun(*pod, run)) return;
    Report(context, *pod, "clean up after its end",
           EndPod(context, *pod, exit));
  }
  RestartIfRebooting(context, pod);
  RetryIfNeeded(context, pod);
}

void RefreshSystemState(PodContext& context, LivePod& pod) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process == nullptr) return;
  auto state = context.deps.apps->GetSystemState({pod.id(), process->init()});
  if (!state.ok()) return;
  pod.UpdateQuietly(
      [&](Pod& value) { value.status.system_state = state->state; });
}

// True if the pod's systemd shuts down already, which ends its apps as well: a
// reboot from inside must not become a stop.
bool EndsByItself(PodContext& context, LivePod& pod) {
  std::shared_ptr<PodProcess> process = pod.process();
  if (process == nullptr) return false;
  auto state = context.deps.apps->GetSystemState({pod.id(), process->init()});
  if (state.ok()) return state->state == "stopping";
  // Its last program, systemd-shutdown, answers no more.
  return process->WaitExit(kShutdownTime).ok();
}

void StopCompleted(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  uint64_t run = pod->run_number();
  {
    absl::MutexLock lock(&pod->operation);
    if (!IsRun(*pod, run) || !AllAppsDone(pod->Get().status.apps)) return;
    if (EndsByItself(context, *pod)) return;
    Report(context, *pod, "stop after its last app",
           StopPod(context, *pod, {}));
  }
  RetryIfNeeded(context, pod);
}

absl::Duration RestartDelay(PodContext& context, LivePod& pod) {
  pod.operation.AssertHeld();
  Pod value = pod.Get();
  bool quick = value.status.finished_at - value.status.started_at <
               context.options.quick_reboot;
  if (!quick) {
    pod.quick_reboots = 0;
    return absl::ZeroDuration();
  }
  int doublings = std::min(pod.quick_reboots++, kMaxDoublings);
  // The first is no loop yet.
  return doublings == 0 ? absl::ZeroDuration()
                        : absl::Seconds(1 << (doublings - 1));
}

bool IsRebooting(const Pod& pod) {
  return pod.status.state == PodState::kExited &&
         pod.status.reason == kRebooting;
}

void Restart(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  {
    absl::MutexLock lock(&pod->operation);
    if (!IsRebooting(pod->Get())) return;
    Report(context, *pod, "start again after its reboot",
           StartPod(context, pod));
  }
  RetryIfNeeded(context, pod);
}

}  // namespace

PodListener ListenToRun(PodContext& context,
                        const std::shared_ptr<LivePod>& pod) {
  PodListener listener;
  listener.on_ready = [] {};
  listener.on_status = [](const std::string&) {};
  listener.on_exit = [&context, workers = context.workers,
                      weak = std::weak_ptr<LivePod>(pod),
                      run = pod->run_number()](const PodExit& exit) {
    workers->Add([&context, weak, run, exit] {
      if (auto pod = weak.lock()) HandleExit(context, pod, run, exit);
    });
  };
  listener.on_trouble = [&context, weak = std::weak_ptr<LivePod>(pod)](
                            const absl::Status& trouble) {
    if (auto pod = weak.lock()) Report(context, *pod, "boot", trouble);
  };
  return listener;
}

PodApps::StatusCallback ListenToApps(PodContext& context,
                                     const std::shared_ptr<LivePod>& pod) {
  return
      [&context, workers = context.workers, mailbox = pod->mailbox(),
       weak = std::weak_ptr<LivePod>(pod)](
          const std::string&, const std::string& app, const AppStatus& status) {
        mailbox->Push(app, status);
        workers->Add([&context, weak] {
          if (auto pod = weak.lock()) HandleAppNews(context, pod);
        });
      };
}

void HandleAppNews(PodContext& context, const std::shared_ptr<LivePod>& pod) {
  if (pod->ReadMail()) {
    Report(context, *pod, "write record of an app's end", pod->Save());
    // One that is being stopped has other things to do than to be asked.
    if (pod->state() == PodState::kRunning) RefreshSystemState(context, *pod);
  }
  if (AllAppsDone(pod->Get().status.apps)) StopCompleted(context, pod);
}

absl::Status EndPod(PodContext& context, LivePod& pod, const PodExit& seen) {
  PodExit exit = seen;
  if (exit.at <= absl::UnixEpoch()) exit.at = absl::Now();  // nobody saw when
  context.deps.apps->Unwatch(pod.id());
  pod.CloseMail();
  pod.SetProcess(nullptr);
  pod.UpdateQuietly([&](Pod& value) {
    value.status.exit = exit;
    value.status.finished_at = exit.at;
    MarkUnseenEnds(exit.at, value.status.apps);
  });
  // Written below, with the rest.
  absl::Status undone = UndoAllIntents(context, pod);
  pod.Update([&](Pod& value) {
    value.status.state = PodState::kExited;
    value.status.reason =
        WillRestart(value, exit) ? kRebooting : EndReason(value.status);
    value.status.message = DescribeExit(exit);
    value.stop_requested = false;
  });
  absl::Status saved = pod.Save();
  return undone.ok() ? Annotate(saved, "write record") : undone;
}

void RestartIfRebooting(PodContext& context,
                        const std::shared_ptr<LivePod>& pod) {
  absl::Duration delay;
  {
    absl::MutexLock lock(&pod->operation);
    if (!IsRebooting(pod->Get())) return;
    delay = RestartDelay(context, *pod);
  }
  context.workers->AddAfter(delay,
                            [&context, weak = std::weak_ptr<LivePod>(pod)] {
                              if (auto pod = weak.lock()) Restart(context, pod);
                            });
}

}  // namespace davit
