#include "net/plugins/pod_veth.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "net/netlink/stable_hash.h"
#include "net/plugins/pod_netns.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kHostNameCandidates = 10;
constexpr size_t kMaxAlias = 127;
constexpr char kAddrGenModeNone[] = "1";  // ip-sysctl.rst

// The node's own settings of a new veth. Best effort, as in Go: a kernel
// without IPv6 has none of these files.
void TuneHostLink(const std::string& name, bool link_local) {
  auto set = [&name](const char* sysctl, const char* value) {
    WriteKernelFile(absl::StrCat("/proc/sys/net/ipv6/conf/", name, "/", sysctl),
                    value)
        .IgnoreError();
  };
  // Routes of this interface are ours alone.
  set("accept_ra", "0");
  if (link_local) {
    // The address is made of the MAC address, and only the pod is at the other
    // end: nobody to detect, but a second or two to lose.
    set("accept_dad", "0");
  } else {
    set("addr_gen_mode", kAddrGenModeNone);
  }
}

// EEXIST does not say which of the two names is taken.
absl::Status ExplainTakenName(PodEnds& ends, const std::string& name,
                              absl::Status status) {
  absl::StatusOr<Link> taken = ends.node.GetLink(name);
  if (!absl::IsAlreadyExists(status) || !taken.ok()) return status;
  return absl::AlreadyExistsError(absl::StrFormat(
      "hostInterfaceName: the node has an interface \"%s\" already%s", name,
      taken->alias.empty() ? "" : absl::StrFormat(" (\"%s\")", taken->alias)));
}

absl::StatusOr<std::string> AddPair(PodEnds& ends,
                                    const PodAttachment& attachment,
                                    const InterfaceConfig& config,
                                    int bridge_index) {
  VethPair pair;
  pair.peer_name = attachment.ifname;
  pair.peer_netns_fd = ends.pod_netns.get();
  pair.peer_mac = config.mac;
  pair.mtu = config.mtu;
  pair.master_index = bridge_index;
  if (!config.host_ifname.empty()) {
    pair.name = config.host_ifname;
    RETURN_IF_ERROR(
        ExplainTakenName(ends, pair.name, ends.node.AddVethPair(pair)));
    return pair.name;
  }
  absl::Status status;
  for (const std::string& name : attachment.HostNames()) {
    pair.name = name;
    status = ends.node.AddVethPair(pair);
    if (status.ok()) return name;
    if (!absl::IsAlreadyExists(status) ||
        ends.pod.GetLink(attachment.ifname).ok()) {
      break;
    }
  }
  return status;
}

// The interfaces of the node that the result lists before the pod's: bridge and
// veth. What comes later is not the attachment's alone (a bridge's gateway in a
// VLAN) or another plugin's.
absl::Span<const CniInterface> HostInterfaces(const CniResult& result) {
  auto end = std::find_if(
      result.interfaces.begin(), result.interfaces.end(),
      [](const CniInterface& each) { return !each.sandbox.empty(); });
  return absl::MakeConstSpan(
      result.interfaces.data(),
      static_cast<size_t>(end - result.interfaces.begin()));
}

bool IsOurs(const Link& link, const std::string& name,
            const PodAttachment& attachment, const CniResult& previous) {
  if (link.kind != "veth") return false;
  if (link.alias == attachment.Alias()) return true;
  absl::Span<const CniInterface> interfaces = HostInterfaces(previous);
  return std::any_of(interfaces.begin(), interfaces.end(),
                     [&](const CniInterface& interface) {
                       return interface.name == name && link.mac &&
                              interface.mac == link.mac->ToString();
                     });
}

}  // namespace

std::vector<std::string> PodAttachment::HostNames() const {
  std::vector<std::string> names;
  for (int i = 0; i < kHostNameCandidates; ++i) {
    uint64_t hash = StableHash({container_id, ifname, absl::StrCat(i)});
    names.push_back(
        absl::StrFormat("veth%08x", static_cast<uint32_t>(hash ^ hash >> 32)));
  }
  return names;
}

std::string PodAttachment::Alias() const {
  return absl::StrCat(container_id, " ", ifname).substr(0, kMaxAlias);
}

absl::StatusOr<PodVeth> CreatePodVeth(PodEnds& ends,
                                      const PodAttachment& attachment,
                                      const InterfaceConfig& config,
                                      const NodeEnd& node_end) {
  ASSIGN_OR_RETURN(const std::string name,
                   AddPair(ends, attachment, config, node_end.bridge_index));
  Rollback rollback;  // until the alias says whose it is
  rollback.Add("remove link", [&] { return ends.node.DeleteLink(name); });
  PodVeth veth;
  ASSIGN_OR_RETURN(veth.host, ends.node.GetLink(name));
  ASSIGN_OR_RETURN(veth.pod, ends.pod.GetLink(attachment.ifname));
  TuneHostLink(name, node_end.link_local);
  if (!config.host_ifname.empty()) {
    // The alias would still tell, but nobody can look for an alias.
    RETURN_IF_ERROR(ends.node.AddAlternativeName(
        veth.host.index, attachment.HostNames().front()));
  }
  RETURN_IF_ERROR(
      ends.node.SetLinkUp(veth.host.index, true, attachment.Alias()));
  rollback.Commit();
  return veth;
}

absl::Status RemoveHostLink(Netlink& node, const PodAttachment& attachment,
                            const CniResult& previous) {
  std::vector<std::string> names = attachment.HostNames();
  for (const CniInterface& interface : HostInterfaces(previous)) {
    if (!interface.name.empty()) names.push_back(interface.name);
  }
  for (const std::string& name : names) {
    absl::StatusOr<Link> link = node.GetLink(name);
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link);
    if (!IsOurs(*link, name, attachment, previous)) continue;
    absl::Status status = node.DeleteLink(link->name);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  }
  return absl::OkStatus();
}

absl::Status RemovePodVeth(const PluginRequest& request,
                           const CniResult& previous) {
  absl::StatusOr<UniqueFd> netns = OpenPodNetns(request.netns);
  if (netns.ok()) {
    ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns->get()));
    absl::Status status = pod.DeleteLink(request.ifname);
    if (!status.ok() && !absl::IsNotFound(status)) return status;
  } else if (!absl::IsNotFound(netns.status())) {
    return netns.status();
  }
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  return RemoveHostLink(node, {request.container_id, request.ifname}, previous);
}

const CniInterface* FindHostInterface(const CniResult& result,
                                      const std::string& bridge) {
  for (const CniInterface& interface : HostInterfaces(result)) {
    if (interface.name != bridge) return &interface;
  }
  return nullptr;
}

CniInterface ToCniInterface(const Link& link, const std::string& sandbox) {
  return {link.name, link.mac.value_or(MacAddress()).ToString(), sandbox};
}

}  // namespace davit
