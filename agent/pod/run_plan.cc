#include "agent/pod/run_plan.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "agent/pod/bandwidth.h"
#include "agent/pod/etc_files.h"
#include "agent/pod/resources.h"
#include "net/netlink/stable_hash.h"
#include "runtime/boot/pod_file.h"

namespace davit {
namespace {

// journald of the pod finds its persistent directory from the first line on,
// instead of flushing to it later.
constexpr char kJournalFlushed[] = "/run/systemd/journal/flushed";
// Its directory is our mount and goes with the pod; journald does not let go of
// it before.
constexpr char kJournalMount[] = "var-log-journal.mount";

// IFNAMSIZ - 1 of <linux/if.h>.
constexpr size_t kMaxInterfaceName = 15;

std::vector<std::string> PodAddresses(const Pod& pod) {
  std::vector<std::string> addresses;
  for (const InterfaceStatus& interface : pod.status.interfaces) {
    addresses.insert(addresses.end(), interface.addresses.begin(),
                     interface.addresses.end());
  }
  return addresses;
}

PodFile TextFile(std::string path, std::string content) {
  PodFile file;
  file.path = std::move(path);
  file.content = std::move(content);
  return file;
}

std::vector<PodFile> PlanFiles(const Pod& pod, const BootInputs& inputs) {
  std::vector<PodFile> files = BuildAppFiles(inputs.apps);
  files.push_back(TextFile("/etc/hostname", pod.spec.hostname + "\n"));
  files.push_back(TextFile("/etc/hosts",
                           EtcHosts(pod.spec.hostname, pod.spec.subdomain,
                                    PodAddresses(pod), pod.spec.host_aliases)));
  files.push_back(
      TextFile("/etc/resolv.conf",
               EtcResolvConf(PlanDns(pod, inputs.node_resolv_conf))));
  files.push_back(TextFile(kJournalFlushed, ""));
  files.push_back(LeaveMounted(kJournalMount));
  return files;
}

std::vector<NetworkAttachment> WantedNetworks(const PodSpec& spec) {
  if (UsesHostNetwork(spec)) return {};
  if (!spec.attachments.empty()) return spec.attachments;
  if (spec.networks.empty()) return {{.name = "default"}};
  if (spec.networks.size() == 1 && spec.networks[0] == "none") return {};
  std::vector<NetworkAttachment> wanted;
  for (const std::string& name : spec.networks) {
    wanted.push_back({.name = name});
  }
  return wanted;
}

NetworkRequest RequestOf(const NetworkAttachment& attachment) {
  NetworkRequest request;
  request.network = attachment.name;
  request.ifname = attachment.interface;
  request.ips = attachment.ips;
  request.mac = attachment.mac;
  request.aliases = attachment.aliases;
  request.host_ifname = attachment.host_interface;
  return request;
}

std::vector<PortMapping> PortMappings(const PodSpec& spec) {
  std::vector<PortMapping> mappings;
  for (const HostPort& port : HostPorts(spec)) {
    PortMapping mapping;
    mapping.host_port = static_cast<uint16_t>(port.host_port);
    mapping.container_port = static_cast<uint16_t>(port.container_port);
    mapping.protocol = absl::AsciiStrToLower(port.protocol);
    mapping.host_ip = port.host_ip;
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

}  // namespace

std::string SystemdHostName(const std::string& pod_name) {
  std::string name = absl::StrCat("ve-", pod_name);
  if (name.size() <= kMaxInterfaceName) return name;
  std::string hash =
      absl::StrFormat("%04x", StableHash({pod_name}) & uint64_t{0xffff});
  return absl::StrCat(name.substr(0, kMaxInterfaceName - hash.size()), hash);
}

std::vector<NetworkAttachment> JoinedNetworks(const PodSpec& spec) {
  std::vector<NetworkAttachment> joined = WantedNetworks(spec);
  for (size_t i = 0; i < joined.size(); ++i) {
    if (joined[i].systemd_names) {
      joined[i].interface = "host0";
      joined[i].host_interface = SystemdHostName(spec.name);
    } else if (joined[i].interface.empty()) {
      joined[i].interface = absl::StrCat("eth", i);
    }
  }
  return joined;
}

OverlaySpec PlanRootOverlay(const PodPaths& paths, const ImageHold& image,
                            const PodUserns& userns) {
  return {image.lower_dirs(), paths.upper, paths.work, paths.rootfs, userns};
}

OverlaySpec PlanJournalOverlay(const PodPaths& paths, const PodUserns& userns) {
  return {.lower_dirs = {paths.empty},
          .upper_dir = paths.journal,
          .work_dir = paths.journal_work,
          .target = paths.journal_mount,
          .userns = userns,
          .no_sync = true};
}

OverlaySpec PlanAppOverlay(const PodPaths& paths, const std::string& app,
                           const ImageHold& image, const PodUserns& userns) {
  return {image.lower_dirs(), paths.AppUpper(app), paths.AppWork(app),
          paths.AppRoot(app), userns};
}

PodNetworkRequest PlanNetwork(const Pod& pod, const std::string& netns_path) {
  PodNetworkRequest request;
  request.pod_id = pod.id;
  request.pod_name = pod.spec.name;
  request.netns_path = netns_path;
  for (const NetworkAttachment& attachment : JoinedNetworks(pod.spec)) {
    request.networks.push_back(RequestOf(attachment));
  }
  if (request.networks.empty()) return request;
  request.port_mappings = PortMappings(pod.spec);
  // Validated when the pod was made; in a record that met an editor it is none.
  request.bandwidth =
      BandwidthOf(pod.spec.annotations).value_or(BandwidthLimits());
  return request;
}

DnsConfig PlanDns(const Pod& pod, const std::string& node_resolv_conf) {
  DnsConfig node = ParseResolvConf(node_resolv_conf, UsesHostNetwork(pod.spec));
  return ChooseDns(pod.spec.dns_policy == DnsPolicy::kNone, pod.spec.dns,
                   pod.status.interfaces, node);
}

BootRequest PlanPreparation(const Pod& pod, const PodPaths& paths) {
  BootRequest request;
  request.pod_id = pod.id;
  request.hostname = pod.spec.hostname;
  request.userns = pod.status.userns;
  request.limits = PodLimits(pod.spec);
  request.runtime_dir = paths.runtime_dir;
  request.state_dir = paths.dir;
  return request;
}

BootRequest PlanBoot(const Pod& pod, const BootInputs& inputs) {
  BootRequest request = PlanPreparation(pod, inputs.paths);
  request.machine_name = pod.spec.name;
  request.rootfs = inputs.paths.rootfs;
  request.netns_path =
      UsesHostNetwork(pod.spec) ? inputs.node_netns : pod.status.netns_path;
  request.binds = {{.source = inputs.paths.journal_mount,
                    .target = "/var/log/journal",
                    .read_only = false,
                    .keep_ids = true}};
  request.overlays = {
      {{inputs.paths.launcher_dir, inputs.paths.empty}, kAppLauncherDirInPod}};
  request.journal_dir = inputs.paths.journal;
  request.files = PlanFiles(pod, inputs);
  request.confinement = inputs.confinement;
  request.ready_timeout = inputs.ready_timeout;
  return request;
}

}  // namespace davit
