#include "net/plugins/host_local.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "net/ipam/allocator.h"
#include "net/ipam/disk_lease_store.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/host_local_config.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kValidAttachments[] = "cni.dev/valid-attachments";
// What libcni wrote before the specification's name was settled.
constexpr char kOldValidAttachments[] = "cni.dev/attachments";

LeaseOwner OwnerOf(const PluginRequest& request) {
  return {request.container_id, request.ifname};
}

// The store of the request's network, or null if it never had a lease.
absl::StatusOr<std::unique_ptr<DiskLeaseStore>> OpenExistingStore(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::string data_dir, ParseHostLocalDataDir(request));
  auto store = DiskLeaseStore::OpenExisting(data_dir, request.network);
  if (absl::IsNotFound(store.status())) {
    return std::unique_ptr<DiskLeaseStore>();
  }
  return store;
}

// resolv.conf(5), as much of it as CNI's dns can say.
CniDns ParseResolvConf(absl::string_view text) {
  CniDns dns;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> fields =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (fields.size() < 2) continue;
    std::string keyword = fields.front();
    fields.erase(fields.begin());
    if (keyword == "nameserver") {
      dns.nameservers.push_back(fields.front());
    } else if (keyword == "domain") {
      dns.domain = fields.front();
    } else if (keyword == "search") {
      dns.search.insert(dns.search.end(), fields.begin(), fields.end());
    } else if (keyword == "options") {
      dns.options.insert(dns.options.end(), fields.begin(), fields.end());
    }
  }
  return dns;
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(CniResult result, HostLocalAdd(request));
  return FormatCniResult(result, request.cni_version);
}

absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(auto store, OpenExistingStore(request));
  if (store == nullptr) return absl::OkStatus();
  return ReleaseLeases(store.get(), OwnerOf(request));
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(auto store, OpenExistingStore(request));
  if (store != nullptr) {
    ASSIGN_OR_RETURN(auto lock, store->Lock());
    ASSIGN_OR_RETURN(std::vector<Lease> own, store->ListOf(OwnerOf(request)));
    if (!own.empty()) return absl::OkStatus();
  }
  return absl::NotFoundError(
      absl::StrCat("host-local: Failed to find address added by container ",
                   request.container_id));
}

absl::Status Status(const PluginRequest& request) {
  ASSIGN_OR_RETURN(HostLocalConfig config, ParseHostLocalConfig(request));
  ASSIGN_OR_RETURN(auto store, OpenExistingStore(request));
  if (store == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(bool free, HasFreeAddresses(store.get(), config.sets));
  if (free) return absl::OkStatus();
  return CniError(
      CniErrorCode::kNotAvailable,
      absl::StrCat("no IP addresses available in network ", request.network));
}

absl::Status Gc(const PluginRequest& request) {
  const char* key = request.config.Has(kValidAttachments)
                        ? kValidAttachments
                        : kOldValidAttachments;
  // Without the list every lease would look dead.
  if (!request.config.Has(key)) {
    return CniError(CniErrorCode::kInvalidNetworkConfig,
                    absl::StrCat(kValidAttachments, ": missing"));
  }
  ASSIGN_OR_RETURN(auto attachments, request.config.Objects(key));
  std::vector<LeaseOwner> valid;
  for (const JsonObject& attachment : attachments) {
    LeaseOwner owner;
    RETURN_IF_ERROR(attachment.Read("containerID", &owner.container_id));
    RETURN_IF_ERROR(attachment.Read("ifname", &owner.ifname));
    valid.push_back(std::move(owner));
  }
  ASSIGN_OR_RETURN(auto store, OpenExistingStore(request));
  if (store == nullptr) return absl::OkStatus();
  return ReleaseLeasesExcept(store.get(), valid);
}

}  // namespace

absl::StatusOr<CniResult> HostLocalAdd(const PluginRequest& request) {
  ASSIGN_OR_RETURN(HostLocalConfig config, ParseHostLocalConfig(request));
  CniResult result;
  result.routes = config.routes;
  if (!config.resolv_conf.empty()) {
    ASSIGN_OR_RETURN(std::string text, ReadFile(config.resolv_conf),
                     "ipam.resolvConf");
    result.dns = ParseResolvConf(text);
  }
  ASSIGN_OR_RETURN(auto store,
                   DiskLeaseStore::Open(config.data_dir, request.network));
  Allocator allocator(store.get(), std::move(config.sets));
  ASSIGN_OR_RETURN(std::vector<Allocation> allocations,
                   allocator.Allocate(OwnerOf(request), config.requested_ips));
  for (const Allocation& allocation : allocations) {
    result.ips.push_back(
        {std::nullopt, allocation.address, allocation.gateway});
  }
  return result;
}

const Plugin kHostLocalPlugin = {
    .type = "host-local",
    .uses_netns = false,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = Status,
    .gc = Gc,
};

}  // namespace davit
