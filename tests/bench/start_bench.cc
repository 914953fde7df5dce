// See tests/bench/start.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "tests/bench/nspawn_peer.h"
#include "tests/e2e/test_node.h"

namespace davit::testing {
namespace {

constexpr char kBusybox[] = "localhost/davit/busybox:latest";

// Samples of one figure, in milliseconds.
class Samples {
 public:
  void Add(double ms) { values_.push_back(ms); }
  double Median() const { return At(0.5); }
  std::string Describe() const {
    char line[96];
    snprintf(line, sizeof(line), "%9.1f %9.1f %9.1f %9.1f", At(0), Median(),
             At(0.9), At(1));
    return line;
  }

 private:
  double At(double quantile) const {
    if (values_.empty()) return 0;
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(
        quantile * static_cast<double>(sorted.size() - 1) + 0.5)];
  }
  std::vector<double> values_;
};

struct Figures {
  std::vector<std::string> phases;  // in order
  std::map<std::string, Samples> by_phase;
  Samples ready, app, run_pod, stop, nspawn_ready, nspawn_stop;
};

double Milliseconds(absl::Time from) {
  return absl::ToDoubleMilliseconds(absl::Now() - from);
}

double ParseSeconds(const std::string& text) {  // "0.012345s"
  return atof(text.c_str()) * 1e3;
}

void MeasureOurs(TestNode& node, int run, Figures& figures) {
  std::string name = absl::StrCat("bench", run);
  absl::Time start = absl::Now();
  node.MustCtl({"run", name, "--image", kBusybox, "--", "sleep", "1000"});
  figures.run_pod.Add(Milliseconds(start));
  double sum = 0;
  nlohmann::json pod = node.GetPod(name);
  for (const auto& phase : pod["status"]["startPhases"]) {
    std::string phase_name = phase["name"];
    double ms = ParseSeconds(phase.value("duration", "0s"));
    if (figures.by_phase.count(phase_name) == 0) {
      figures.phases.push_back(phase_name);
    }
    figures.by_phase[phase_name].Add(ms);
    sum += ms;
    if (phase_name == "ready") figures.ready.Add(sum);
    if (phase_name == "apps") figures.app.Add(sum);
  }
  start = absl::Now();
  node.MustCtl({"stop", name, "--grace-period=1"});
  figures.stop.Add(Milliseconds(start));
  node.MustCtl({"delete", name, "--now"});
}

bool MeasureNspawn(const std::string& root, TestNode& node, Figures& figures) {
  absl::StatusOr<NspawnRun> run =
      RunNspawn(root, node.path(""), node.cgroup_parent() + "-nspawn");
  if (!run.ok()) {
    fprintf(stderr, "nspawn: %s\n", run.status().ToString().c_str());
    return false;
  }
  figures.nspawn_ready.Add(absl::ToDoubleMilliseconds(run->ready));
  figures.nspawn_stop.Add(absl::ToDoubleMilliseconds(run->stop));
  return true;
}

std::string FieldOfStatus(const std::string& pid, const std::string& file,
                          const std::string& field) {
  absl::StatusOr<std::string> text =
      ReadFile(absl::StrCat("/proc/", pid, "/", file));
  if (!text.ok()) return "?";
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    if (absl::StartsWith(line, field)) {
      return std::string(
          absl::StripAsciiWhitespace(line.substr(field.size() + 1)));
    }
  }
  return "?";
}

void PrintMemory(TestNode& node) {
  node.MustCtl({"run", "mem", "--image", kBusybox, "--", "sleep", "1000"});
  ShellResult shims = Sh(absl::StrCat(
      "for p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline 2>/dev/null | grep "
      "-q "
      "'^[^ ]*davit-shim.*' && [ \"$(readlink $p/exe)\" = ",
      node.path("libexec/davit-shim"), " ] && echo ${p#/proc/}; done"));
  std::string shim = shims.out.substr(0, shims.out.find('\n'));
  std::string agent = absl::StrCat(node.agent_pid());
  printf("\nmemory: agent RSS %s; shim RSS %s, PSS %s\n",
         FieldOfStatus(agent, "status", "VmRSS").c_str(),
         FieldOfStatus(shim, "status", "VmRSS").c_str(),
         FieldOfStatus(shim, "smaps_rollup", "Pss").c_str());
  node.MustCtl({"delete", "mem", "--now"});
}

void Print(const Figures& figures, int runs) {
  printf("%d runs, interleaved; milliseconds\n\n", runs);
  printf("%-26s %9s %9s %9s %9s\n", "", "min", "median", "p90", "max");
  auto row = [](const std::string& name, const Samples& samples) {
    printf("%-26s %s\n", name.c_str(), samples.Describe().c_str());
  };
  for (const std::string& phase : figures.phases) {
    row("  " + phase, figures.by_phase.at(phase));
  }
  row("davit: to systemd READY", figures.ready);
  row("davit: to the app's exec", figures.app);
  row("davit: davitctl run", figures.run_pod);
  row("davit: davitctl stop", figures.stop);
  row("nspawn: to systemd READY", figures.nspawn_ready);
  row("nspawn: stop", figures.nspawn_stop);
  printf("\nto READY, davit (network included) : nspawn (none) = %.2f\n",
         figures.ready.Median() / figures.nspawn_ready.Median());
}

int Main(int runs) {
  TestNode node;
  node.StartAgent();
  node.ImportImages();
  nlohmann::json stage1 = nlohmann::json::parse(node.MustCtl(
      {"get", "image", "localhost/davit/stage1:latest", "-o", "json"}));
  std::string layer = stage1["layers"][0];
  layer = absl::StrCat(node.root(), "/images/layers/",
                       layer.substr(layer.find(':') + 1), "/rootfs");
  Figures figures;
  for (int run = 0; run < runs; ++run) {
    MeasureOurs(node, run, figures);
    if (!MeasureNspawn(layer, node, figures)) return 1;
  }
  Print(figures, runs);
  PrintMemory(node);
  return 0;
}

}  // namespace
}  // namespace davit::testing

int main(int argc, char** argv) {
  return davit::testing::Main(argc > 1 ? atoi(argv[1]) : 20);
}
