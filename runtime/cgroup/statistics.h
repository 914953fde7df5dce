#ifndef DAVIT_RUNTIME_CGROUP_STATISTICS_H_
#define DAVIT_RUNTIME_CGROUP_STATISTICS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/pod_cgroup.h"

namespace davit {

// How long tasks waited for a resource (psi.rst of the kernel): shares of the
// last 10, 60 and 300 s in per cent, and all of it since the start.
struct PressureLine {
  double avg10 = 0;
  double avg60 = 0;
  double avg300 = 0;
  int64_t total_usec = 0;
  bool operator==(const PressureLine&) const = default;
};
struct Pressure {
  PressureLine some;  // at least one task waited
  PressureLine full;  // all that were not idle did; zero if not told
  bool operator==(const Pressure&) const = default;
};

// What was read from and written to one block device.
struct IoStatistics {
  uint32_t major = 0;
  uint32_t minor = 0;
  int64_t read_bytes = 0;
  int64_t write_bytes = 0;
  int64_t read_ops = 0;
  int64_t write_ops = 0;
  bool operator==(const IoStatistics&) const = default;
};

// What a pod has used; -1 or absent where this kernel or layout cannot tell.
struct CgroupStatistics {
  int64_t cpu_usec = -1;
  int64_t cpu_user_usec = -1;
  int64_t cpu_system_usec = -1;
  // Periods of 100 ms in which the quota was looked at, those in which it was
  // used up, and how long the pod's CPUs then stood still.
  int64_t cpu_periods = -1;
  int64_t cpu_throttled_periods = -1;
  int64_t cpu_throttled_usec = -1;
  int64_t memory_bytes = -1;
  int64_t memory_peak_bytes = -1;
  int64_t swap_bytes = -1;
  int64_t oom_kills = 0;
  int64_t tasks = -1;
  std::vector<IoStatistics> io;  // by device number
  std::optional<Pressure> cpu_pressure;
  std::optional<Pressure> memory_pressure;
  std::optional<Pressure> io_pressure;
};

// Reads all of it. NotFound if the pod has no cgroup (any more).
absl::StatusOr<CgroupStatistics> ReadStatistics(const PodCgroup& cgroup);

// The formats, for tests: "some avg10=0.00 avg60=0.00 avg300=0.00 total=0";
// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0"; "8:0 Read 4096". Lines
// that cannot be understood are left out.
std::optional<Pressure> ParsePressure(absl::string_view text);
std::vector<IoStatistics> ParseIoStat(absl::string_view text);
std::vector<IoStatistics> ParseBlkio(absl::string_view bytes,
                                     absl::string_view operations);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_STATISTICS_H_
