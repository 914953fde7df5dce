#include "runtime/cgroup/limits.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr uint64_t kCpuPeriodUsec = 100000;
constexpr uint64_t kLowestQuotaUsec = 1000;  // the kernel takes no less
constexpr uint64_t kDefaultWeight = 100;
constexpr uint64_t kHighestWeight = 10000;
constexpr char kNoLimitV1[] = "-1";

uint64_t QuotaUsec(uint64_t cpu_millis) {
  return std::max(kLowestQuotaUsec, cpu_millis * kCpuPeriodUsec / 1000);
}

uint64_t WeightOr100(uint64_t weight) {
  return weight == 0 ? kDefaultWeight : weight;
}

std::string OrMax(uint64_t value) {
  return value == 0 ? "max" : absl::StrCat(value);
}

std::string Device(const IoLimit& limit) {
  return absl::StrCat(limit.major, ":", limit.minor);
}

absl::Status Invalid(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

absl::Status CheckWeight(absl::string_view field, uint64_t weight) {
  if (weight <= kHighestWeight) return absl::OkStatus();
  return Invalid(field,
                 absl::StrCat(weight, " is not in 1 to ", kHighestWeight));
}

absl::Status CheckCpus(const std::string& list) {
  if (list.empty()) return absl::OkStatus();
  for (absl::string_view part : absl::StrSplit(list, ',')) {
    std::vector<absl::string_view> ends = absl::StrSplit(part, '-');
    uint32_t first = 0, last = 0;
    if (ends.size() > 2 || !absl::SimpleAtoi(ends.front(), &first) ||
        !absl::SimpleAtoi(ends.back(), &last) || first > last) {
      return Invalid("cpuset_cpus",
                     absl::StrCat("\"", list, "\" is not a list of CPUs"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidateLimits(const CgroupLimits& limits) {
  RETURN_IF_ERROR(CheckWeight("cpu_weight", limits.cpu_weight));
  RETURN_IF_ERROR(CheckWeight("io_weight", limits.io_weight));
  return CheckCpus(limits.cpuset_cpus);
}

std::vector<LimitWrite> PlanLimitsV2(const CgroupLimits& limits) {
  std::vector<LimitWrite> writes = {
      {"memory", "memory", "memory.max", OrMax(limits.memory_max_bytes),
       limits.memory_max_bytes != 0},
      {"memory_high", "memory", "memory.high", OrMax(limits.memory_high_bytes),
       limits.memory_high_bytes != 0},
      {"swap", "memory", "memory.swap.max",
       limits.memory_swap_max_bytes.has_value()
           ? absl::StrCat(*limits.memory_swap_max_bytes)
           : "max",
       limits.memory_swap_max_bytes.has_value()},
      {"cpu", "cpu", "cpu.max",
       absl::StrCat(limits.cpu_millis == 0
                        ? "max"
                        : absl::StrCat(QuotaUsec(limits.cpu_millis)),
                    " ", kCpuPeriodUsec),
       limits.cpu_millis != 0},
      {"cpu_weight", "cpu", "cpu.weight",
       absl::StrCat(WeightOr100(limits.cpu_weight)), limits.cpu_weight != 0},
      // The kernel passes over a write of nothing; an empty line lifts.
      {"cpuset", "cpuset", "cpuset.cpus",
       limits.cpuset_cpus.empty() ? "\n" : limits.cpuset_cpus,
       !limits.cpuset_cpus.empty()},
      {"pids", "pids", "pids.max", OrMax(limits.pids_max),
       limits.pids_max != 0},
      {"io_weight", "io", "io.weight",
       absl::StrCat("default ", WeightOr100(limits.io_weight)),
       limits.io_weight != 0},
  };
  for (const IoLimit& io : limits.io_max) {
    writes.push_back(
        {"io", "io", "io.max",
         absl::StrCat(Device(io), " rbps=", OrMax(io.read_bytes_per_second),
                      " wbps=", OrMax(io.write_bytes_per_second),
                      " riops=", OrMax(io.read_ops_per_second),
                      " wiops=", OrMax(io.write_ops_per_second))});
  }
  return writes;
}

std::vector<LimitWrite> PlanLimitsV1(const CgroupLimits& limits) {
  auto or_none = [](uint64_t value) {
    return value == 0 ? kNoLimitV1 : absl::StrCat(value);
  };
  bool swap = limits.memory_swap_max_bytes.has_value();
  // cpu.shares has 1024 where a weight has 100.
  uint64_t shares =
      std::max<uint64_t>(2, WeightOr100(limits.cpu_weight) * 1024 / 100);
  std::vector<LimitWrite> writes = {
      {"memory", "memory", "memory.limit_in_bytes",
       or_none(limits.memory_max_bytes), limits.memory_max_bytes != 0},
      {"memory_high", "memory", "memory.soft_limit_in_bytes",
       or_none(limits.memory_high_bytes), limits.memory_high_bytes != 0},
      {"swap", "memory", "memory.memsw.limit_in_bytes",
       swap ? absl::StrCat(limits.memory_max_bytes +
                           *limits.memory_swap_max_bytes)
            : kNoLimitV1,
       swap},
      {"cpu", "cpu", "cpu.cfs_period_us", absl::StrCat(kCpuPeriodUsec),
       limits.cpu_millis != 0},
      {"cpu", "cpu", "cpu.cfs_quota_us",
       limits.cpu_millis == 0 ? kNoLimitV1
                              : absl::StrCat(QuotaUsec(limits.cpu_millis)),
       limits.cpu_millis != 0},
      {"cpu_weight", "cpu", "cpu.shares", absl::StrCat(shares),
       limits.cpu_weight != 0},
      {"cpuset", "cpuset", "cpuset.cpus", limits.cpuset_cpus,
       !limits.cpuset_cpus.empty()},
      {"pids", "pids", "pids.max", OrMax(limits.pids_max),
       limits.pids_max != 0},
      // Only the BFQ scheduler has weights on v1; its are 1 to 1000.
      {"io_weight", "blkio", "blkio.bfq.weight",
       absl::StrCat(
           std::clamp<uint64_t>(WeightOr100(limits.io_weight), 1, 1000)),
       limits.io_weight != 0},
  };
  for (const IoLimit& io : limits.io_max) {
    for (const auto& [file, value] :
         {std::pair("read_bps", io.read_bytes_per_second),
          std::pair("write_bps", io.write_bytes_per_second),
          std::pair("read_iops", io.read_ops_per_second),
          std::pair("write_iops", io.write_ops_per_second)}) {
      writes.push_back({"io", "blkio",
                        absl::StrCat("blkio.throttle.", file, "_device"),
                        absl::StrCat(Device(io), " ", value), value != 0});
    }
  }
  return writes;
}

}  // namespace davit
