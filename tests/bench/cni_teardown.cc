#include "tests/bench/cni_teardown.h"

#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/cni_pod_network.h"
#include "runtime/base/file.h"
#include "tests/bench/bench_node.h"

namespace davit::testing {
namespace {

constexpr char kNetwork[] = "teardown";

void Require(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

std::unique_ptr<PodNetwork> MakeNetwork(const std::string& directory,
                                        const std::string& plugin_dir) {
  CniPodNetworkOptions options;
  options.config_dir = directory + "/net.d";
  options.plugin_dirs = {plugin_dir};
  options.cache_dir = directory + "/cache";
  options.netns_dir = directory + "/netns";
  Require(MakeDirectories(options.config_dir));
  Require(
      WriteFileAtomic(options.config_dir + "/net.conflist",
                      absl::StrFormat(
                          R"({"cniVersion": "1.0.0", "name": "%s", "plugins": [{
              "type": "ptp", "ipMasq": true, "ipam": {"type": "host-local",
              "dataDir": "%s/leases", "subnet": "10.200.0.0/16",
              "routes": [{"dst": "0.0.0.0/0"}]}}]})",
                          kNetwork, directory)));
  auto network = NewCniPodNetwork(options);
  Require(network.status());
  return *std::move(network);
}

std::vector<PodNetworkRequest> AttachAll(PodNetwork* network, int pods) {
  std::vector<PodNetworkRequest> requests;
  for (int i = 0; i < pods; ++i) {
    PodNetworkRequest request;
    request.pod_id = absl::StrFormat("pod-%d", i);
    request.pod_name = request.pod_id;
    auto netns = network->CreateNetns(request.pod_id);
    Require(netns.status());
    request.netns_path = *netns;
    request.networks = {{.network = kNetwork, .ifname = "eth0"}};
    Require(network->Attach(request).status());
    requests.push_back(std::move(request));
  }
  return requests;
}

void RemoveAll(PodNetwork* network,
               const std::vector<PodNetworkRequest>& requests) {
  for (const PodNetworkRequest& request : requests) {
    Require(network->RemoveNetns(request.pod_id));
  }
}

}  // namespace

TeardownTimes MeasureTeardown(const std::string& directory,
                              const std::string& plugin_dir, int pods) {
  auto network = MakeNetwork(directory, plugin_dir);
  TeardownTimes times;
  std::vector<PodNetworkRequest> requests = AttachAll(network.get(), pods);
  double start = NowMilliseconds();
  for (const auto& request : requests) Require(network->Detach(request));
  times.one_by_one = NowMilliseconds() - start;
  RemoveAll(network.get(), requests);

  requests = AttachAll(network.get(), pods);
  start = NowMilliseconds();
  for (const absl::Status& status : network->DetachMany(requests)) {
    Require(status);
  }
  times.at_once = NowMilliseconds() - start;
  RemoveAll(network.get(), requests);
  return times;
}

}  // namespace davit::testing
