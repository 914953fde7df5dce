// See tests/bench/start.
#include <stdio.h>
#include <stdlib.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/bench/bench_pods.h"
#include "tests/bench/nspawn_peer.h"
#include "tests/bench/samples.h"
#include "tests/e2e/test_node.h"

namespace davit::testing {
namespace {

struct Figures {
  std::vector<std::string> phases;  // in order
  std::map<std::string, Samples> by_phase;
  Samples ready, app, run_pod, stop, nspawn_ready, nspawn_stop;
};

double Milliseconds(absl::Time from) {
  return absl::ToDoubleMilliseconds(absl::Now() - from);
}

void MeasureOurs(TestNode& node, int run, Figures& figures) {
  std::string name = absl::StrCat("bench", run);
  absl::Time start = absl::Now();
  node.MustCtl({"run", name, "--image", kBusybox, "--", "sleep", "1000"});
  figures.run_pod.Add(Milliseconds(start));
  nlohmann::json pod = node.GetPod(name);
  for (const auto& [phase, milliseconds] : StartPhases(pod)) {
    if (figures.by_phase.count(phase) == 0) figures.phases.push_back(phase);
    figures.by_phase[phase].Add(milliseconds);
  }
  figures.ready.Add(MillisecondsTo("ready", pod));
  figures.app.Add(MillisecondsTo("apps", pod));
  start = absl::Now();
  node.MustCtl({"stop", name, "--grace-period=1"});
  figures.stop.Add(Milliseconds(start));
  node.MustCtl({"delete", name, "--now"});
}

bool MeasureNspawn(const std::string& root, TestNode& node, Figures& figures) {
  absl::StatusOr<std::unique_ptr<NspawnMachine>> machine = NspawnMachine::Boot(
      root, node.path(""), node.cgroup_parent() + "-nspawn");
  if (!machine.ok()) {
    fprintf(stderr, "nspawn: %s\n", machine.status().ToString().c_str());
    return false;
  }
  figures.nspawn_ready.Add(
      absl::ToDoubleMilliseconds((*machine)->ready_after()));
  figures.nspawn_stop.Add(absl::ToDoubleMilliseconds((*machine)->Stop()));
  return true;
}

void PrintMemory(TestNode& node) {
  node.MustCtl({"run", "mem", "--image", kBusybox, "--", "sleep", "1000"});
  printf("\nmemory (PSS): agent %ld KiB, shim %ld KiB\n",
         PssOf({node.agent_pid()}), PssOf({ShimOf(node.GetPod("mem"))}));
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
  const std::string root = RootOfImage(node, kStage1);
  Figures figures;
  for (int run = 0; run < runs; ++run) {
    MeasureOurs(node, run, figures);
    if (!MeasureNspawn(root, node, figures)) return 1;
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
