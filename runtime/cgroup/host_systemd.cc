#include "runtime/cgroup/host_systemd.h"

#include <errno.h>
#include <limits.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// systemd's own socket: a peer, not a bus.
constexpr char kManagerAddress[] = "unix:path=/run/systemd/private";
constexpr char kManager[] = "org.freedesktop.systemd1";
constexpr char kManagerPath[] = "/org/freedesktop/systemd1";
constexpr char kManagerInterface[] = "org.freedesktop.systemd1.Manager";
constexpr char kMachined[] = "org.freedesktop.machine1";
constexpr char kMachinedPath[] = "/org/freedesktop/machine1";
constexpr char kMachinedInterface[] = "org.freedesktop.machine1.Manager";
constexpr size_t kLongestMachineName = 64;  // HOST_NAME_MAX
constexpr size_t kShortId = 8;

struct BusCloser {
  void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
};
using Bus = std::unique_ptr<sd_bus, BusCloser>;

struct MessageDeleter {
  void operator()(sd_bus_message* message) const {
    sd_bus_message_unref(message);
  }
};
using Message = std::unique_ptr<sd_bus_message, MessageDeleter>;

struct SlotDeleter {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using Slot = std::unique_ptr<sd_bus_slot, SlotDeleter>;

absl::StatusCode CodeOf(std::string_view name) {
  constexpr std::pair<std::string_view, absl::StatusCode> kCodes[] = {
      {"org.freedesktop.systemd1.NoSuchUnit", absl::StatusCode::kNotFound},
      {"org.freedesktop.systemd1.UnitExists", absl::StatusCode::kAlreadyExists},
      {"org.freedesktop.machine1.MachineExists",
       absl::StatusCode::kAlreadyExists},
      {"org.freedesktop.machine1.NoSuchMachine", absl::StatusCode::kNotFound},
      {SD_BUS_ERROR_SERVICE_UNKNOWN, absl::StatusCode::kUnavailable},
      {SD_BUS_ERROR_NAME_HAS_NO_OWNER, absl::StatusCode::kUnavailable},
      {SD_BUS_ERROR_TIMEOUT, absl::StatusCode::kDeadlineExceeded},
      {SD_BUS_ERROR_NO_REPLY, absl::StatusCode::kDeadlineExceeded},
      {SD_BUS_ERROR_INVALID_ARGS, absl::StatusCode::kInvalidArgument},
  };
  for (const auto& [known, code] : kCodes) {
    if (name == known) return code;
  }
  return absl::StatusCode::kInternal;
}

uint64_t MicrosecondsUntil(absl::Time deadline) {
  // 0 would mean sd-bus's own default of 25 s.
  return static_cast<uint64_t>(
      std::max<int64_t>(1, absl::ToInt64Microseconds(deadline - absl::Now())));
}

// A failed sd_bus_*() step, unless `result` says that it went well.
absl::Status Checked(int result, absl::string_view call) {
  if (result >= 0) return absl::OkStatus();
  return ErrorNumber(result, "%s", call);
}

absl::StatusOr<Bus> ConnectToManager() {
  sd_bus* raw = nullptr;
  RETURN_IF_ERROR(Checked(sd_bus_new(&raw), "sd_bus_new"));
  Bus bus(raw);
  RETURN_IF_ERROR(
      Checked(sd_bus_set_address(raw, kManagerAddress), "sd_bus_set_address"));
  // There is no broker to say Hello to.
  RETURN_IF_ERROR(
      Checked(sd_bus_set_bus_client(raw, 0), "sd_bus_set_bus_client"));
  int result = sd_bus_start(raw);
  if (result < 0) {
    return ErrorNumber(result, "connect to systemd (%s)", kManagerAddress);
  }
  return bus;
}

absl::StatusOr<Bus> ConnectToMachined() {
  sd_bus* raw = nullptr;
  int result = sd_bus_open_system(&raw);
  if (result < 0) {
    return absl::UnavailableError(
        absl::StrCat(ErrorNumber(result, "sd_bus_open_system").message()));
  }
  return Bus(raw);
}

absl::StatusOr<Message> NewCall(const Bus& bus, const char* destination,
                                const char* path, const char* interface,
                                const char* member) {
  sd_bus_message* message = nullptr;
  RETURN_IF_ERROR(
      Checked(sd_bus_message_new_method_call(bus.get(), &message, destination,
                                             path, interface, member),
              member));
  return Message(message);
}

absl::StatusOr<Message> Call(const Bus& bus, const Message& message,
                             absl::Time deadline) {
  sd_bus_error error = SD_BUS_ERROR_NULL;
  sd_bus_message* reply = nullptr;
  std::string member = sd_bus_message_get_member(message.get());
  int result = sd_bus_call(bus.get(), message.get(),
                           MicrosecondsUntil(deadline), &error, &reply);
  absl::Status status;
  if (sd_bus_error_is_set(&error) != 0 && result != -ETIMEDOUT) {
    status = absl::Status(
        CodeOf(error.name),
        absl::StrCat(member, ": ",
                     error.message != nullptr ? error.message : error.name));
  } else if (result < 0) {
    status = Checked(result, member);
  }
  sd_bus_error_free(&error);
  RETURN_IF_ERROR(status);
  return Message(reply);
}

// Waits for the end of jobs on one connection. Made before the call that queues
// the job, because the signal may come before the call's reply is read.
class JobWaiter {
 public:
  explicit JobWaiter(const Bus& bus) : bus_(bus) {}
  JobWaiter(const JobWaiter&) = delete;

  absl::Status Begin() {
    sd_bus_slot* slot = nullptr;
    // A peer needs no match rule of a broker: systemd tells all its peers.
    RETURN_IF_ERROR(Checked(
        sd_bus_add_match(bus_.get(), &slot,
                         "type='signal',interface='org.freedesktop.systemd1."
                         "Manager',member='JobRemoved'",
                         &JobWaiter::OnSignal, this),
        "sd_bus_add_match(JobRemoved)"));
    slot_.reset(slot);
    return absl::OkStatus();
  }

  // The result of the job that `reply` names: "done", "failed", …
  absl::StatusOr<std::string> Await(const Message& reply, absl::Time deadline) {
    const char* job = nullptr;
    RETURN_IF_ERROR(
        Checked(sd_bus_message_read(reply.get(), "o", &job), "read job"));
    while (true) {
      for (const auto& [path, result] : removed_) {
        if (path == job) return result;
      }
      int result = sd_bus_process(bus_.get(), nullptr);
      RETURN_IF_ERROR(Checked(result, "sd_bus_process"));
      if (result > 0) continue;
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("systemd has not finished job ", job));
      }
      RETURN_IF_ERROR(Checked(
          sd_bus_wait(bus_.get(), MicrosecondsUntil(deadline)), "sd_bus_wait"));
    }
  }

 private:
  static int OnSignal(sd_bus_message* signal, void* self, sd_bus_error*) {
    uint32_t id = 0;
    const char *job = nullptr, *unit = nullptr, *result = nullptr;
    if (sd_bus_message_read(signal, "uoss", &id, &job, &unit, &result) >= 0) {
      static_cast<JobWaiter*>(self)->removed_.emplace_back(job, result);
    }
    return 0;
  }

  const Bus& bus_;
  Slot slot_;
  std::vector<std::pair<std::string, std::string>> removed_;
};

absl::Status AppendNumber(const Message& message, const char* property,
                          uint64_t value) {
  return Checked(
      sd_bus_message_append(message.get(), "(sv)", property, "t", value),
      property);
}

absl::Status AppendBytes(const Message& message, const char* property,
                         const std::string& bytes) {
  sd_bus_message* m = message.get();
  int result = sd_bus_message_open_container(m, 'r', "sv");
  if (result >= 0) result = sd_bus_message_append(m, "s", property);
  if (result >= 0) result = sd_bus_message_open_container(m, 'v', "ay");
  if (result >= 0) {
    result = sd_bus_message_append_array(m, 'y', bytes.data(), bytes.size());
  }
  if (result >= 0) result = sd_bus_message_close_container(m);
  if (result >= 0) result = sd_bus_message_close_container(m);
  return Checked(result, property);
}

// A bit for each CPU of a list that ValidateLimits has seen, lowest first.
std::string CpuMask(const std::string& list) {
  std::string mask;
  for (absl::string_view part : absl::StrSplit(list, ',', absl::SkipEmpty())) {
    std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint32_t first = 0, last = 0;
    if (!absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last)) {
      continue;
    }
    for (uint32_t cpu = first; cpu <= last; ++cpu) {
      if (mask.size() <= cpu / 8) mask.resize(cpu / 8 + 1);
      mask[cpu / 8] = static_cast<char>(mask[cpu / 8] | 1 << cpu % 8);
    }
  }
  return mask;
}

absl::Status AppendIoLimits(const Message& message,
                            const std::vector<IoLimit>& limits) {
  for (const IoLimit& limit : limits) {
    std::string device =
        absl::StrCat("/dev/block/", limit.major, ":", limit.minor);
    for (const auto& [property, value] :
         {std::pair("IOReadBandwidthMax", limit.read_bytes_per_second),
          std::pair("IOWriteBandwidthMax", limit.write_bytes_per_second),
          std::pair("IOReadIOPSMax", limit.read_ops_per_second),
          std::pair("IOWriteIOPSMax", limit.write_ops_per_second)}) {
      RETURN_IF_ERROR(
          Checked(sd_bus_message_append(message.get(), "(sv)", property,
                                        "a(st)", 1, device.c_str(),
                                        value == 0 ? UINT64_MAX : value),
                  property));
    }
  }
  return absl::OkStatus();
}

// As cgroup v2 files; systemd translates for v1.
absl::Status AppendLimits(const Message& message, const CgroupLimits& limits) {
  auto or_infinity = [](uint64_t value) {
    return value == 0 ? UINT64_MAX : value;
  };
  RETURN_IF_ERROR(
      AppendNumber(message, "MemoryMax", or_infinity(limits.memory_max_bytes)));
  RETURN_IF_ERROR(AppendNumber(message, "MemoryHigh",
                               or_infinity(limits.memory_high_bytes)));
  RETURN_IF_ERROR(
      AppendNumber(message, "MemorySwapMax",
                   limits.memory_swap_max_bytes.value_or(UINT64_MAX)));
  RETURN_IF_ERROR(AppendNumber(message, "CPUQuotaPerSecUSec",
                               or_infinity(limits.cpu_millis * 1000)));
  // UINT64_MAX: the default.
  RETURN_IF_ERROR(
      AppendNumber(message, "CPUWeight", or_infinity(limits.cpu_weight)));
  RETURN_IF_ERROR(
      AppendNumber(message, "IOWeight", or_infinity(limits.io_weight)));
  std::string cpus = CpuMask(limits.cpuset_cpus);
  RETURN_IF_ERROR(AppendBytes(message, "AllowedCPUs", cpus));
  RETURN_IF_ERROR(AppendIoLimits(message, limits.io_max));
  return AppendNumber(message, "TasksMax", or_infinity(limits.pids_max));
}

absl::Status AppendProperties(const Message& message, const ScopeSpec& spec,
                              const CgroupLimits& limits) {
  sd_bus_message* m = message.get();
  RETURN_IF_ERROR(
      Checked(sd_bus_message_open_container(m, 'a', "(sv)"), "open a(sv)"));
  RETURN_IF_ERROR(Checked(
      sd_bus_message_append(
          m, "(sv)(sv)(sv)(sv)(sv)", "Description", "s",
          spec.description.c_str(), "Slice", "s", spec.slice.c_str(),
          "Delegate", "b", 1, "PIDs", "au", 1, static_cast<uint32_t>(spec.pid),
          // Or one that was killed by a time-out stays for ever as "failed".
          "CollectMode", "s", "inactive-or-failed"),
      "append properties"));
  if (spec.bound_devices) {
    RETURN_IF_ERROR(
        Checked(sd_bus_message_append(m, "(sv)", "DevicePolicy", "s", "closed"),
                "append DevicePolicy"));
  }
  RETURN_IF_ERROR(AppendLimits(message, limits));
  return Checked(sd_bus_message_close_container(m), "close a(sv)");
}

absl::Status TryRegister(const Bus& bus, const MachineSpec& spec,
                         const std::string& name, absl::Time deadline) {
  ASSIGN_OR_RETURN(Message call,
                   NewCall(bus, kMachined, kMachinedPath, kMachinedInterface,
                           "RegisterMachine"));
  std::string id =
      absl::HexStringToBytes(absl::StrReplaceAll(spec.pod_id, {{"-", ""}}));
  sd_bus_message* m = call.get();
  RETURN_IF_ERROR(Checked(sd_bus_message_append(m, "s", name.c_str()), "name"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append_array(m, 'y', id.data(), id.size()), "id"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(m, "ssus", "davit", "container",
                                    static_cast<uint32_t>(spec.leader),
                                    spec.root.c_str()),
              "arguments"));
  return Call(bus, call, deadline).status();
}

// machined's own note of which machine a unit is; "" if it has none.
std::string MachineOfUnit(const std::string& unit) {
  std::string link = absl::StrCat("/run/systemd/machines/unit:", unit);
  std::array<char, NAME_MAX + 1> name;
  ssize_t size = readlink(link.c_str(), name.data(), name.size());
  return size <= 0 ? "" : std::string(name.data(), static_cast<size_t>(size));
}

}  // namespace

bool HostRunsSystemd() { return sd_booted() > 0; }

absl::Status StartScope(const ScopeSpec& spec, const CgroupLimits& limits,
                        absl::Time deadline) {
  ASSIGN_OR_RETURN(Bus bus, ConnectToManager());
  JobWaiter waiter(bus);
  RETURN_IF_ERROR(waiter.Begin());
  ASSIGN_OR_RETURN(Message call,
                   NewCall(bus, kManager, kManagerPath, kManagerInterface,
                           "StartTransientUnit"));
  sd_bus_message* m = call.get();
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(m, "ss", spec.unit.c_str(), "fail"),
              "append name"));
  RETURN_IF_ERROR(AppendProperties(call, spec, limits));
  // No auxiliary units.
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(m, "a(sa(sv))", 0), "append aux"));
  ASSIGN_OR_RETURN(Message reply, Call(bus, call, deadline), spec.unit);
  ASSIGN_OR_RETURN(std::string result, waiter.Await(reply, deadline),
                   spec.unit);
  if (result == "done") return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("systemd's start of ", spec.unit, " ended as ", result));
}

absl::Status SetScopeLimits(const std::string& unit, const CgroupLimits& limits,
                            absl::Time deadline) {
  ASSIGN_OR_RETURN(Bus bus, ConnectToManager());
  ASSIGN_OR_RETURN(Message call,
                   NewCall(bus, kManager, kManagerPath, kManagerInterface,
                           "SetUnitProperties"));
  sd_bus_message* m = call.get();
  // "runtime": until the unit is gone.
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(m, "sb", unit.c_str(), 1), "append unit"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_open_container(m, 'a', "(sv)"), "open a(sv)"));
  RETURN_IF_ERROR(AppendLimits(call, limits));
  RETURN_IF_ERROR(Checked(sd_bus_message_close_container(m), "close a(sv)"));
  return Annotate(Call(bus, call, deadline).status(), unit);
}

absl::Status StopScope(const std::string& unit, absl::Time deadline) {
  ASSIGN_OR_RETURN(Bus bus, ConnectToManager());
  JobWaiter waiter(bus);
  RETURN_IF_ERROR(waiter.Begin());
  ASSIGN_OR_RETURN(Message call, NewCall(bus, kManager, kManagerPath,
                                         kManagerInterface, "StopUnit"));
  RETURN_IF_ERROR(
      Checked(sd_bus_message_append(call.get(), "ss", unit.c_str(), "replace"),
              "append unit"));
  absl::StatusOr<Message> reply = Call(bus, call, deadline);
  if (absl::IsNotFound(reply.status())) return absl::OkStatus();
  RETURN_IF_ERROR(reply.status(), unit);
  ASSIGN_OR_RETURN(std::string result, waiter.Await(*reply, deadline), unit);
  // Whatever the job says, the unit has ended then.
  return absl::OkStatus();
}

std::string MachineName(const std::string& pod_name,
                        const std::string& pod_id) {
  if (pod_name.size() <= kLongestMachineName) return pod_name;
  std::string name = pod_name.substr(0, kLongestMachineName - kShortId - 1);
  // A host name's label ends with no dash or dot.
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) {
    name.pop_back();
  }
  return absl::StrCat(name, "-", pod_id.substr(0, kShortId));
}

absl::Status RegisterMachine(const MachineSpec& spec, absl::Time deadline) {
  ASSIGN_OR_RETURN(Bus bus, ConnectToMachined());
  absl::Status status = TryRegister(bus, spec, spec.name, deadline);
  if (absl::IsAlreadyExists(status)) {
    size_t room = kLongestMachineName - kShortId - 1;
    std::string second = absl::StrCat(spec.name.substr(0, room), "-",
                                      spec.pod_id.substr(0, kShortId));
    status = TryRegister(bus, spec, second, deadline);
  }
  return Annotate(status, absl::StrCat("machine ", spec.name));
}

absl::Status UnregisterMachine(const std::string& unit, absl::Time deadline) {
  std::string name = MachineOfUnit(unit);
  if (name.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Bus bus, ConnectToMachined());
  ASSIGN_OR_RETURN(Message call,
                   NewCall(bus, kMachined, kMachinedPath, kMachinedInterface,
                           "UnregisterMachine"));
  RETURN_IF_ERROR(Checked(sd_bus_message_append(call.get(), "s", name.c_str()),
                          "append name"));
  absl::Status status = Call(bus, call, deadline).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace davit
