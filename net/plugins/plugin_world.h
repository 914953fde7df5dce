#ifndef DAVIT_NET_PLUGINS_PLUGIN_WORLD_H_
#define DAVIT_NET_PLUGINS_PLUGIN_WORLD_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/netlink.h"
#include "net/netlink/netns_fixture.h"
#include "net/plugins/json_object.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// One execution of a plugin.
struct PluginCall {
  std::string command = "ADD";
  std::string config;  // JSON
  std::string netns;
  std::string container_id = "pod-1";
  std::string ifname = "eth0";
  std::string args;
};

struct PluginAnswer {
  int exit_code = -1;
  std::string out;
  Json json;  // of out; null if there was none
};

// A node for tests of the plugin binary: a network namespace in which plugins
// run, pods' namespaces pinned in a temporary directory (in a mount namespace
// of the test program's own), and a directory of our plugins. All of it is gone
// with the object.
class PluginWorld {
 public:
  static constexpr char kGoPlugins[] = "/usr/lib/cni";  // Debian's

  PluginWorld();
  ~PluginWorld();

  // Directories for CNI_PATH and for running plugins from.
  std::string our_plugins() const { return directory_ / "bin"; }
  std::string data_dir() const { return directory_ / "leases"; }
  std::string path(const std::string& name) const { return directory_ / name; }

  const TestNetns& node() const { return node_; }
  Netlink& node_link() { return *node_link_; }

  // Makes a pod's namespace; returns its pin's path.
  std::string AddPod(const std::string& name);
  const TestNetns& pod(const std::string& netns_path) const {
    return *pods_.at(netns_path);
  }
  Netlink PodLink(const std::string& netns_path) const {
    return *Netlink::OpenIn(pod(netns_path).fd());
  }
  // Takes the pin away; the path becomes a plain file. The namespace itself
  // goes too, unless `keep`.
  void Unpin(const std::string& netns_path, bool keep);

  // Runs the plugin at `path` with `cni_path` as CNI_PATH, in the node.
  PluginAnswer Run(const std::string& path, const std::string& cni_path,
                   const PluginCall& call) const;
  // Runs our plugin of this type with our plugins only.
  PluginAnswer Run(const std::string& type, const PluginCall& call) const {
    return Run(our_plugins() + "/" + type, our_plugins(), call);
  }

  // What is left on the node: names of interfaces but lo, the ruleset as
  // nft(8) prints it, names of leases' files of all networks.
  std::vector<std::string> Interfaces() const;
  std::string Ruleset() const;
  std::vector<std::string> Leases() const;

 private:
  TempDir directory_;
  TestNetns node_;
  std::unique_ptr<Netlink> node_link_;
  std::map<std::string, std::unique_ptr<TestNetns>> pods_;
};

// Makes `outside` a neighbour of the node that knows the way to the pods'
// subnets: 192.0.2.2 and 2001:db8::2, with the node at .1 and ::1.
void ConnectOutside(PluginWorld& world, const TestNetns& outside,
                    const std::vector<std::string>& subnets);

// A configuration of type ptp with host-local over this subnet; `more` are
// further members ("\"ipMasq\": true").
std::string PtpJson(const PluginWorld& world, const std::string& subnet,
                    const std::string& more = "",
                    const std::string& version = "1.0.0");

// The configuration with prevResult.
std::string WithPrevResult(const std::string& config, const Json& result);

// Opens a TCP connection from one namespace to an address in another one and
// returns the client's address as the server sees it.
absl::StatusOr<std::string> ConnectAndSeePeer(const TestNetns& client,
                                              const TestNetns& server,
                                              const IpAddress& address);

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_PLUGIN_WORLD_H_
