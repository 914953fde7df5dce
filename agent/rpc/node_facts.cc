#include "agent/rpc/node_facts.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/file.h"

namespace davit {
namespace {

constexpr absl::string_view kCgroupRoot = "/sys/fs/cgroup";

std::string TextOf(const std::string& path) {
  return ReadFile(path, 16 << 20).value_or("");
}

std::string OsRelease() {
  std::string text = TextOf("/etc/os-release");
  return text.empty() ? TextOf("/usr/lib/os-release") : text;
}

}  // namespace

std::string CgroupLayout(absl::string_view mountinfo) {
  bool legacy = false, unified = false, unified_at_root = false;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    // Optional fields end at "-"; the type comes after it.
    auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 2) continue;
    absl::string_view target = fields[4], type = *(dash + 1);
    if (!absl::StartsWith(target, kCgroupRoot)) continue;
    legacy = legacy || type == "cgroup";
    unified = unified || type == "cgroup2";
    unified_at_root =
        unified_at_root || (type == "cgroup2" && target == kCgroupRoot);
  }
  if (unified_at_root) return "unified";
  if (legacy) return unified ? "hybrid" : "legacy";
  return "";
}

std::string PrettyName(absl::string_view os_release) {
  for (absl::string_view line : absl::StrSplit(os_release, '\n')) {
    if (!absl::ConsumePrefix(&line, "PRETTY_NAME=")) continue;
    if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') &&
        line.back() == line.front()) {
      line = line.substr(1, line.size() - 2);
    }
    return std::string(line);
  }
  return "";
}

NodeFacts ReadNodeFacts() {
  NodeFacts facts;
  utsname name;
  if (uname(&name) == 0) {
    facts.hostname = name.nodename;
    facts.kernel = name.release;
    facts.architecture = name.machine;
  }
  facts.os = PrettyName(OsRelease());
  facts.cgroup_layout = CgroupLayout(TextOf("/proc/self/mountinfo"));
  facts.cpus = std::max<long>(sysconf(_SC_NPROCESSORS_ONLN), 0);
  uint64_t pages = std::max<long>(sysconf(_SC_PHYS_PAGES), 0);
  facts.memory_bytes = pages * std::max<long>(sysconf(_SC_PAGE_SIZE), 0);
  return facts;
}

}  // namespace davit
