#ifndef DAVIT_NET_PLUGINS_PARITY_PARITY_H_
#define DAVIT_NET_PLUGINS_PARITY_PARITY_H_

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "net/plugins/parity/differences.h"
#include "net/plugins/plugin_world.h"

namespace davit::testing {

// A connection by TCP that is tried once all plugins have run; both sides must
// see the same.
struct ParityProbe {
  enum class From { kPod, kNode, kOutside };
  From from = From::kOutside;
  std::string to;  // the address
  int port = 0;
  int server_port = 0;  // where the pod listens; 0: on `port`
};

// What a row needs of the kernel.
enum class ParityNeed { kNothing, kVlanFiltering };

// One chain that both sides run: ADD of all, CHECK of all (0.4.0 and later),
// DEL of all backwards, and DEL again.
struct ParityRow {
  std::string name;
  // The plugins' objects, JSON. "$TMP" stands for a directory of the side; of
  // what is in it, files below $TMP/data are compared.
  std::vector<std::string> chain;
  // Besides those of EverywhereDifferences().
  std::vector<ParityDifference> differences = {};
  std::string version = "1.0.0";
  std::string args = "";  // CNI_ARGS
  std::string ifname = "eth0";
  // Makes the world differ from an empty one, before ADD; the pod's pin.
  std::function<void(PluginWorld&, const std::string& pod)> prepare = nullptr;
  // Changes it between ADD and CHECK, so that CHECK has something to find.
  std::function<void(PluginWorld&, const std::string& pod)> damage = nullptr;
  std::vector<ParityProbe> probes = {};
  ParityNeed need = ParityNeed::kNothing;
};

// For gtest's messages.
inline void PrintTo(const ParityRow& row, std::ostream* os) { *os << row.name; }

// Runs the row on both sides and fails the test (by EXPECT) for each difference
// that is not declared, and each declared one that is not there. Skips the test
// if the kernel lacks what the row needs.
void ExpectParity(const ParityRow& row);

// Addresses outside the node, in a namespace that its link "up0" leads to and
// that routes everything back to the node. From each family that ADD gives, a
// connection to them is a fact: "effect/outside-sees-4".
inline constexpr char kOutside4[] = "192.0.2.2";
inline constexpr char kOutside6[] = "2001:db8:ffff::2";
// The node's addresses on up0.
inline constexpr char kNode4[] = "192.0.2.1";
inline constexpr char kNode6[] = "2001:db8:ffff::1";

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_PARITY_PARITY_H_
