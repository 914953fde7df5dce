#include "tests/bench/steal.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/file.h"

namespace davit::testing {

int64_t StolenMilliseconds() {
  constexpr int kSteal = 8;  // "cpu user nice system idle iowait irq softirq"
  const std::string stat = ReadFile("/proc/stat").value_or("");
  const std::vector<absl::string_view> fields =
      absl::StrSplit(stat.substr(0, stat.find('\n')), ' ', absl::SkipEmpty());
  int64_t ticks = 0;
  if (fields.size() <= kSteal || !absl::SimpleAtoi(fields[kSteal], &ticks)) {
    fprintf(stderr, "bench: /proc/stat: %s\n", stat.c_str());
    exit(1);
  }
  return ticks * 1000 / sysconf(_SC_CLK_TCK);
}

}  // namespace davit::testing
