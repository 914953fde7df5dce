#include "runtime/cgroup/statistics.h"

#include <unistd.h>

#include <map>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/cgroup/cgroup_fs.h"

namespace davit {
namespace {

using DeviceTable = std::map<std::pair<uint32_t, uint32_t>, IoStatistics>;

int64_t KeyOr(const std::string& path, const std::string& key) {
  return ReadKey(path, key).value_or(-1);
}

int64_t NumberOrMinus1(const std::string& path) {
  return ReadNumber(path).value_or(-1);
}

// A known value in other units.
int64_t Scaled(int64_t value, int64_t multiply, int64_t divide) {
  return value < 0 ? -1 : value * multiply / divide;
}

void ReadCpuV2(const std::string& base, CgroupStatistics& result) {
  std::string path = base + "/cpu.stat";
  result.cpu_usec = KeyOr(path, "usage_usec");
  result.cpu_user_usec = KeyOr(path, "user_usec");
  result.cpu_system_usec = KeyOr(path, "system_usec");
  // Only with the cpu controller.
  result.cpu_periods = KeyOr(path, "nr_periods");
  result.cpu_throttled_periods = KeyOr(path, "nr_throttled");
  result.cpu_throttled_usec = KeyOr(path, "throttled_usec");
}

void ReadCpuacct(const std::string& base, CgroupStatistics& result) {
  int64_t ticks = sysconf(_SC_CLK_TCK);
  result.cpu_usec = Scaled(NumberOrMinus1(base + "/cpuacct.usage"), 1, 1000);
  result.cpu_user_usec =
      Scaled(KeyOr(base + "/cpuacct.stat", "user"), 1000000, ticks);
  result.cpu_system_usec =
      Scaled(KeyOr(base + "/cpuacct.stat", "system"), 1000000, ticks);
}

void ReadThrottlingV1(const std::string& base, CgroupStatistics& result) {
  std::string path = base + "/cpu.stat";
  result.cpu_periods = KeyOr(path, "nr_periods");
  result.cpu_throttled_periods = KeyOr(path, "nr_throttled");
  result.cpu_throttled_usec = Scaled(KeyOr(path, "throttled_time"), 1, 1000);
}

void ReadCpu(const PodCgroup& cgroup, CgroupStatistics& result) {
  // v2 counts CPU time even without the cpu controller.
  const CgroupDir* unified = cgroup.Unified();
  if (unified != nullptr) ReadCpuV2(unified->base, result);
  const CgroupDir* cpuacct = cgroup.WithController("cpuacct");
  if (cpuacct != nullptr && !cpuacct->v2) ReadCpuacct(cpuacct->base, result);
  const CgroupDir* cpu = cgroup.WithController("cpu");
  if (cpu != nullptr && !cpu->v2) ReadThrottlingV1(cpu->base, result);
}

void ReadMemory(const PodCgroup& cgroup, CgroupStatistics& result) {
  const CgroupDir* dir = cgroup.WithController("memory");
  if (dir == nullptr) return;
  const std::string& base = dir->base;
  if (dir->v2) {
    result.memory_bytes = NumberOrMinus1(base + "/memory.current");
    result.memory_peak_bytes = NumberOrMinus1(base + "/memory.peak");
    result.swap_bytes = NumberOrMinus1(base + "/memory.swap.current");
    return;
  }
  result.memory_bytes = NumberOrMinus1(base + "/memory.usage_in_bytes");
  result.memory_peak_bytes =
      NumberOrMinus1(base + "/memory.max_usage_in_bytes");
  result.swap_bytes = KeyOr(base + "/memory.stat", "total_swap");
}

void ReadIo(const PodCgroup& cgroup, CgroupStatistics& result) {
  const CgroupDir* dir = cgroup.WithController("blkio");
  if (dir == nullptr) return;
  const std::string& base = dir->base;
  if (dir->v2) {
    result.io = ParseIoStat(ReadFile(base + "/io.stat").value_or(""));
    return;
  }
  std::string prefix = base + "/blkio.throttle.";
  result.io =
      ParseBlkio(ReadFile(prefix + "io_service_bytes_recursive").value_or(""),
                 ReadFile(prefix + "io_serviced_recursive").value_or(""));
}

void ReadPressure(const PodCgroup& cgroup, CgroupStatistics& result) {
  const CgroupDir* unified = cgroup.Unified();
  if (unified == nullptr) return;
  auto read = [&](absl::string_view resource) {
    return ParsePressure(
        ReadFile(absl::StrCat(unified->base, "/", resource, ".pressure"))
            .value_or(""));
  };
  result.cpu_pressure = read("cpu");
  result.memory_pressure = read("memory");
  result.io_pressure = read("io");
}

bool ParseDevice(absl::string_view text, uint32_t& major, uint32_t& minor) {
  std::pair<absl::string_view, absl::string_view> pair =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  return absl::SimpleAtoi(pair.first, &major) &&
         absl::SimpleAtoi(pair.second, &minor);
}

std::vector<IoStatistics> Values(const DeviceTable& table) {
  std::vector<IoStatistics> result;
  for (const auto& [device, statistics] : table) result.push_back(statistics);
  return result;
}

IoStatistics& Entry(DeviceTable& table, uint32_t major, uint32_t minor) {
  IoStatistics& entry = table[{major, minor}];
  entry.major = major;
  entry.minor = minor;
  return entry;
}

// Calls `use(device's entry, direction, number)` for each "8:0 Read 4096".
template <typename Use>
void ParseBlkioLines(absl::string_view text, DeviceTable& table, Use use) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint32_t major = 0, minor = 0;
    int64_t number = 0;
    if (words.size() != 3 || !ParseDevice(words[0], major, minor) ||
        !absl::SimpleAtoi(words[2], &number)) {
      continue;
    }
    use(Entry(table, major, minor), words[1], number);
  }
}

bool ParsePressureLine(absl::string_view line, PressureLine& result) {
  int found = 0;
  for (absl::string_view word : absl::StrSplit(line, ' ')) {
    std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    const auto& [key, value] = pair;
    if (key == "avg10") found += absl::SimpleAtod(value, &result.avg10);
    if (key == "avg60") found += absl::SimpleAtod(value, &result.avg60);
    if (key == "avg300") found += absl::SimpleAtod(value, &result.avg300);
    if (key == "total") found += absl::SimpleAtoi(value, &result.total_usec);
  }
  return found == 4;
}

}  // namespace

std::optional<Pressure> ParsePressure(absl::string_view text) {
  Pressure result;
  bool told = false;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, "some ")) {
      told = ParsePressureLine(line, result.some);
    } else if (absl::ConsumePrefix(&line, "full ")) {
      ParsePressureLine(line, result.full);
    }
  }
  if (!told) return std::nullopt;
  return result;
}

std::vector<IoStatistics> ParseIoStat(absl::string_view text) {
  DeviceTable table;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    uint32_t major = 0, minor = 0;
    if (words.size() < 2 || !ParseDevice(words[0], major, minor)) continue;
    IoStatistics& entry = Entry(table, major, minor);
    for (absl::string_view word : words) {
      std::pair<absl::string_view, absl::string_view> pair =
          absl::StrSplit(word, absl::MaxSplits('=', 1));
      int64_t number = 0;
      if (!absl::SimpleAtoi(pair.second, &number)) continue;
      if (pair.first == "rbytes") entry.read_bytes = number;
      if (pair.first == "wbytes") entry.write_bytes = number;
      if (pair.first == "rios") entry.read_ops = number;
      if (pair.first == "wios") entry.write_ops = number;
    }
  }
  return Values(table);
}

std::vector<IoStatistics> ParseBlkio(absl::string_view bytes,
                                     absl::string_view operations) {
  DeviceTable table;
  ParseBlkioLines(bytes, table,
                  [](IoStatistics& entry, absl::string_view way, int64_t n) {
                    if (way == "Read") entry.read_bytes = n;
                    if (way == "Write") entry.write_bytes = n;
                  });
  ParseBlkioLines(operations, table,
                  [](IoStatistics& entry, absl::string_view way, int64_t n) {
                    if (way == "Read") entry.read_ops = n;
                    if (way == "Write") entry.write_ops = n;
                  });
  return Values(table);
}

absl::StatusOr<CgroupStatistics> ReadStatistics(const PodCgroup& cgroup) {
  if (!cgroup.Exists()) return absl::NotFoundError("pod has no cgroup");
  CgroupStatistics result;
  ReadCpu(cgroup, result);
  ReadMemory(cgroup, result);
  result.oom_kills = cgroup.OomKills();
  if (const CgroupDir* dir = cgroup.WithController("pids"); dir != nullptr) {
    result.tasks = NumberOrMinus1(dir->base + "/pids.current");
  }
  ReadIo(cgroup, result);
  ReadPressure(cgroup, result);
  return result;
}

}  // namespace davit
