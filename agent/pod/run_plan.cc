#include "agent/pod/run_plan.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/pod/etc_files.h"

namespace davit {
namespace {

// journald of the pod finds its persistent directory from the first line on,
// instead of flushing to it later.
constexpr char kJournalFlushed[] = "/run/systemd/journal/flushed";

DnsConfig PodDns(const Pod& pod, const std::string& node_resolv_conf) {
  DnsConfig node = ParseResolvConf(node_resolv_conf, UsesHostNetwork(pod.spec));
  return ChooseDns(pod.spec.dns_none, pod.spec.dns, pod.status.interfaces,
                   node);
}

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
  files.push_back(
      TextFile("/etc/hosts", EtcHosts(pod.spec.hostname, PodAddresses(pod))));
  files.push_back(TextFile(
      "/etc/resolv.conf", EtcResolvConf(PodDns(pod, inputs.node_resolv_conf))));
  files.push_back(TextFile(kJournalFlushed, ""));
  return files;
}

}  // namespace

bool UsesHostNetwork(const PodSpec& spec) {
  return spec.host_network ||
         (spec.networks.size() == 1 && spec.networks[0] == "host");
}

std::vector<std::string> JoinedNetworks(const PodSpec& spec) {
  if (UsesHostNetwork(spec)) return {};
  if (spec.networks.empty()) return {"default"};
  if (spec.networks.size() == 1 && spec.networks[0] == "none") return {};
  return spec.networks;
}

OverlaySpec PlanRootOverlay(const PodPaths& paths, const ImageHold& image) {
  return {image.lower_dirs(), paths.upper, paths.work, paths.rootfs};
}

OverlaySpec PlanAppOverlay(const PodPaths& paths, const std::string& app,
                           const ImageHold& image) {
  return {image.lower_dirs(), paths.AppUpper(app), paths.AppWork(app),
          paths.AppRoot(app)};
}

PodNetworkRequest PlanNetwork(const Pod& pod, const std::string& netns_path) {
  PodNetworkRequest request;
  request.pod_id = pod.id;
  request.pod_name = pod.spec.name;
  request.netns_path = netns_path;
  for (const std::string& network : JoinedNetworks(pod.spec)) {
    request.networks.push_back(
        {network, absl::StrCat("eth", request.networks.size())});
  }
  return request;
}

BootRequest PlanBoot(const Pod& pod, const BootInputs& inputs) {
  BootRequest request;
  request.pod_id = pod.id;
  request.hostname = pod.spec.hostname;
  request.machine_name = pod.spec.name;
  request.rootfs = inputs.paths.rootfs;
  request.netns_path = pod.status.netns_path;
  request.binds = {
      {inputs.paths.journal, "/var/log/journal", /*read_only=*/false},
      {inputs.app_launcher, kAppLauncherInPod, /*read_only=*/true},
  };
  request.files = PlanFiles(pod, inputs);
  request.runtime_dir = inputs.paths.runtime_dir;
  request.state_dir = inputs.paths.dir;
  request.ready_timeout = inputs.ready_timeout;
  return request;
}

}  // namespace davit
