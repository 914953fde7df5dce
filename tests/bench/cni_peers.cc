#include "tests/bench/cni_peers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/file.h"

namespace davit::testing {
namespace {

constexpr char kFloorTable[] = R"(
  table inet floor {
    set masq { type ipv4_addr; }
    set masq6 { type ipv6_addr; }
    set hairpin { type ipv4_addr; }
    map ports {
      type inet_proto . inet_service : ipv4_addr . inet_service;
    }
    chain prerouting {
      type nat hook prerouting priority dstnat;
      fib daddr type local dnat ip to meta l4proto . th dport map @ports
    }
    chain postrouting {
      type nat hook postrouting priority srcnat;
      ip saddr @masq ip daddr != 224.0.0.0/4 masquerade
      ip6 saddr @masq6 ip6 daddr != ff00::/8 masquerade
      ip saddr @hairpin ip daddr @hairpin masquerade
    }
  })";

// Each peer has subnets of its own, and so has each plugin.
int SubnetNumber(Peer peer, const Network& network) {
  return 10 + 2 * static_cast<int>(peer) + (network.plugin == "bridge" ? 1 : 0);
}

std::string BridgeName(Peer peer) { return absl::StrCat("br-", NameOf(peer)); }

std::string Ranges(Peer peer, const Network& network) {
  const int subnet = SubnetNumber(peer, network);
  std::string ranges =
      absl::StrFormat(R"([{"subnet": "10.%d.0.0/16"}])", subnet);
  if (network.two_addresses) {
    absl::StrAppendFormat(&ranges, R"(, [{"subnet": "10.%d.0.0/16"}])",
                          subnet + 100);
  }
  if (network.dual_stack) {
    absl::StrAppendFormat(&ranges, R"(, [{"subnet": "fd00:%d::/64"}])", subnet);
  }
  return ranges;
}

std::string MainConfig(const Programs& programs, Peer peer,
                       const Network& network) {
  std::string routes = R"({"dst": "0.0.0.0/0"})";
  if (network.dual_stack) absl::StrAppend(&routes, R"(, {"dst": "::/0"})");
  const std::string more =
      network.plugin == "bridge"
          ? absl::StrFormat(R"("bridge": "%s", "isDefaultGateway": true,)",
                            BridgeName(peer))
          : "";
  // A default gateway is a route of the bridge plugin's own.
  if (network.plugin == "bridge") routes.clear();
  return absl::StrFormat(
      R"("type": "%s", %s "ipMasq": %s, "ipam": {"type": "host-local",
         "dataDir": "%s", "ranges": [%s], "routes": [%s]})",
      network.plugin, more, network.masquerade ? "true" : "false",
      programs.data_dir, Ranges(peer, network), routes);
}

std::string PortMapConfig(int number) {
  return absl::StrFormat(
      R"("type": "portmap", "capabilities": {"portMappings": true},
         "runtimeConfig": {"portMappings": [{"hostPort": %d,
         "containerPort": 80, "protocol": "tcp"}]})",
      1024 + number % 60000);
}

}  // namespace

const char* NameOf(Peer peer) {
  switch (peer) {
    case Peer::kFloor:
      return "floor";
    case Peer::kOurs:
      return "ours";
    case Peer::kGo:
      return "go";
  }
  return "";
}

std::string NetworkName(Peer peer, const Network& network) {
  return absl::StrCat(NameOf(peer), "-", network.plugin);
}

Attachment::Attachment(const Programs& programs, Peer peer,
                       const Network& network, int number, const BenchPod& pod)
    : programs_(programs),
      peer_(peer),
      network_(network),
      number_(number),
      netns_path_(pod.netns_path()) {}

TimedCall Attachment::Call(const std::string& command,
                           const std::string& plugin) const {
  return peer_ == Peer::kFloor ? FloorCall(command, plugin)
                               : PluginCall(command, plugin);
}

TimedCall Attachment::FloorCall(const std::string& command,
                                const std::string& plugin) const {
  const int subnet = SubnetNumber(peer_, network_);
  TimedCall call;
  call.path = programs_.floor;
  call.argv = {"cni_floor",
               command,
               plugin,
               absl::StrCat("netns=", netns_path_),
               "ifname=eth0",
               absl::StrFormat("host=floor%05d", number_),
               absl::StrFormat("id=pod-%05d", number_),
               absl::StrCat("dir=", programs_.data_dir, "/",
                            NetworkName(peer_, network_)),
               absl::StrFormat("ip=10.%d.%d.%d", subnet, number_ / 250,
                               number_ % 250 + 2),
               "bits=16",
               absl::StrFormat("gw=10.%d.0.1", subnet),
               absl::StrCat("masq=", network_.masquerade ? 1 : 0),
               absl::StrCat("bridge=", BridgeName(peer_)),
               absl::StrCat("port=", 1024 + number_ % 60000)};
  if (network_.dual_stack) {
    call.argv.insert(call.argv.end(),
                     {absl::StrFormat("ip6=fd00:%d::%x", subnet, number_ + 2),
                      "bits6=64", absl::StrFormat("gw6=fd00:%d::1", subnet)});
  }
  return call;
}

std::string Attachment::Config(const std::string& plugin) const {
  const std::string previous =
      result_.empty() ? "" : absl::StrCat(",\"prevResult\": ", result_);
  return absl::StrFormat(R"({"cniVersion": "1.0.0", "name": "%s", %s %s})",
                         NetworkName(peer_, network_),
                         plugin == "portmap"
                             ? PortMapConfig(number_)
                             : MainConfig(programs_, peer_, network_),
                         previous);
}

TimedCall Attachment::PluginCall(const std::string& command,
                                 const std::string& plugin) const {
  const std::string& directory =
      peer_ == Peer::kOurs ? programs_.ours : programs_.go;
  TimedCall call;
  call.path = absl::StrCat(directory, "/", plugin);
  call.argv = {call.path};
  call.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
              absl::StrCat("CNI_COMMAND=", command),
              absl::StrFormat("CNI_CONTAINERID=pod-%05d", number_),
              absl::StrCat("CNI_NETNS=", netns_path_),
              "CNI_IFNAME=eth0",
              "CNI_ARGS=IgnoreUnknown=1",
              absl::StrCat("CNI_PATH=", directory)};
  call.input = Config(plugin);
  return call;
}

void PrepareFloor(const Programs& programs) {
  RunTool({"/usr/sbin/nft", "-f", "-"}, kFloorTable);
  const std::string bridge = BridgeName(Peer::kFloor);
  RunTool({"/usr/sbin/ip", "link", "add", bridge, "type", "bridge"});
  RunTool({"/usr/sbin/ip", "link", "set", bridge, "up"});
  for (const char* plugin : {"ptp", "bridge"}) {
    const std::string directory =
        absl::StrCat(programs.data_dir, "/",
                     NetworkName(Peer::kFloor, Network{.plugin = plugin}));
    if (absl::Status status = MakeDirectories(directory); !status.ok()) {
      Die(status.ToString());
    }
  }
}

}  // namespace davit::testing
