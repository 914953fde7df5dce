#ifndef DAVIT_RUNTIME_CGROUP_LIMITS_H_
#define DAVIT_RUNTIME_CGROUP_LIMITS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace davit {

// What a block device may transfer; 0 means no limit.
struct IoLimit {
  uint32_t major = 0;
  uint32_t minor = 0;
  uint64_t read_bytes_per_second = 0;
  uint64_t write_bytes_per_second = 0;
  uint64_t read_ops_per_second = 0;
  uint64_t write_ops_per_second = 0;
  bool operator==(const IoLimit&) const = default;
};

// Limits on all of a pod; 0, empty or absent means none (for weights: 100, the
// kernel's default). The words and units are those of cgroup v2 (cgroup-v2.rst
// of the kernel); v1 gets what comes nearest.
struct CgroupLimits {
  uint64_t memory_max_bytes = 0;
  // Above it the kernel reclaims and slows down. v1: the soft limit, which
  // reclaims only while the machine is short of memory.
  uint64_t memory_high_bytes = 0;
  // 0 is "no swap". v1 limits memory and swap together, so it needs
  // memory_max_bytes there.
  std::optional<uint64_t> memory_swap_max_bytes;
  uint64_t cpu_millis = 0;  // 1000 = one core
  uint64_t cpu_weight = 0;  // 1 to 10000
  std::string cpuset_cpus;  // "0-3,7"
  uint64_t pids_max = 0;
  uint64_t io_weight = 0;  // 1 to 10000
  std::vector<IoLimit> io_max;
  bool operator==(const CgroupLimits&) const = default;
};

// InvalidArgument names the field.
absl::Status ValidateLimits(const CgroupLimits& limits);

// One file of a pod's cgroup and what is written there.
struct LimitWrite {
  std::string what;  // "memory", for an error
  std::string controller;
  std::string file;
  std::string value;
  bool is_limit = true;  // false: the value lifts a limit
  bool operator==(const LimitWrite&) const = default;
};

// What `limits` are in files of cgroup v2, or of v1, in the order in which a
// fresh cgroup takes them. Pure.
std::vector<LimitWrite> PlanLimitsV2(const CgroupLimits& limits);
std::vector<LimitWrite> PlanLimitsV1(const CgroupLimits& limits);

}  // namespace davit

#endif  // DAVIT_RUNTIME_CGROUP_LIMITS_H_
