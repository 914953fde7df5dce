#include "net/plugins/portmap.h"

#include <net/if.h>

#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/nat/conntrack.h"
#include "net/nat/davit_table.h"
#include "net/nat/listeners.h"
#include "net/nat/port_maps.h"
#include "net/netlink/netlink.h"
#include "net/plugins/chained.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/portmap_config.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// What one call is about.
struct Work {
  ElementOwner owner;
  std::vector<PortForward> forwards;
  std::vector<PortMapPod> pods;
};

// Without a route to the pod nothing is behind "the interface by which it is
// reached", as with Go's plugin.
int InterfaceTo(Netlink& node, const IpAddress& address) {
  return node.LookUpRoute(address).value_or(0);
}

absl::StatusOr<Work> PlanWork(const PluginRequest& request,
                              const PortmapConfig& config,
                              const CniResult& previous) {
  Work work;
  work.owner = {request.container_id, request.ifname};
  const std::vector<IpAddress> addresses = PodAddresses(request, previous);
  work.forwards = MakePortForwards(config, addresses);
  ASSIGN_OR_RETURN(Netlink node, Netlink::Open());
  for (const IpAddress& address : addresses) {
    PortMapPod pod{address, PortMapPod::Masquerade::kNobody, 0};
    if (config.snat) {
      pod.masquerade = config.masq_all ? PortMapPod::Masquerade::kEverybody
                                       : PortMapPod::Masquerade::kNear;
      pod.interface = InterfaceTo(node, address);
    }
    work.pods.push_back(pod);
  }
  return work;
}

// Lets connections from 127.0.0.1 leave the node, and their answers in, by the
// pods' interfaces. Never taken back: it is the interface's, and other pods may
// share it. PortMaps' guard keeps out what must not come in thereby.
absl::Status EnableLocalnetRouting(const std::vector<PortMapPod>& pods) {
  for (const PortMapPod& pod : pods) {
    if (pod.interface == 0 || pod.address.is_v6()) continue;
    char name[IF_NAMESIZE];
    if (if_indextoname(static_cast<unsigned>(pod.interface), name) == nullptr) {
      return ErrnoError("if_indextoname(%d)", pod.interface);
    }
    RETURN_IF_ERROR(WriteKernelFile(
        absl::StrCat("/proc/sys/net/ipv4/conf/", name, "/route_localnet"),
        "1"));
  }
  return absl::OkStatus();
}

// Makes the kernel forget the UDP flows to the node's ends of `forwards` that
// are not what they should be: after ADD those that do not lead to the pod,
// after DEL those that do.
absl::Status ForgetUdpFlows(const std::vector<PortForward>& forwards,
                            bool added) {
  std::optional<Conntrack> conntrack;
  std::optional<Netlink> node;
  for (const PortForward& forward : forwards) {
    if (forward.protocol != PortProtocol::kUdp) continue;
    if (!conntrack.has_value()) {
      ASSIGN_OR_RETURN(conntrack, Conntrack::Open());
      ASSIGN_OR_RETURN(node, Netlink::Open());
    }
    auto is_stale = [&](const UdpFlow& flow) {
      const bool to_pod = flow.answerer == forward.pod_address &&
                          flow.answerer_port == forward.pod_port;
      if (to_pod == added) return false;
      if (!added) return true;
      // A flow through the node to the same port elsewhere is none of ours:
      // only what is sent to the node itself, which lo receives.
      return forward.node_address.has_value()
                 ? flow.destination == *forward.node_address
                 : InterfaceTo(*node, flow.destination) == 1;
    };
    RETURN_IF_ERROR(conntrack
                        ->DeleteUdpFlows(forward.pod_address.is_v6(),
                                         forward.node_port, is_stale)
                        .status());
  }
  return absl::OkStatus();
}

absl::Status AddPortMaps(const Work& work, const PortmapConfig& config) {
  ASSIGN_OR_RETURN(PortMaps maps, PortMaps::Open());
  if (config.check_host_ports) {
    RETURN_IF_ERROR(CheckNobodyListens(work.forwards));
  }
  RETURN_IF_ERROR(EnableLocalnetRouting(work.pods));
  // Nothing can fail between the transaction and its undo's registration.
  RETURN_IF_ERROR(maps.Add(work.owner, work.forwards, work.pods));
  Rollback rollback;
  rollback.Add("remove port maps",
               [&] { return maps.Remove(work.owner).status(); });
  RETURN_IF_ERROR(ForgetUdpFlows(work.forwards, /*added=*/true));
  rollback.Commit();
  return absl::OkStatus();
}

absl::StatusOr<PortmapConfig> ParseConfig(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PortmapConfig config, ParsePortmapConfig(request),
                   "failed to parse config");
  return config;
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PortmapConfig config, ParseConfig(request));
  ASSIGN_OR_RETURN(std::optional<ChainedResult> previous,
                   ReadChainedResult(request), "failed to parse config");
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("must be called as chained plugin");
  }
  if (!config.mappings.empty()) {
    ASSIGN_OR_RETURN(Work work, PlanWork(request, config, previous->result));
    RETURN_IF_ERROR(AddPortMaps(work, config));
  }
  return FormatPassedResult(previous->object, request.cni_version);
}

// Finds what there is by its owner alone, whatever the configuration says now.
absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PortMaps maps, PortMaps::Open());
  ASSIGN_OR_RETURN(std::vector<PortForward> removed,
                   maps.Remove({request.container_id, request.ifname}));
  return ForgetUdpFlows(removed, /*added=*/false);
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(PortmapConfig config, ParseConfig(request));
  ASSIGN_OR_RETURN(std::optional<ChainedResult> previous,
                   ReadChainedResult(request));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("Required prevResult missing");
  }
  if (config.mappings.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(Work work, PlanWork(request, config, previous->result));
  ASSIGN_OR_RETURN(PortMaps maps, PortMaps::Open());
  return maps.Check(work.owner, work.forwards, work.pods);
}

// Ready if the kernel has nf_tables.
absl::Status Status(const PluginRequest&) {
  absl::StatusOr<DavitTable> table = DavitTable::Open();
  absl::Status status =
      table.ok() ? table->Generation().status() : table.status();
  if (status.ok()) return status;
  return CniError(CniErrorCode::kNotAvailable,
                  absl::StrCat("nf_tables: ", status.message()));
}

}  // namespace

const Plugin kPortmapPlugin = {
    .type = "portmap",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = Status,
    .gc = nullptr,
};

}  // namespace davit
