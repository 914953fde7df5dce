#include "net/cni_teardown.h"

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "net/cni/result.h"

namespace davit {
namespace {

// The program of all of our plugins (net/plugins/README.md).
constexpr char kOurProgram[] = "davit-cni";

// DELs mostly wait, so there may be many more of them than processors.
constexpr size_t kMaxThreads = 32;

std::vector<CniNode::NamedLink> HostLinkOf(const CniMembership& membership) {
  if (!membership.progress.result.has_value()) return {};
  const CniAttachment& attachment = membership.attachment;
  absl::StatusOr<InterfaceStatus> status = InterfaceStatusOfCniResult(
      *membership.progress.result, membership.network->name, attachment.ifname);
  if (!status.ok() || status->host_ifname.empty()) return {};
  return {{status->host_ifname,
           absl::StrCat(attachment.container_id, " ", attachment.ifname)}};
}

// portmap forgets the stale flows of those whose elements it removes itself.
bool MapsUdpPorts(const CniMembership& membership) {
  const CniJson& args = membership.attachment.capability_args;
  auto mappings = args.find("portMappings");
  if (mappings == args.end() || !mappings->is_array()) return false;
  return std::any_of(
      mappings->begin(), mappings->end(), [](const CniJson& mapping) {
        const auto protocol = mapping.find("protocol");
        return protocol != mapping.end() && protocol->is_string() &&
               absl::EqualsIgnoreCase(protocol->get<std::string>(), "udp");
      });
}

}  // namespace

std::vector<std::vector<absl::Status>> CniTeardown::Leave(
    const std::vector<std::vector<CniMembership>>& pods) {
  if (pods.size() > 1) DeleteAsGroup(pods);
  std::vector<std::vector<absl::Status>> outcomes(pods.size());
  std::atomic<size_t> next = 0;
  auto work = [&] {
    for (size_t pod = next++; pod < pods.size(); pod = next++) {
      for (const CniMembership& membership : pods[pod]) {
        outcomes[pod].push_back(memberships_.Leave(membership));
      }
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(pods.size(), kMaxThreads); ++i) {
    threads.emplace_back(work);
  }
  work();
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

// Only saves time: what it does not do, for whatever reason, DEL does, and
// tells of errors.
void CniTeardown::DeleteAsGroup(
    const std::vector<std::vector<CniMembership>>& pods) {
  std::vector<CniNode::NamedLink> links;
  std::vector<CniNode::Owner> owners;
  for (const std::vector<CniMembership>& pod : pods) {
    for (const CniMembership& membership : pod) {
      if (!IsAllOurs(membership)) continue;
      for (CniNode::NamedLink& link : HostLinkOf(membership)) {
        links.push_back(std::move(link));
      }
      if (!MapsUdpPorts(membership)) {
        owners.push_back(
            {membership.attachment.container_id, membership.attachment.ifname});
      }
    }
  }
  if (links.size() < 2) return;
  node_.DeleteElementsAndLinks(owners, links).IgnoreError();
}

// The plugins of others may want to read their link at DEL.
bool CniTeardown::IsAllOurs(const CniMembership& membership) const {
  const std::vector<CniPluginConfig>& plugins = membership.network->plugins;
  return std::all_of(
      plugins.begin(), plugins.end(), [this](const CniPluginConfig& plugin) {
        absl::StatusOr<std::string> path = exec_.Find(plugin.type);
        if (!path.ok()) return false;
        std::error_code error;
        return std::filesystem::canonical(*path, error).filename() ==
               kOurProgram;
      });
}

}  // namespace davit
