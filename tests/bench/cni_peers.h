#ifndef DAVIT_TESTS_BENCH_CNI_PEERS_H_
#define DAVIT_TESTS_BENCH_CNI_PEERS_H_

#include <string>
#include <vector>

#include "tests/bench/bench_node.h"

namespace davit::testing {

// Who does the work.
enum class Peer { kFloor, kOurs, kGo };
inline constexpr Peer kPeers[] = {Peer::kFloor, Peer::kOurs, Peer::kGo};
const char* NameOf(Peer peer);

// What is configured. `plugin` is "ptp" or "bridge"; `port_map` times a chained
// portmap alone, on top of it.
struct Network {
  std::string plugin = "ptp";
  bool masquerade = false;
  bool dual_stack = false;
  bool port_map = false;
  // A second IPv4 address for each pod (plugins only): more leases and set
  // elements for as many interfaces.
  bool two_addresses = false;
};

// Where the programs and their files are.
struct Programs {
  std::string floor, ours;  // ours: a directory with a link for each plugin
  std::string go = "/usr/lib/cni";
  std::string data_dir;
};

// One pod on one network by one peer: builds the calls, which Run performs.
class Attachment {
 public:
  // `number` (up to 65000) makes its identity, and the floor's addresses.
  Attachment(const Programs& programs, Peer peer, const Network& network,
             int number, const BenchPod& pod);

  // The calls of the main plugin, then of portmap. DEL gets the final result.
  TimedCall Call(const std::string& command, const std::string& plugin) const;
  // To be called with each plugin's output of ADD.
  void SetResult(std::string result) { result_ = std::move(result); }
  const std::string& result() const { return result_; }

 private:
  TimedCall FloorCall(const std::string& command,
                      const std::string& plugin) const;
  TimedCall PluginCall(const std::string& command,
                       const std::string& plugin) const;
  std::string Config(const std::string& plugin) const;

  const Programs& programs_;
  const Peer peer_;
  const Network network_;
  const int number_;
  const std::string netns_path_;
  std::string result_;
};

// The name of a peer's network, which is also its directory of leases.
std::string NetworkName(Peer peer, const Network& network);

// Makes, in the node, what the floor finds there: its bridge and nft table.
void PrepareFloor(const Programs& programs);

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_CNI_PEERS_H_
