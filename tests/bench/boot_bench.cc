// See tests/bench/boot.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/client.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "tests/bench/bench_pods.h"
#include "tests/bench/nspawn_peer.h"
#include "tests/bench/samples.h"
#include "tests/bench/steal.h"
#include "tests/e2e/test_node.h"

namespace davit::testing {
namespace {

struct Options {
  int runs = 20;
  int at_once = 20;
  int pods = 200;
};

double Milliseconds(absl::Time from) {
  return absl::ToDoubleMilliseconds(absl::Now() - from);
}

[[noreturn]] void Die(const std::string& why) {
  fprintf(stderr, "bench: %s\n", why.c_str());
  exit(1);
}

// One way to boot systemd and to stop it.
struct Figures {
  Samples set_up;  // until systemd's exec
  Samples ready;
  Samples stop;

  void Add(const Figures& more) {
    set_up.Add(more.set_up);
    ready.Add(more.ready);
    stop.Add(more.stop);
  }
};

// All of them, side by side.
struct AllFigures {
  Figures machine, stage1, nspawn;

  void Add(const AllFigures& more) {
    machine.Add(more.machine);
    stage1.Add(more.stage1);
    nspawn.Add(more.nspawn);
  }
};

// --- one after another ---------------------------------------------------

void StartPod(TestNode& node, const std::string& name, bool machine) {
  if (machine) {
    node.MustCtl({"run", name, "--root-image", kMachine});
  } else {
    node.MustCtl({"run", name, "--image", kBusybox, "--", "sleep", "100000"});
  }
}

// By gRPC, as a remote client stops it: the peer is stopped by a signal, not by
// a program that has to start first.
void StopPod(cli::Client& agent, const std::string& name) {
  v1::StopPodRequest request;
  request.set_pod(name);
  v1::StopPodResponse response;
  grpc::ClientContext rpc;
  absl::Status stopped =
      agent.ToStatus(agent.pods().StopPod(&rpc, request, &response));
  if (!stopped.ok()) Die(stopped.ToString());
}

std::string AgentOf(TestNode& node) {
  return absl::StrCat("unix://", node.state(), "/davit.sock");
}

void MeasurePod(TestNode& node, cli::Client& agent, const std::string& name,
                bool machine, Figures& figures) {
  StartPod(node, name, machine);
  nlohmann::json pod = node.GetPod(name);
  figures.set_up.Add(MillisecondsTo("exec", pod));
  figures.ready.Add(MillisecondsTo("ready", pod));
  absl::Time start = absl::Now();
  StopPod(agent, name);
  figures.stop.Add(Milliseconds(start));
  node.MustCtl({"delete", name});
}

std::unique_ptr<NspawnMachine> BootNspawn(const std::string& root,
                                          TestNode& node,
                                          const std::string& name) {
  absl::StatusOr<std::unique_ptr<NspawnMachine>> machine = NspawnMachine::Boot(
      root, node.path(""), absl::StrCat(node.cgroup_parent(), "-", name));
  if (!machine.ok()) Die(machine.status().ToString());
  return *std::move(machine);
}

void MeasureNspawn(TestNode& node, const std::string& root, Figures& figures) {
  std::unique_ptr<NspawnMachine> machine = BootNspawn(root, node, "nspawn");
  figures.ready.Add(absl::ToDoubleMilliseconds(machine->ready_after()));
  figures.stop.Add(absl::ToDoubleMilliseconds(machine->Stop()));
}

void PrintTargets(const AllFigures& figures) {
  const auto& [machine, stage1, nspawn] = figures;
  auto ratio = [](const char* what, double ours, double peers, double limit) {
    printf("  %-52s %6.2f  (at most %.2f)  %s\n", what, ours / peers, limit,
           ours / peers <= limit ? "met" : "MISSED");
  };
  printf("\n");
  ratio("READY, machine : nspawn", machine.ready.Median(),
        nspawn.ready.Median(), 0.80);
  ratio("READY, stage1 : nspawn's machine", stage1.ready.Median(),
        nspawn.ready.Median(), 0.30);
  ratio("stop, machine : nspawn", machine.stop.Median(), nspawn.stop.Median(),
        1);
  ratio("stop, stage1 : nspawn's machine", stage1.stop.Median(),
        nspawn.stop.Median(), 0.50);
}

AllFigures MeasureRound(TestNode& node, cli::Client& agent,
                        const std::string& root) {
  AllFigures figures;
  MeasurePod(node, agent, "machine", true, figures.machine);
  MeasureNspawn(node, root, figures.nspawn);
  MeasurePod(node, agent, "stage1", false, figures.stage1);
  return figures;
}

// What `round` returns. One of which the hypervisor took more than a hundredth
// is done again; where all are so, the one of which it took the least counts.
template <typename Round>
auto Undisturbed(const Round& round, int* repeated) {
  constexpr int kAttempts = 6;
  const double limit = 0.01 * std::thread::hardware_concurrency();
  double least = 0;
  std::optional<decltype(round())> best;
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    const absl::Time start = absl::Now();
    const int64_t before = StolenMilliseconds();
    auto result = round();
    const auto stolen = static_cast<double>(StolenMilliseconds() - before);
    const double share = stolen / Milliseconds(start);
    if (!best || share < least) {
      best = std::move(result);
      least = share;
    }
    if (least <= limit) break;
    ++*repeated;
  }
  return *std::move(best);
}

void OneByOne(TestNode& node, const std::string& root, int runs) {
  AllFigures figures;
  int repeated = 0;
  cli::Client agent(AgentOf(node));
  for (int run = 0; run < runs; ++run) {
    figures.Add(Undisturbed([&] { return MeasureRound(node, agent, root); },
                            &repeated));
  }
  const auto& [machine, stage1, nspawn] = figures;
  printf(
      "%d runs, interleaved; milliseconds; %d rounds done again as the "
      "hypervisor took processors away\n\n",
      runs, repeated);
  printf("%-34s %9s %9s %9s %9s\n", "", "min", "median", "p90", "max");
  auto row = [](const char* name, const Samples& samples) {
    printf("%-34s %s\n", name, samples.Describe().c_str());
  };
  row("davit, machine: to systemd's exec", machine.set_up);
  row("davit, machine: to READY", machine.ready);
  row("davit, machine: StopPod", machine.stop);
  row("davit, stage1: to systemd's exec", stage1.set_up);
  row("davit, stage1: to READY", stage1.ready);
  row("davit, stage1: StopPod", stage1.stop);
  row("nspawn, machine: to READY", nspawn.ready);
  row("nspawn, machine: stop", nspawn.stop);
  PrintTargets(figures);
}

// --- all at once ---------------------------------------------------------

// A round of the same program differs from the next by a tenth.
constexpr int kRoundsAtOnce = 5;

// Calls `work` with 0 to n - 1, each by a thread of its own, until all are
// done. Returns the milliseconds.
double AllAtOnce(int n, const std::function<void(int)>& work) {
  std::vector<std::thread> threads;
  absl::Time start = absl::Now();
  for (int i = 0; i < n; ++i) threads.emplace_back(work, i);
  for (std::thread& thread : threads) thread.join();
  return Milliseconds(start);
}

// By gRPC, as a remote client starts them: the processors are what all wait
// for, and the start of a program for each takes 45 ms of them.
void RunMachine(cli::Client& agent, const std::string& name) {
  v1::RunPodRequest request;
  request.mutable_pod()->mutable_metadata()->set_name(name);
  request.mutable_pod()->mutable_spec()->set_root_image(kMachine);
  v1::RunPodResponse response;
  grpc::ClientContext rpc;
  absl::Status ready =
      agent.ToStatus(agent.pods().RunPod(&rpc, request, &response));
  if (!ready.ok()) Die(ready.ToString());
}

double MachinesAtOnce(TestNode& node, cli::Client& agent, int n) {
  double last =
      AllAtOnce(n, [&](int i) { RunMachine(agent, absl::StrCat("once", i)); });
  AllAtOnce(n, [&](int i) {
    node.MustCtl({"delete", absl::StrCat("once", i), "--now"});
  });
  return last;
}

// A directory for each, of hard links: nspawn locks the one that it boots.
double NspawnsAtOnce(TestNode& node, const std::string& root, int n) {
  std::string copies = node.path("nspawn-roots");
  for (int i = 0; i < n; ++i) {
    ShellResult copied = Sh(absl::StrCat("mkdir -p ", copies, " && cp -al ",
                                         root, " ", copies, "/", i));
    if (copied.code != 0) Die(copied.err);
  }
  std::vector<std::unique_ptr<NspawnMachine>> machines(static_cast<size_t>(n));
  double last = AllAtOnce(n, [&](int i) {
    machines[static_cast<size_t>(i)] = BootNspawn(
        absl::StrCat(copies, "/", i), node, absl::StrCat("nspawn", i));
  });
  AllAtOnce(n, [&](int i) { machines[static_cast<size_t>(i)]->Stop(); });
  machines.clear();
  Sh(absl::StrCat("rm -rf ", copies));
  return last;
}

void Together(TestNode& node, const std::string& root, int n) {
  cli::Client agent(AgentOf(node));
  Samples ours, peers;
  int repeated = 0;
  for (int run = 0; run < kRoundsAtOnce; ++run) {
    ours.Add(
        Undisturbed([&] { return MachinesAtOnce(node, agent, n); }, &repeated));
    peers.Add(
        Undisturbed([&] { return NspawnsAtOnce(node, root, n); }, &repeated));
  }
  double ratio = ours.Median() / peers.Median();
  printf(
      "\n%d machines at once, the last READY (median of %d; %d rounds done "
      "again):\n",
      n, kRoundsAtOnce, repeated);
  printf("  davit %.0f ms, nspawn %.0f ms: %.2f  (at most 0.85)  %s\n",
         ours.Median(), peers.Median(), ratio,
         ratio <= 0.85 ? "met" : "MISSED");
}

// --- many ------------------------------------------------------------------

// What `pod` and its shim hold.
struct Memory {
  Samples pod, shim;  // KiB, PSS
};

void MeasureMemory(TestNode& node, int pods, Memory& memory) {
  for (int i = 0; i < pods; ++i) {
    nlohmann::json pod = node.GetPod(absl::StrCat("many", i));
    memory.pod.Add(static_cast<double>(PssOf(ProcessesOf(pod))));
    memory.shim.Add(static_cast<double>(PssOf({ShimOf(pod)})));
  }
}

// The phases of some starts, in their order.
class Starts {
 public:
  void Add(const nlohmann::json& pod) {
    ready_.Add(MillisecondsTo("ready", pod));
    for (const auto& [phase, milliseconds] : StartPhases(pod)) {
      if (by_phase_.count(phase) == 0) phases_.push_back(phase);
      by_phase_[phase].Add(milliseconds);
    }
  }
  const Samples& ready() const { return ready_; }
  std::string Describe() const {
    std::string line;
    for (const std::string& phase : phases_) {
      absl::StrAppendFormat(&line, "  %s %.1f", phase,
                            by_phase_.at(phase).Median());
    }
    return line;
  }

 private:
  Samples ready_;
  std::vector<std::string> phases_;
  std::map<std::string, Samples> by_phase_;
};

void PrintMany(TestNode& node, const Starts& first_starts,
               const Starts& last_starts, const Memory& memory, int pods) {
  const Samples& first = first_starts.ready();
  const Samples& last = last_starts.ready();
  double ratio = last.Median() / first.Median();
  printf("\n%d pods of stage1 at once, each with an app:\n", pods);
  printf("  first:%s\n  last: %s\n", first_starts.Describe().c_str(),
         last_starts.Describe().c_str());
  printf(
      "  READY, medians: first %zu %.1f ms, last %zu %.1f ms: %.2f  "
      "(at most 1.50)  %s\n",
      first.count(), first.Median(), last.count(), last.Median(), ratio,
      ratio <= 1.5 ? "met" : "MISSED");
  printf(
      "  memory (PSS), medians: pod %.1f MiB (at most 10)  %s; "
      "shim %.2f MiB (at most 2)  %s; agent %.1f MiB\n",
      memory.pod.Median() / 1024,
      memory.pod.Median() <= 10 * 1024 ? "met" : "MISSED",
      memory.shim.Median() / 1024,
      memory.shim.Median() <= 2 * 1024 ? "met" : "MISSED",
      static_cast<double>(PssOf({node.agent_pid()})) / 1024);
}

void Many(TestNode& node, int pods) {
  const int edge = std::min(10, pods / 2);
  Starts first, last;
  for (int i = 0; i < pods; ++i) {
    std::string name = absl::StrCat("many", i);
    StartPod(node, name, false);
    if (i >= edge && i < pods - edge) continue;
    (i < edge ? first : last).Add(node.GetPod(name));
  }
  Memory memory;
  MeasureMemory(node, pods, memory);
  PrintMany(node, first, last, memory, pods);
  absl::Time start = absl::Now();
  std::vector<std::string> words = {"delete", "--now"};
  for (int i = 0; i < pods; ++i) words.push_back(absl::StrCat("many", i));
  node.MustCtl(words);
  printf("  deleted, all by one command: %.0f ms\n", Milliseconds(start));
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const int value = atoi(argv[i + 1]);
    if (name == "--runs") options.runs = value;
    if (name == "--at-once") options.at_once = value;
    if (name == "--pods") options.pods = value;
  }
  return options;
}

int Main(const Options& options) {
  TestNode node;
  node.StartAgent();
  node.ImportImages();
  node.ImportMachine();
  const std::string root = RootOfImage(node, kMachine);
  if (options.runs > 0) OneByOne(node, root, options.runs);
  if (options.at_once > 0) Together(node, root, options.at_once);
  if (options.pods > 1) Many(node, options.pods);
  return 0;
}

}  // namespace
}  // namespace davit::testing

int main(int argc, char** argv) {
  return davit::testing::Main(davit::testing::Parse(argc, argv));
}
