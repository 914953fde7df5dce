#ifndef DAVIT_RUNTIME_APP_SYSTEMD_CALLS_H_
#define DAVIT_RUNTIME_APP_SYSTEMD_CALLS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/pod_apps.h"
#include "runtime/app/pod_bus.h"
#include "runtime/app/unit_status.h"

// The calls of org.freedesktop.systemd1(5) that we use, typed. Each waits at
// most until `deadline`.

namespace davit {

// The object path of a unit.
std::string UnitPath(const std::string& unit);

// Queues a job ("StartUnit", "StopUnit"; mode "replace") and returns its path.
// NotFound if there is no such unit.
absl::StatusOr<std::string> QueueJob(PodBus& bus, const std::string& method,
                                     const std::string& unit,
                                     absl::Time deadline);

// Hears JobRemoved from its construction on; make it before the job.
class JobWatch {
 public:
  static absl::StatusOr<std::unique_ptr<JobWatch>> Create(PodBus& bus);
  bool IsDone(const std::string& job) const;

 private:
  JobWatch() = default;
  static int OnJobRemoved(sd_bus_message* message, void* self, sd_bus_error*);
  std::vector<std::string> done_;
  BusSlot slot_;
};

// SIGKILL to all processes of a unit. OK if it has none.
absl::Status KillUnit(PodBus& bus, const std::string& unit, int signal,
                      absl::Time deadline);

// Replaces a unit's limits until its manager ends; what is 0 is lifted.
absl::Status SetUnitLimits(PodBus& bus, const std::string& unit,
                           const AppLimits& limits, absl::Time deadline);

// The call for a unit's properties, for those who send it themselves, and what
// its reply says.
absl::StatusOr<BusMessage> NewUnitPropertiesCall(const PodBus& bus,
                                                 const std::string& unit);
absl::StatusOr<UnitProperties> ParseUnitProperties(sd_bus_message* reply);

// Merges a PropertiesChanged signal into `unit`. systemd sends two for each
// change of a service, with all values that may change: first the service's,
// then the unit's. True for the second: now they belong together.
absl::StatusOr<bool> MergeChangedProperties(sd_bus_message* signal,
                                            UnitProperties& unit);

// NotFound if no such unit exists.
absl::StatusOr<UnitProperties> GetUnitProperties(PodBus& bus,
                                                 const std::string& unit,
                                                 absl::Time deadline);

absl::StatusOr<PodApps::SystemState> GetManagerState(PodBus& bus,
                                                     absl::Time deadline);

struct TransientService {
  std::string unit;
  std::vector<std::string> argv;
  int stdin_fd = -1;     // becomes its standard input; duplicated
  std::string user;      // User= of systemd.exec(5); empty: root, no session
  std::string pam_name;  // PAMName=; empty: no session
};

// Starts a transient service. It is unloaded by itself at its end.
absl::Status StartTransientService(PodBus& bus, const TransientService& service,
                                   absl::Time deadline);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_SYSTEMD_CALLS_H_
