// See tests/bench/cni.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "runtime/base/file.h"
#include "tests/bench/bench_node.h"
#include "tests/bench/cni_peers.h"
#include "tests/bench/cni_teardown.h"
#include "tests/bench/samples.h"
#include "tests/bench/steal.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {
namespace {

constexpr int kCrowd = 500;  // pods of two addresses each
// A new interface has its own business for a while: duplicate address
// detection, router solicitations and group reports, all under rtnl_mutex.
constexpr unsigned kSettleSeconds = 20;

struct Options {
  int runs = 50;
  bool quick = false;
  std::string only;  // one part of kParts; empty: all
};

constexpr const char* kParts[] = {"cases", "full-node", "crowds", "teardown"};

// One line of the table, and what issue 3 asks of it; 0: nothing.
struct Case {
  std::string name;
  Network network;
  double add_to_floor = 0, add_to_go = 0, del_to_floor = 0, del_to_go = 0;
};

std::vector<Case> Cases() {
  constexpr double kDel = 1.2;
  return {
      {"ptp", {}, 1.4, 1.0 / 3, kDel, 0},
      {"ptp masq", {.masquerade = true}, 0, 1.0 / 7, kDel, 1.0 / 2},
      {"bridge masq",
       {.plugin = "bridge", .masquerade = true},
       0,
       1.0 / 6,
       kDel,
       1.0 / 2},
      {"portmap", {.port_map = true}, 0, 1.0 / 10, kDel, 1.0 / 2},
      {"ptp dual", {.dual_stack = true}, 0, 1.0 / 300, kDel, 0},
  };
}

struct Timing {
  double add = 0, del = 0;
};
struct Figures {
  Samples add, del;
};
using PeerFigures = std::map<Peer, Figures>;

// The targets, printed together at the end.
class Verdicts {
 public:
  void AtMost(const std::string& what, double ratio, double limit) {
    if (limit == 0) return;
    const bool pass = ratio <= limit;
    missed_ += pass ? 0 : 1;
    lines_.push_back(absl::StrFormat("%s  %-44s %8.4f, at most %.4f",
                                     pass ? "PASS" : "MISS", what, ratio,
                                     limit));
  }
  void Print() const {
    printf("\ntargets (ratios of medians)\n");
    for (const std::string& line : lines_) printf("  %s\n", line.c_str());
    printf("%zu targets, %d missed\n", lines_.size(), missed_);
  }

 private:
  std::vector<std::string> lines_;
  int missed_ = 0;
};

class Bench {
 public:
  Bench(Options options, Programs programs)
      : options_(options), programs_(std::move(programs)) {}

  void Main();

 private:
  // One attachment, alone, on the peer's own pod.
  Timing MeasureOnce(Peer peer, const Network& network);
  PeerFigures Measure(const Case& item, const std::vector<Peer>& peers);
  bool Wants(absl::string_view part) const {
    return options_.only.empty() || options_.only == part;
  }
  std::map<Peer, Timing> MeasureRoundOnce(const Case& item,
                                          const std::vector<Peer>& peers,
                                          int run);
  std::map<Peer, Timing> MeasureRound(const Case& item,
                                      const std::vector<Peer>& peers, int run);
  void MeasureCases();
  std::map<std::string, PeerFigures> MeasureForCrowd(const char* title);
  void MeasureFullNode();
  void MeasureCrowds(int count);
  void MeasureMassTeardown();
  double RunTogether(const std::string& command, const std::string& plugin,
                     std::vector<Attachment>* attachments, bool parse);
  void Judge(const Case& item, const PeerFigures& figures);

  Attachment Next(Peer peer, const Network& network, const BenchPod& pod) {
    return Attachment(programs_, peer, network, next_++, pod);
  }
  void Add(Attachment* attachment, const Network& network);
  void Delete(Attachment* attachment, const Network& network);

  const Options options_;
  const Programs programs_;
  int next_ = 0;
  int repeated_ = 0, disturbed_ = 0;  // rounds
  std::map<Peer, BenchPod> pods_;
  Verdicts verdicts_;
};

std::string Describe(const Samples& samples) {
  return absl::StrFormat("%8.2f %8.2f %8.2f", samples.Min(), samples.Median(),
                         samples.P90());
}

double Ratio(const Samples& a, const Samples& b) {
  return b.Median() == 0 ? 0 : a.Median() / b.Median();
}

void PrintFigures(const std::string& name, const PeerFigures& figures) {
  for (const auto& [peer, f] : figures) {
    printf("%-14s %-6s %5zu  %s  %s\n", name.c_str(), NameOf(peer),
           f.add.count(), Describe(f.add).c_str(), Describe(f.del).c_str());
  }
}

void PrintHeader(const char* title) {
  printf("\n%s\n%-14s %-6s %5s  %26s  %26s\n", title, "ms", "who", "runs",
         "ADD min   median      p90", "DEL min   median      p90");
}

void Bench::Add(Attachment* attachment, const Network& network) {
  TimedCall call = attachment->Call("ADD", network.plugin);
  Run(&call);
  attachment->SetResult(call.output);
  if (!network.port_map) return;
  call = attachment->Call("ADD", "portmap");
  Run(&call);
}

void Bench::Delete(Attachment* attachment, const Network& network) {
  TimedCall call;
  if (network.port_map) {
    call = attachment->Call("DEL", "portmap");
    Run(&call);
  }
  call = attachment->Call("DEL", network.plugin);
  Run(&call);
}

Timing Bench::MeasureOnce(Peer peer, const Network& network) {
  Attachment attachment = Next(peer, network, pods_[peer]);
  if (!network.port_map) {
    TimedCall add = attachment.Call("ADD", network.plugin);
    Run(&add);
    attachment.SetResult(add.output);
    TimedCall del = attachment.Call("DEL", network.plugin);
    return {add.milliseconds, Run(&del)};
  }
  const Network main{.plugin = network.plugin};
  Add(&attachment, main);
  TimedCall add = attachment.Call("ADD", "portmap");
  Run(&add);
  TimedCall del = attachment.Call("DEL", "portmap");
  Run(&del);
  Delete(&attachment, main);
  return {add.milliseconds, del.milliseconds};
}

// The i-th of a round: forwards from another one each round, then backwards.
Peer InTurn(const std::vector<Peer>& peers, size_t round, size_t i) {
  const size_t count = peers.size();
  const size_t forwards = (i + round) % count;
  return peers[(round / count) % 2 == 0 ? forwards : count - 1 - forwards];
}

std::map<Peer, Timing> Bench::MeasureRoundOnce(const Case& item,
                                               const std::vector<Peer>& peers,
                                               int run) {
  std::map<Peer, Timing> timings;
  for (size_t i = 0; i < peers.size(); ++i) {
    // Each has each other one before it as often: what the kernel finishes
    // after a call is the next one's burden.
    const Peer peer = InTurn(peers, run, i);
    // Go waits 1.8 s for duplicate address detection.
    if (peer == Peer::kGo && item.network.dual_stack && run >= 5) continue;
    timings[peer] = MeasureOnce(peer, item.network);
  }
  return timings;
}

// A round in which the hypervisor took processors away says nothing about
// anybody: it is done again, for some time.
std::map<Peer, Timing> Bench::MeasureRound(const Case& item,
                                           const std::vector<Peer>& peers,
                                           int run) {
  constexpr double kPatience = 2000;  // milliseconds
  const double start = NowMilliseconds();
  while (true) {
    const int64_t stolen = StolenMilliseconds();
    std::map<Peer, Timing> timings = MeasureRoundOnce(item, peers, run);
    const bool disturbed = StolenMilliseconds() != stolen;
    if (!disturbed) return timings;
    if (NowMilliseconds() - start > kPatience) {
      ++disturbed_;
      return timings;
    }
    ++repeated_;
  }
}

// A node has more than one pod, so that another one of each peer stays all the
// time: it keeps the peer's bridge, table and chains.
PeerFigures Bench::Measure(const Case& item, const std::vector<Peer>& peers) {
  std::map<Peer, BenchPod> pods;
  std::map<Peer, Attachment> residents;
  PeerFigures figures;
  for (Peer peer : peers) {
    Attachment resident = Next(peer, item.network, pods[peer]);
    Add(&resident, item.network);
    residents.emplace(peer, std::move(resident));
    MeasureOnce(peer, item.network);  // files and bridges are warm then
  }
  for (int run = 0; run < options_.runs; ++run) {
    for (const auto& [peer, timing] : MeasureRound(item, peers, run)) {
      figures[peer].add.Add(timing.add);
      figures[peer].del.Add(timing.del);
    }
  }
  for (auto& [peer, resident] : residents) Delete(&resident, item.network);
  return figures;
}

void Bench::Judge(const Case& item, const PeerFigures& figures) {
  const Figures& floor = figures.at(Peer::kFloor);
  const Figures& go = figures.at(Peer::kGo);
  const Figures& mine = figures.at(Peer::kOurs);
  printf(
      "%-14s ADD %.2f of the floor, %.4f (1/%.1f) of Go; "
      "DEL %.2f of the floor, %.2f of Go\n",
      "", Ratio(mine.add, floor.add), Ratio(mine.add, go.add),
      Ratio(go.add, mine.add), Ratio(mine.del, floor.del),
      Ratio(mine.del, go.del));
  // A busy machine holds rtnl_mutex for milliseconds now and then, whoever
  // waits; the shortest runs were not disturbed.
  printf(
      "%-14s of the shortest: ADD %.2f of the floor, 1/%.1f of Go; "
      "DEL %.2f of the floor, %.2f of Go\n",
      "", mine.add.Min() / floor.add.Min(), go.add.Min() / mine.add.Min(),
      mine.del.Min() / floor.del.Min(), mine.del.Min() / go.del.Min());
  verdicts_.AtMost(item.name + " ADD / floor", Ratio(mine.add, floor.add),
                   item.add_to_floor);
  verdicts_.AtMost(item.name + " ADD / Go", Ratio(mine.add, go.add),
                   item.add_to_go);
  verdicts_.AtMost(item.name + " DEL / floor", Ratio(mine.del, floor.del),
                   item.del_to_floor);
  verdicts_.AtMost(item.name + " DEL / Go", Ratio(mine.del, go.del),
                   item.del_to_go);
}

void Bench::MeasureCases() {
  PrintHeader("one call at a time, interleaved");
  for (const Case& item : Cases()) {
    const PeerFigures figures =
        Measure(item, std::vector<Peer>(std::begin(kPeers), std::end(kPeers)));
    PrintFigures(item.name, figures);
    Judge(item, figures);
    fflush(stdout);
  }
}

// The floor and ours, one after the other, for what a crowd could slow.
std::map<std::string, PeerFigures> Bench::MeasureForCrowd(const char* title) {
  PrintHeader(title);
  std::map<std::string, PeerFigures> figures;
  for (const Case& item : Cases()) {
    if (item.network.plugin != "ptp" || item.network.dual_stack) continue;
    figures[item.name] = Measure(item, {Peer::kFloor, Peer::kOurs});
    PrintFigures(item.name, figures[item.name]);
    fflush(stdout);
  }
  return figures;
}

// Our plugin makes the crowd: 500 interfaces, 1,000 leases and set elements.
void Bench::MeasureFullNode() {
  auto first = MeasureForCrowd("before these are made");
  Network crowd{.masquerade = true, .two_addresses = true};
  std::vector<BenchPod> pods(kCrowd);
  std::vector<Attachment> attachments;
  for (const BenchPod& pod : pods) {
    attachments.push_back(Next(Peer::kOurs, crowd, pod));
    Add(&attachments.back(), crowd);
  }
  sleep(kSettleSeconds);
  auto full = MeasureForCrowd(
      "with 1,000 leases, 1,000 set elements and 500 veths present");
  for (auto& [name, figures] : full) {
    constexpr double kFull = 1.3;
    for (const auto& [peer, f] : figures) {
      const Figures& alone = first[name][peer];
      printf("%-14s %-6s ADD %.2f, DEL %.2f of the time before\n", name.c_str(),
             NameOf(peer), Ratio(f.add, alone.add), Ratio(f.del, alone.del));
    }
    const Figures& mine = figures[Peer::kOurs];
    const Figures& alone = first[name][Peer::kOurs];
    verdicts_.AtMost(name + " ADD, full node / first",
                     Ratio(mine.add, alone.add), kFull);
    verdicts_.AtMost(name + " DEL, full node / first",
                     Ratio(mine.del, alone.del), kFull);
  }
  for (Attachment& attachment : attachments) Delete(&attachment, crowd);
}

// Starts all, then waits for all; returns the wall time in milliseconds.
double Bench::RunTogether(const std::string& command, const std::string& plugin,
                          std::vector<Attachment>* attachments, bool parse) {
  std::vector<TimedCall> calls;
  for (const Attachment& a : *attachments) {
    calls.push_back(a.Call(command, plugin));
  }
  const double start = NowMilliseconds();
  for (TimedCall& call : calls) Start(&call);
  for (TimedCall& call : calls) Finish(&call);
  const double wall = NowMilliseconds() - start;
  std::set<std::string> addresses;
  for (size_t i = 0; i < calls.size() && parse; ++i) {
    (*attachments)[i].SetResult(calls[i].output);
    auto json = nlohmann::json::parse(calls[i].output, nullptr, false);
    if (!addresses.insert(json["ips"][0]["address"].dump()).second) {
      Die("an address was given twice: " + calls[i].output);
    }
  }
  return wall;
}

void Bench::MeasureCrowds(int count) {
  printf("\n%d calls at once, wall time in ms\n%-14s %-6s %10s %10s\n", count,
         "", "who", "ADD", "DEL");
  for (const Case& item : Cases()) {
    if (item.network.plugin != "ptp" || item.network.port_map ||
        item.network.dual_stack) {
      continue;
    }
    std::vector<BenchPod> pods(count);
    for (Peer peer : kPeers) {
      std::vector<Attachment> attachments;
      for (const BenchPod& pod : pods) {
        attachments.push_back(Next(peer, item.network, pod));
      }
      const double add =
          RunTogether("ADD", item.network.plugin, &attachments, true);
      const double del =
          RunTogether("DEL", item.network.plugin, &attachments, false);
      printf("%-14s %-6s %10.0f %10.0f\n", item.name.c_str(), NameOf(peer), add,
             del);
      fflush(stdout);
    }
  }
}

void Bench::MeasureMassTeardown() {
  constexpr int kPods = 50;
  const TeardownTimes times =
      MeasureTeardown(programs_.data_dir + "-teardown", programs_.ours, kPods);
  printf(
      "\n%d pods detached by our runtime: one by one %.0f ms, at once %.0f "
      "ms\n",
      kPods, times.one_by_one, times.at_once);
  // A few RCU waits, and 50 plugin processes.
  verdicts_.AtMost("50 pods detached at once / one by one",
                   times.at_once / times.one_by_one, 1.0 / 4);
}

void Bench::Main() {
  PrepareFloor(programs_);
  if (Wants("cases")) MeasureCases();
  if (Wants("full-node") && !options_.quick) MeasureFullNode();
  if (Wants("crowds")) {
    MeasureCrowds(50);
    if (!options_.quick) MeasureCrowds(200);
  }
  if (Wants("teardown")) MeasureMassTeardown();
  printf(
      "\n%d rounds done again as the hypervisor took processors away; %d were "
      "never left alone\n",
      repeated_, disturbed_);
  verdicts_.Print();
}

std::string ParsePart(const std::string& part) {
  if (!absl::c_linear_search(kParts, part)) {
    Die("--only: want one of " + absl::StrJoin(kParts, ", "));
  }
  return part;
}

Options ParseOptions(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    if (strcmp(argv[i], "--quick") == 0) {
      options.quick = true;
      options.runs = 10;
    } else if (strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
      options.runs = atoi(argv[++i]);
    } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
      options.only = ParsePart(argv[++i]);
    } else {
      Die("usage: tests/bench/cni [--quick] [--runs N] [--only PART]");
    }
  }
  if (options.runs < 1) Die("--runs: want a positive number");
  return options;
}

// A directory with our binary under the name of each of its plugins.
std::string InstallOurs(const std::string& binary,
                        const std::string& directory) {
  if (!MakeDirectories(directory).ok()) Die(directory);
  for (const char* type : {"ptp", "bridge", "portmap", "host-local"}) {
    const std::string link = absl::StrCat(directory, "/", type);
    if (symlink(binary.c_str(), link.c_str()) < 0) Die(link);
  }
  return directory;
}

}  // namespace
}  // namespace davit::testing

int main(int argc, char** argv) {
  using namespace davit::testing;
  const Options options = ParseOptions(argc, argv);
  TempDir directory;
  auto absolute = [](const char* name) {
    const char* path = getenv(name);
    if (path == nullptr) Die(absl::StrCat(name, " is not set"));
    return std::string(realpath(path, nullptr));
  };
  Programs programs;
  programs.floor = absolute("CNI_FLOOR");
  programs.ours = InstallOurs(absolute("DAVIT_CNI"), directory.path() + "/bin");
  programs.data_dir = directory.path() + "/leases";
  EnterBenchNode();
  printf("runs %d, %s, load %s", options.runs,
         EnterRealTime() ? "SCHED_FIFO" : "no SCHED_FIFO",
         davit::ReadFile("/proc/loadavg").value_or("?\n").c_str());
  Bench(options, std::move(programs)).Main();
  return 0;
}
