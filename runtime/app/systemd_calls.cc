#include "runtime/app/systemd_calls.h"

#include <stdlib.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr char kProperties[] = "org.freedesktop.DBus.Properties";
constexpr size_t kMaxFailedUnits = 64;

absl::Status Checked(int result, const char* what) {
  if (result >= 0) return absl::OkStatus();
  return BusError(SD_BUS_ERROR_NULL, result, what);
}

absl::StatusOr<BusMessage> NewManagerCall(const PodBus& bus,
                                          const std::string& method) {
  return bus.NewCall(kManagerPath, kManager, method);
}

// Reads the variant that is next in `message`, if it is of the type that
// `value` wants; the last argument of sd_bus_message_read.
template <typename Value>
int ReadVariant(sd_bus_message* message, const char* type, Value* value) {
  return sd_bus_message_read(message, "v", type, value);
}

int ReadStringVariant(sd_bus_message* message, std::string* value) {
  const char* text = nullptr;
  int result = ReadVariant(message, "s", &text);
  if (result > 0) *value = text;
  return result;
}

// Reads the value of one property, or skips it.
int ReadProperty(sd_bus_message* m, absl::string_view name,
                 UnitProperties& unit) {
  if (name == "LoadState") return ReadStringVariant(m, &unit.load_state);
  if (name == "ActiveState") return ReadStringVariant(m, &unit.active_state);
  if (name == "SubState") return ReadStringVariant(m, &unit.sub_state);
  if (name == "Result") return ReadStringVariant(m, &unit.result);
  if (name == "ExecMainCode") return ReadVariant(m, "i", &unit.exec_main_code);
  if (name == "ExecMainStatus") {
    return ReadVariant(m, "i", &unit.exec_main_status);
  }
  if (name == "ExecMainStartTimestamp") {
    return ReadVariant(m, "t", &unit.exec_main_start_usec);
  }
  if (name == "ExecMainExitTimestamp") {
    return ReadVariant(m, "t", &unit.exec_main_exit_usec);
  }
  if (name == "NRestarts") return ReadVariant(m, "u", &unit.restarts);
  if (name == "MainPID") return ReadVariant(m, "u", &unit.main_pid);
  return sd_bus_message_skip(m, "v");
}

int ReadAllProperties(sd_bus_message* m, UnitProperties& unit) {
  int result = sd_bus_message_enter_container(m, 'a', "{sv}");
  while (result >= 0) {
    result = sd_bus_message_enter_container(m, 'e', "sv");
    if (result <= 0) break;
    const char* name = nullptr;
    result = sd_bus_message_read(m, "s", &name);
    if (result >= 0) result = ReadProperty(m, name, unit);
    if (result >= 0) result = sd_bus_message_exit_container(m);
  }
  return result;
}

absl::StatusOr<std::string> GetSystemStateName(PodBus& bus,
                                               absl::Time deadline) {
  ASSIGN_OR_RETURN(BusMessage call,
                   bus.NewCall(kManagerPath, kProperties, "Get"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(call.get(), "ss", kManager, "SystemState"),
              "SystemState"));
  ASSIGN_OR_RETURN(BusMessage reply, bus.Call(call, deadline));
  std::string state;
  RETURN_IF_ERROR(
      Checked(ReadStringVariant(reply.get(), &state), "SystemState"));
  return state;
}

absl::StatusOr<std::vector<std::string>> ListFailedUnits(PodBus& bus,
                                                         absl::Time deadline) {
  ASSIGN_OR_RETURN(BusMessage call, NewManagerCall(bus, "ListUnitsFiltered"));
  RETURN_IF_ERROR(Checked(sd_bus_message_append(call.get(), "as", 1, "failed"),
                          "ListUnitsFiltered"));
  ASSIGN_OR_RETURN(BusMessage reply, bus.Call(call, deadline));
  std::vector<std::string> units;
  int result = sd_bus_message_enter_container(reply.get(), 'a', "(ssssssouso)");
  while (result >= 0 && units.size() < kMaxFailedUnits) {
    const char* text[9];
    uint32_t job;
    result = sd_bus_message_read(reply.get(), "(ssssssouso)", &text[0],
                                 &text[1], &text[2], &text[3], &text[4],
                                 &text[5], &text[6], &job, &text[7], &text[8]);
    if (result <= 0) break;
    units.push_back(text[0]);
  }
  RETURN_IF_ERROR(Checked(result, "ListUnitsFiltered"));
  return units;
}

int AppendCommand(sd_bus_message* m, const std::vector<std::string>& argv) {
  int result = sd_bus_message_open_container(m, 'r', "sv");
  if (result >= 0) result = sd_bus_message_append(m, "s", "ExecStart");
  if (result >= 0) result = sd_bus_message_open_container(m, 'v', "a(sasb)");
  if (result >= 0) result = sd_bus_message_open_container(m, 'a', "(sasb)");
  if (result >= 0) result = sd_bus_message_open_container(m, 'r', "sasb");
  if (result >= 0) result = sd_bus_message_append(m, "s", argv[0].c_str());
  if (result >= 0) result = sd_bus_message_open_container(m, 'a', "s");
  for (const std::string& argument : argv) {
    if (result >= 0) result = sd_bus_message_append(m, "s", argument.c_str());
  }
  if (result >= 0) result = sd_bus_message_close_container(m);
  if (result >= 0) result = sd_bus_message_append(m, "b", 0);
  for (int depth = 0; depth < 4 && result >= 0; ++depth) {
    result = sd_bus_message_close_container(m);
  }
  return result;
}

// What a login(1) sets up: the user's ids, home, shell, session.
int AppendLogin(sd_bus_message* m, const TransientService& service) {
  int result = sd_bus_message_append(m, "(sv)(sv)",                      //
                                     "User", "s", service.user.c_str(),  //
                                     "WorkingDirectory", "s", "-~");
  if (result < 0 || service.pam_name.empty()) return result;
  return sd_bus_message_append(m, "(sv)", "PAMName", "s",
                               service.pam_name.c_str());
}

int AppendTransientService(sd_bus_message* m, const TransientService& service) {
  int result = sd_bus_message_append(m, "ss", service.unit.c_str(), "fail");
  if (result >= 0) result = sd_bus_message_open_container(m, 'a', "(sv)");
  if (result >= 0) {
    result =
        sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)(sv)",  //
                              "Description", "s", "davit exec",               //
                              "Type", "s", "exec",                            //
                              "CollectMode", "s", "inactive-or-failed",       //
                              "DefaultDependencies", "b", 0,                  //
                              "Conflicts", "as", 1, "shutdown.target",        //
                              "Before", "as", 1, "shutdown.target",           //
                              "TasksMax", "t", UINT64_MAX,                    //
                              "TimeoutStopUSec", "t", uint64_t{5000000},      //
                              "StandardInputFileDescriptor", "h",             //
                              service.stdin_fd,                               //
                              "StandardOutput", "s", "null");
  }
  if (result >= 0 && !service.user.empty()) result = AppendLogin(m, service);
  if (result >= 0) result = AppendCommand(m, service.argv);
  if (result >= 0) result = sd_bus_message_close_container(m);
  // No units beside it.
  if (result >= 0) result = sd_bus_message_append(m, "a(sa(sv))", 0);
  return result;
}

}  // namespace

std::string UnitPath(const std::string& unit) {
  char* path = nullptr;
  if (sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit.c_str(),
                         &path) < 0) {
    return "";
  }
  std::string result = path;
  free(path);
  return result;
}

absl::StatusOr<std::string> QueueJob(PodBus& bus, const std::string& method,
                                     const std::string& unit,
                                     absl::Time deadline) {
  ASSIGN_OR_RETURN(BusMessage call, NewManagerCall(bus, method));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(call.get(), "ss", unit.c_str(), "replace"),
              method.c_str()));
  ASSIGN_OR_RETURN(BusMessage reply, bus.Call(call, deadline), unit);
  const char* job = nullptr;
  RETURN_IF_ERROR(
      Checked(sd_bus_message_read(reply.get(), "o", &job), method.c_str()));
  return std::string(job);
}

absl::StatusOr<std::unique_ptr<JobWatch>> JobWatch::Create(PodBus& bus) {
  std::unique_ptr<JobWatch> watch(new JobWatch());
  sd_bus_slot* slot = nullptr;
  int result =
      sd_bus_match_signal(bus.get(), &slot, nullptr, kManagerPath, kManager,
                          "JobRemoved", &OnJobRemoved, watch.get());
  RETURN_IF_ERROR(Checked(result, "sd_bus_match_signal(JobRemoved)"));
  watch->slot_.reset(slot);
  return watch;
}

int JobWatch::OnJobRemoved(sd_bus_message* message, void* self, sd_bus_error*) {
  uint32_t id;
  const char* job = nullptr;
  if (sd_bus_message_read(message, "uo", &id, &job) > 0) {
    static_cast<JobWatch*>(self)->done_.push_back(job);
  }
  return 0;
}

bool JobWatch::IsDone(const std::string& job) const {
  return std::find(done_.begin(), done_.end(), job) != done_.end();
}

absl::Status KillUnit(PodBus& bus, const std::string& unit, int signal,
                      absl::Time deadline) {
  ASSIGN_OR_RETURN(BusMessage call, NewManagerCall(bus, "KillUnit"));
  RETURN_IF_ERROR(Checked(
      sd_bus_message_append(call.get(), "ssi", unit.c_str(), "all", signal),
      "KillUnit"));
  absl::StatusOr<BusMessage> reply = bus.Call(call, deadline);
  if (absl::IsNotFound(reply.status())) return absl::OkStatus();
  return reply.status();
}

absl::Status SetUnitLimits(PodBus& bus, const std::string& unit,
                           const AppLimits& limits, absl::Time deadline) {
  constexpr uint64_t kMicrosOfMilli = 1000;  // of CPU time in each second
  auto or_none = [](uint64_t value) { return value == 0 ? UINT64_MAX : value; };
  ASSIGN_OR_RETURN(BusMessage call, NewManagerCall(bus, "SetUnitProperties"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(
                  call.get(), "sba(sv)", unit.c_str(), /*runtime=*/1, 3,  //
                  "MemoryMax", "t", or_none(limits.memory_max_bytes),     //
                  "CPUQuotaPerSecUSec", "t",                              //
                  or_none(limits.cpu_millis * kMicrosOfMilli),            //
                  "CPUWeight", "t", or_none(limits.cpu_weight)),
              "SetUnitProperties"));
  return Annotate(bus.Call(call, deadline).status(), unit);
}

absl::StatusOr<BusMessage> NewUnitPropertiesCall(const PodBus& bus,
                                                 const std::string& unit) {
  ASSIGN_OR_RETURN(BusMessage call,
                   bus.NewCall(UnitPath(unit), kProperties, "GetAll"));
  // No interface is every interface: the unit's and the service's in one reply.
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(call.get(), "s", ""), "GetAll"));
  return call;
}

absl::StatusOr<UnitProperties> ParseUnitProperties(sd_bus_message* reply) {
  if (sd_bus_message_is_method_error(reply, nullptr) > 0) {
    return BusError(*sd_bus_message_get_error(reply), 0, "GetAll");
  }
  UnitProperties unit;
  RETURN_IF_ERROR(Checked(ReadAllProperties(reply, unit), "GetAll"));
  if (unit.load_state == "not-found") {
    return absl::NotFoundError("the pod's systemd has no such unit");
  }
  return unit;
}

absl::StatusOr<bool> MergeChangedProperties(sd_bus_message* signal,
                                            UnitProperties& unit) {
  const char* interface = nullptr;
  RETURN_IF_ERROR(Checked(sd_bus_message_read(signal, "s", &interface),
                          "PropertiesChanged"));
  RETURN_IF_ERROR(
      Checked(ReadAllProperties(signal, unit), "PropertiesChanged"));
  return absl::string_view(interface) == "org.freedesktop.systemd1.Unit";
}

absl::StatusOr<UnitProperties> GetUnitProperties(PodBus& bus,
                                                 const std::string& unit,
                                                 absl::Time deadline) {
  ASSIGN_OR_RETURN(BusMessage call, NewUnitPropertiesCall(bus, unit));
  ASSIGN_OR_RETURN(BusMessage reply, bus.Call(call, deadline), unit);
  ASSIGN_OR_RETURN(UnitProperties properties, ParseUnitProperties(reply.get()),
                   unit);
  return properties;
}

absl::StatusOr<PodApps::SystemState> GetManagerState(PodBus& bus,
                                                     absl::Time deadline) {
  PodApps::SystemState state;
  ASSIGN_OR_RETURN(state.state, GetSystemStateName(bus, deadline));
  ASSIGN_OR_RETURN(state.failed_units, ListFailedUnits(bus, deadline));
  return state;
}

absl::Status StartTransientService(PodBus& bus, const TransientService& service,
                                   absl::Time deadline) {
  // Only once it has been agreed upon may descriptors be sent.
  RETURN_IF_ERROR(bus.RunUntil(
      [&bus] { return sd_bus_is_ready(bus.get()) > 0; }, deadline));
  ASSIGN_OR_RETURN(BusMessage call, NewManagerCall(bus, "StartTransientUnit"));
  RETURN_IF_ERROR(Checked(AppendTransientService(call.get(), service),
                          "StartTransientUnit"));
  return bus.Call(call, deadline).status();
}

}  // namespace davit
