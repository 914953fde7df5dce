#include "runtime/app/status_watcher.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "absl/time/clock.h"
#include "runtime/app/app_state.h"
#include "runtime/app/pod_bus.h"
#include "runtime/app/systemd_calls.h"
#include "runtime/app/unit_status.h"
#include "runtime/base/process_id.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr absl::Duration kFirstRetry = absl::Milliseconds(100);
constexpr absl::Duration kLastRetry = absl::Seconds(5);
// The thread serves all pods: one that does not answer must not hold it up.
constexpr absl::Duration kReconnectTimeout = absl::Seconds(1);

bool IsReadable(int fd) {
  pollfd event = {fd, POLLIN, 0};
  return poll(&event, 1, 0) > 0;
}

}  // namespace

// One pod's connection and what is known of its apps. Made by the caller of
// Watch, then used by the watcher's thread only, but for `removed`.
class StatusWatcher::WatchedPod {
 public:
  using ReportFunction =
      std::function<void(WatchedPod*, const std::string&, const AppStatus&)>;

  static absl::StatusOr<std::unique_ptr<WatchedPod>> Create(
      const PodRef& pod, const std::vector<std::string>& apps,
      PodApps::StatusCallback callback, const std::string& app_launcher,
      ReportFunction report, absl::Time deadline) {
    ASSIGN_OR_RETURN(ProcessHandle init, ProcessHandle::Open(pod.init));
    std::unique_ptr<WatchedPod> watched(
        new WatchedPod(pod, std::move(init), app_launcher));
    watched->callback = std::move(callback);
    watched->report_ = std::move(report);
    for (const std::string& name : apps) {
      watched->apps_.push_back(std::make_unique<App>());
      watched->apps_.back()->name = name;
      watched->apps_.back()->path = UnitPath(AppUnitName(name));
      watched->apps_.back()->pod = watched.get();
    }
    RETURN_IF_ERROR(watched->Connect(deadline));
    return watched;
  }

  ~WatchedPod() { Disconnect(); }

  const std::string& id() const { return pod_.pod_id; }

  // Appends what to poll for and lowers `until` to when to come back anyway.
  void AddEvents(std::vector<pollfd>& events, absl::Time& until) {
    events.push_back({init_.pidfd(), POLLIN, 0});
    if (!bus_.has_value()) {
      until = std::min(until, retry_at_);
      return;
    }
    absl::StatusOr<std::pair<pollfd, absl::Time>> wait = bus_->PollFor();
    if (!wait.ok()) {
      until = absl::InfinitePast();  // Handle will find out why
      return;
    }
    events.push_back(wait->first);
    until = std::min(until, wait->second);
  }

  // Does what can be done without waiting. False once the pod has ended.
  bool Handle() {
    bool ended = IsReadable(init_.pidfd());
    if (bus_.has_value() && !Converse().ok()) {
      Disconnect();
      retry_at_ = absl::Now() + retry_delay_;
    }
    if (ended) return false;
    if (!bus_.has_value() && absl::Now() >= retry_at_) Reconnect();
    return true;
  }

  PodApps::StatusCallback callback;
  bool removed = false;  // guarded by the watcher's mu_

 private:
  struct App {
    std::string name;
    std::string path;  // of its unit
    WatchedPod* pod = nullptr;
    bool ask = true;  // after (re)connecting
    BusSlot call;     // in flight
    UnitProperties unit;
    std::optional<AppStatus> last;
  };

  WatchedPod(const PodRef& pod, ProcessHandle init, std::string app_launcher)
      : pod_(pod),
        init_(std::move(init)),
        app_launcher_(std::move(app_launcher)) {}

  absl::Status Connect(absl::Time deadline) {
    ASSIGN_OR_RETURN(PodBus bus,
                     PodBus::Connect(pod_, app_launcher_, deadline));
    sd_bus_slot* slot = nullptr;
    int result = sd_bus_match_signal(
        bus.get(), &slot, nullptr, nullptr, "org.freedesktop.DBus.Properties",
        "PropertiesChanged", &OnPropertiesChanged, this);
    if (result < 0) return BusError(SD_BUS_ERROR_NULL, result, "match");
    match_.reset(slot);
    bus_.emplace(std::move(bus));
    for (std::unique_ptr<App>& app : apps_) app->ask = true;
    return absl::OkStatus();
  }

  void Reconnect() {
    if (Connect(absl::Now() + kReconnectTimeout).ok()) {
      retry_delay_ = kFirstRetry;
      if (Converse().ok()) return;
      Disconnect();
    }
    retry_delay_ = std::min(retry_delay_ * 2, kLastRetry);
    retry_at_ = absl::Now() + retry_delay_;
  }

  void Disconnect() {
    for (std::unique_ptr<App>& app : apps_) app->call.reset();
    match_.reset();
    bus_.reset();
  }

  // Hears what there is, and first asks for how things are.
  absl::Status Converse() {
    for (std::unique_ptr<App>& app : apps_) {
      if (app->ask) RETURN_IF_ERROR(Ask(*app));
    }
    return bus_->Dispatch();
  }

  absl::Status Ask(App& app) {
    ASSIGN_OR_RETURN(BusMessage call,
                     NewUnitPropertiesCall(*bus_, AppUnitName(app.name)));
    sd_bus_slot* slot = nullptr;
    int result =
        sd_bus_call_async(bus_->get(), &slot, call.get(), &OnAnswer, &app, 0);
    if (result < 0) return BusError(SD_BUS_ERROR_NULL, result, "GetAll");
    app.call.reset(slot);
    app.ask = false;
    return absl::OkStatus();
  }

  // The signal's own values: a unit that stops with its pod is unloaded at
  // once, and asking for it would load it afresh, as if it had never run.
  static int OnPropertiesChanged(sd_bus_message* message, void* self,
                                 sd_bus_error*) {
    const char* path = sd_bus_message_get_path(message);
    for (std::unique_ptr<App>& app : static_cast<WatchedPod*>(self)->apps_) {
      if (path == nullptr || app->path != path) continue;
      absl::StatusOr<bool> complete =
          MergeChangedProperties(message, app->unit);
      if (complete.ok() && *complete) app->pod->Take(*app);
      break;
    }
    return 0;
  }

  static int OnAnswer(sd_bus_message* message, void* data, sd_bus_error*) {
    App* app = static_cast<App*>(data);
    app->call.reset();
    absl::StatusOr<UnitProperties> unit = ParseUnitProperties(message);
    // A unit that is gone says nothing; a lost connection is found elsewhere.
    if (unit.ok()) {
      app->unit = *std::move(unit);
      app->pod->Take(*app);
    }
    return 1;
  }

  void Take(App& app) {
    AppStatus status = StatusOfUnit(
        app.unit,
        MayBeStartError(app.unit) ? ReadStartError(pod_, app.name) : "");
    // systemd forgets a run's end when the next one starts; we need not.
    if (status.finished_at == absl::InfinitePast() && app.last.has_value()) {
      status.finished_at = app.last->finished_at;
      status.exit_code = app.last->exit_code;
      status.signal = app.last->signal;
    }
    if (app.last == status) return;
    app.last = status;
    report_(this, app.name, status);
  }

  const PodRef pod_;
  const ProcessHandle init_;
  const std::string app_launcher_;
  ReportFunction report_;
  std::vector<std::unique_ptr<App>> apps_;
  std::optional<PodBus> bus_;
  BusSlot match_;
  absl::Time retry_at_ = absl::InfinitePast();
  absl::Duration retry_delay_ = kFirstRetry;
};

StatusWatcher::StatusWatcher(std::string app_launcher)
    : app_launcher_(std::move(app_launcher)),
      wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { Loop(); }) {}

StatusWatcher::~StatusWatcher() {
  {
    absl::MutexLock lock(&mu_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

absl::Status StatusWatcher::Watch(const PodRef& pod,
                                  const std::vector<std::string>& apps,
                                  PodApps::StatusCallback callback,
                                  absl::Time deadline) {
  auto report = [this](WatchedPod* watched, const std::string& app,
                       const AppStatus& status) {
    Report(watched, app, status);
  };
  ASSIGN_OR_RETURN(std::unique_ptr<WatchedPod> watched,
                   WatchedPod::Create(pod, apps, std::move(callback),
                                      app_launcher_, report, deadline));
  {
    absl::MutexLock lock(&mu_);
    MarkRemoved(pod.pod_id);
    pods_.push_back(std::move(watched));
  }
  Wake();
  return absl::OkStatus();
}

void StatusWatcher::Unwatch(const std::string& pod_id) {
  {
    absl::MutexLock lock(&mu_);
    MarkRemoved(pod_id);
    if (std::this_thread::get_id() != thread_.get_id()) {
      auto silent = [this, &pod_id]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return reporting_ == nullptr || reporting_->id() != pod_id;
      };
      mu_.Await(absl::Condition(&silent));
    }
  }
  Wake();
}

void StatusWatcher::MarkRemoved(const std::string& pod_id) {
  for (std::unique_ptr<WatchedPod>& pod : pods_) {
    if (pod->id() == pod_id) pod->removed = true;
  }
}

void StatusWatcher::Report(WatchedPod* pod, const std::string& app,
                           const AppStatus& status) {
  {
    absl::MutexLock lock(&mu_);
    if (pod->removed) return;
    reporting_ = pod;
  }
  pod->callback(pod->id(), app, status);
  absl::MutexLock lock(&mu_);
  reporting_ = nullptr;
}

void StatusWatcher::Wake() {
  uint64_t one = 1;
  // EAGAIN: it is awake already.
  [[maybe_unused]] ssize_t written = write(wake_.get(), &one, sizeof(one));
}

std::vector<StatusWatcher::WatchedPod*> StatusWatcher::DropAndList() {
  std::vector<std::unique_ptr<WatchedPod>> dropped;  // destroyed unlocked
  std::vector<WatchedPod*> list;
  absl::MutexLock lock(&mu_);
  for (std::unique_ptr<WatchedPod>& pod : pods_) {
    if (pod->removed) {
      dropped.push_back(std::move(pod));
    } else {
      list.push_back(pod.get());
    }
  }
  std::erase(pods_, nullptr);
  return list;
}

void StatusWatcher::Loop() {
  for (;;) {
    {
      absl::MutexLock lock(&mu_);
      if (stopping_) break;
    }
    std::vector<WatchedPod*> pods = DropAndList();
    for (WatchedPod* pod : pods) {
      if (pod->Handle()) continue;
      absl::MutexLock lock(&mu_);
      pod->removed = true;
    }
    std::vector<pollfd> events = {{wake_.get(), POLLIN, 0}};
    absl::Time until = absl::Now() + absl::Hours(1);
    for (WatchedPod* pod : DropAndList()) pod->AddEvents(events, until);
    timespec timeout =
        absl::ToTimespec(std::max(until - absl::Now(), absl::ZeroDuration()));
    ppoll(events.data(), events.size(), &timeout, nullptr);
    uint64_t count;
    [[maybe_unused]] ssize_t size = read(wake_.get(), &count, sizeof(count));
  }
  absl::MutexLock lock(&mu_);
  pods_.clear();
}

}  // namespace davit
