#include "runtime/boot/shim_record.h"

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace davit {
namespace {

std::string FormatProcess(const ProcessIdentity& process) {
  return absl::StrFormat("{\"pid\": %d, \"start_time\": %d}", process.pid,
                         process.start_time);
}

const char* Bool(bool value) { return value ? "true" : "false"; }

}  // namespace

const char* ExitKindName(PodExit::Kind kind) {
  switch (kind) {
    case PodExit::Kind::kUnknown:
      return "unknown";
    case PodExit::Kind::kExited:
      return "exited";
    case PodExit::Kind::kPowerOff:
      return "power_off";
    case PodExit::Kind::kReboot:
      return "reboot";
    case PodExit::Kind::kSignaled:
      return "signaled";
  }
  return "unknown";
}

// Nothing that is put in here needs escaping: numbers, UUIDs, phase names.
std::string FormatShimRecord(const std::string& pod_id,
                             const std::string& host_boot_id,
                             const ShimState& state) {
  std::string phases = absl::StrJoin(
      state.phases, ", ", [](std::string* out, const BootPhase& phase) {
        absl::StrAppendFormat(out, "{\"name\": \"%s\", \"at_usec\": %d}",
                              phase.name, absl::ToUnixMicros(phase.at));
      });
  return absl::StrFormat(
      "{\n \"version\": 1,\n \"pod_id\": \"%s\",\n \"boot_id\": \"%s\",\n"
      " \"shim\": %s,\n \"init\": %s,\n \"phases\": [%s]\n}\n",
      pod_id, host_boot_id, FormatProcess(state.shim),
      FormatProcess(state.init), phases);
}

std::string FormatExitRecord(const PodExit& exit) {
  return absl::StrFormat(
      "{\n \"version\": 1,\n \"kind\": \"%s\",\n \"code\": %d,\n"
      " \"signal\": %d,\n \"oom_killed\": %s,\n \"stop_requested\": %s,\n"
      " \"at_usec\": %d\n}\n",
      ExitKindName(exit.kind), exit.code, exit.signal, Bool(exit.oom_killed),
      Bool(exit.stop_requested), absl::ToUnixMicros(exit.at));
}

}  // namespace davit
