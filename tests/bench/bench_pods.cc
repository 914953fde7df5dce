#include "tests/bench/bench_pods.h"

#include <stdlib.h>

#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

// The number after `field` in a file of /proc/<pid>; 0 if there is none.
long NumberIn(pid_t pid, const char* file, absl::string_view field) {
  absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat("/proc/", pid, "/", file));
  if (!text.ok()) return 0;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (!absl::ConsumePrefix(&line, field)) continue;
    return atol(std::string(line).c_str());
  }
  return 0;
}

}  // namespace

std::vector<std::pair<std::string, double>> StartPhases(
    const nlohmann::json& pod) {
  std::vector<std::pair<std::string, double>> phases;
  for (const auto& phase : pod["status"]["startPhases"]) {
    std::string seconds = phase.value("duration", "0s");  // "0.012345s"
    phases.emplace_back(phase["name"], atof(seconds.c_str()) * 1e3);
  }
  return phases;
}

double MillisecondsTo(const std::string& last, const nlohmann::json& pod) {
  double sum = 0;
  for (const auto& [name, milliseconds] : StartPhases(pod)) {
    sum += milliseconds;
    if (name == last) break;
  }
  return sum;
}

std::string RootOfImage(const TestNode& node, const std::string& image) {
  nlohmann::json described = nlohmann::json::parse(
      node.MustCtl({"get", "image", image, "-o", "json"}));
  std::string layer = described["layers"][0];
  return absl::StrCat(node.root(), "/images/layers/",
                      layer.substr(layer.find(':') + 1), "/rootfs");
}

long PssOf(const std::vector<pid_t>& pids) {
  long sum = 0;
  for (pid_t pid : pids) sum += NumberIn(pid, "smaps_rollup", "Pss:");
  return sum;
}

std::vector<pid_t> ProcessesOf(const nlohmann::json& pod) {
  std::set<pid_t> pids;
  for (const auto& top : pod["status"]["cgroups"]) {
    std::error_code gone;
    std::filesystem::recursive_directory_iterator below(
        std::string(top),
        std::filesystem::directory_options::skip_permission_denied, gone);
    for (; !gone && below != std::filesystem::end(below);
         below.increment(gone)) {
      if (below->path().filename() != "cgroup.procs") continue;
      const std::string lines = ReadFile(below->path().string()).value_or("");
      for (absl::string_view line :
           absl::StrSplit(lines, '\n', absl::SkipEmpty())) {
        pid_t pid = 0;
        if (absl::SimpleAtoi(line, &pid)) pids.insert(pid);
      }
    }
  }
  pids.erase(ShimOf(pod));
  return {pids.begin(), pids.end()};
}

pid_t ShimOf(const nlohmann::json& pod) {
  // proto3's JSON has 64-bit numbers as strings.
  std::string init = pod["status"].value("pid", "0");
  return static_cast<pid_t>(NumberIn(atoi(init.c_str()), "status", "PPid:"));
}

}  // namespace davit::testing
