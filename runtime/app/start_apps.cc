#include "runtime/app/start_apps.h"

#include <poll.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/app/app_state.h"
#include "runtime/app/pod_tree.h"
#include "runtime/app/systemd_calls.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

std::string FifoName(const std::string& app) { return app + ".start"; }

// The reading ends of the apps' start fifos, in the order of the apps. Each is
// made before any app starts and removed with this object.
class StartFifos {
 public:
  static absl::StatusOr<std::unique_ptr<StartFifos>> Create(
      const PodTree& root, const std::vector<std::string>& apps) {
    std::unique_ptr<StartFifos> fifos(new StartFifos());
    for (const std::string& app : apps) {
      fifos->removal_.Add(FifoName(app), [&root, app] {
        return root.RemoveFile(kAppFilesInPod, FifoName(app));
      });
      ASSIGN_OR_RETURN(UniqueFd fifo,
                       root.MakeFifo(kAppFilesInPod, FifoName(app)));
      fifos->events_.push_back({fifo.get(), POLLIN, 0});
      fifos->fds_.push_back(std::move(fifo));
    }
    return fifos;
  }

  std::vector<pollfd>* events() { return &events_; }

  // True once the app's davit-app has come and gone. Nothing is ever written:
  // data is a pod's nonsense and counts as an end as well.
  bool IsOver(size_t index) const { return events_[index].fd < 0; }

  // Asks the kernel now.
  void Poll() {
    if (poll(events_.data(), events_.size(), 0) > 0) Update();
  }

  // Takes in what poll(2) found. A fifo that nobody has opened yet is silent.
  void Update() {
    for (pollfd& event : events_) {
      if (event.revents != 0) event.fd = -1;
      event.revents = 0;
    }
  }

 private:
  StartFifos() = default;
  std::vector<UniqueFd> fds_;
  std::vector<pollfd> events_;
  Rollback removal_;
};

bool AllOver(const StartFifos& fifos, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!fifos.IsOver(i)) return false;
  }
  return true;
}

// Waits until davit-app is done with the app, or its service has failed before
// davit-app could open the fifo.
absl::Status AwaitApp(PodBus& bus, const PodRef& pod, const std::string& app,
                      size_t index, StartFifos& fifos, absl::Time deadline) {
  bool changed = true;
  sd_bus_slot* raw_slot = nullptr;
  auto note_change = [](sd_bus_message*, void* flag, sd_bus_error*) {
    *static_cast<bool*>(flag) = true;
    return 0;
  };
  int result = sd_bus_match_signal(bus.get(), &raw_slot, nullptr,
                                   UnitPath(AppUnitName(app)).c_str(),
                                   "org.freedesktop.DBus.Properties",
                                   "PropertiesChanged", note_change, &changed);
  if (result < 0) return BusError(SD_BUS_ERROR_NULL, result, "match");
  BusSlot slot(raw_slot);
  while (!fifos.IsOver(index)) {
    changed = false;
    ASSIGN_OR_RETURN(AppStatus status, ReadAppStatus(bus, pod, app, deadline));
    // After the status: a process that is dead has closed its fifo before.
    fifos.Poll();
    if (status.main_pid == 0 && status.reason != "ContainerCreating") {
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(bus.RunUntil(
        [&] {
          fifos.Update();
          return changed || fifos.IsOver(index);
        },
        deadline, fifos.events()));
  }
  return absl::OkStatus();
}

// After its start has come to an end: whether the app was executed.
absl::Status CheckStarted(PodBus& bus, const PodRef& pod,
                          const std::string& app, bool came_and_went,
                          absl::Time deadline) {
  std::string error = ReadStartError(pod, app);
  if (error.empty() && came_and_went) return absl::OkStatus();
  if (error.empty()) {
    ASSIGN_OR_RETURN(AppStatus status, ReadAppStatus(bus, pod, app, deadline));
    error = absl::StrCat(
        "its service failed before davit-app ran",
        status.message.empty() ? "" : absl::StrCat(": ", status.message));
  }
  return absl::FailedPreconditionError(
      absl::StrFormat("app \"%s\" could not be started: %s", app, error));
}

}  // namespace

absl::Status StartApps(PodBus& bus, const PodRef& pod,
                       const std::vector<std::string>& apps,
                       absl::Time deadline) {
  ASSIGN_OR_RETURN(PodTree root, PodTree::Open(pod));
  ASSIGN_OR_RETURN(std::unique_ptr<StartFifos> fifos,
                   StartFifos::Create(root, apps));
  ASSIGN_OR_RETURN(std::unique_ptr<JobWatch> jobs, JobWatch::Create(bus));
  ASSIGN_OR_RETURN(std::string job,
                   QueueJob(bus, "StartUnit", kAppsTarget, deadline));
  // The target's job is the last: it is ordered after those of all apps, and
  // only wants them, so it ends whatever becomes of them.
  RETURN_IF_ERROR(bus.RunUntil(
                      [&] {
                        fifos->Update();
                        return jobs->IsDone(job) ||
                               AllOver(*fifos, apps.size());
                      },
                      deadline, fifos->events()),
                  "start apps");
  for (size_t i = 0; i < apps.size(); ++i) {
    RETURN_IF_ERROR(AwaitApp(bus, pod, apps[i], i, *fifos, deadline));
    RETURN_IF_ERROR(
        CheckStarted(bus, pod, apps[i], fifos->IsOver(i), deadline));
  }
  return absl::OkStatus();
}

}  // namespace davit
