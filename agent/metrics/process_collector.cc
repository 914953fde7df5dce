#include "agent/metrics/process_collector.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/file.h"

namespace davit {
namespace {

using ::prometheus::MetricFamily;
using ::prometheus::MetricType;

// The fields of /proc/self/stat from the third ("state") on; the second may
// hold spaces and parentheses.
std::vector<std::string> StatFields() {
  std::string text = ReadFile("/proc/self/stat").value_or("");
  size_t comm_end = text.rfind(") ");
  if (comm_end == std::string::npos) return {};
  return absl::StrSplit(text.substr(comm_end + 2), ' ');
}

// `number` as proc(5) counts.
std::optional<double> Field(const std::vector<std::string>& fields,
                            size_t number) {
  double value = 0;
  if (number - 3 >= fields.size() ||
      !absl::SimpleAtod(fields[number - 3], &value)) {
    return std::nullopt;
  }
  return value;
}

// When the machine was booted, seconds since the epoch.
std::optional<double> BootTime() {
  std::string text = ReadFile("/proc/stat").value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words.size() == 2 && words[0] == "btime" &&
        absl::SimpleAtod(words[1], &seconds)) {
      return seconds;
    }
  }
  return std::nullopt;
}

std::optional<double> OpenDescriptors() {
  std::unique_ptr<DIR, int (*)(DIR*)> dir(opendir("/proc/self/fd"), closedir);
  if (dir == nullptr) return std::nullopt;
  double count = -3;  // ".", ".." and the directory itself
  while (readdir(dir.get()) != nullptr) ++count;
  return count;
}

std::optional<double> MaxDescriptors() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return std::nullopt;
  return limit.rlim_cur;
}

class Families {
 public:
  void Add(const char* name, const char* help, MetricType type,
           std::optional<double> value) {
    if (!value) return;
    MetricFamily family;
    family.name = name;
    family.help = help;
    family.type = type;
    family.metric.emplace_back();
    family.metric[0].counter.value = *value;
    family.metric[0].gauge.value = *value;
    families_.push_back(std::move(family));
  }

  std::vector<MetricFamily> Take() { return std::move(families_); }

 private:
  std::vector<MetricFamily> families_;
};

}  // namespace

std::vector<MetricFamily> ProcessCollector::Collect() const {
  std::vector<std::string> stat = StatFields();
  const double ticks = sysconf(_SC_CLK_TCK);
  std::optional<double> utime = Field(stat, 14), stime = Field(stat, 15);
  std::optional<double> start = Field(stat, 22), rss = Field(stat, 24);
  std::optional<double> boot = BootTime();

  std::optional<double> cpu, started, resident;
  if (utime && stime) cpu = (*utime + *stime) / ticks;
  if (start && boot) started = *boot + *start / ticks;
  if (rss) resident = *rss * sysconf(_SC_PAGE_SIZE);

  Families families;
  families.Add("process_cpu_seconds_total",
               "User and system CPU time of the agent in seconds.",
               MetricType::Counter, cpu);
  families.Add("process_resident_memory_bytes",
               "Resident memory of the agent in bytes.", MetricType::Gauge,
               resident);
  families.Add("process_virtual_memory_bytes",
               "Virtual memory of the agent in bytes.", MetricType::Gauge,
               Field(stat, 23));
  families.Add("process_open_fds", "Open file descriptors of the agent.",
               MetricType::Gauge, OpenDescriptors());
  families.Add("process_max_fds", "Most file descriptors the agent may open.",
               MetricType::Gauge, MaxDescriptors());
  families.Add("process_start_time_seconds",
               "When the agent started, in seconds since the epoch.",
               MetricType::Gauge, started);
  return families.Take();
}

}  // namespace davit
