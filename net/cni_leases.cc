#include "net/cni_leases.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/match.h"
#include "net/cni/json.h"
#include "net/ipam/disk_lease_store.h"
#include "net/ipam/range.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// As Go's encoding/json and our plugins find keys: without regard to case.
const CniJson* FindMember(const CniJson& object, absl::string_view key) {
  const CniJson* found = nullptr;
  if (!object.is_object()) return found;
  for (const auto& [name, value] : object.items()) {
    if (absl::EqualsIgnoreCase(name, key) && !value.is_null()) found = &value;
  }
  return found;
}

std::string StringMember(const CniJson& object, absl::string_view key) {
  const CniJson* member = FindMember(object, key);
  return member != nullptr && member->is_string() ? member->get<std::string>()
                                                  : "";
}

// The "ipam" objects of host-local.
std::vector<CniJson> HostLocalObjects(const CniNetworkConfig& network) {
  std::vector<CniJson> objects;
  for (const CniPluginConfig& plugin : network.plugins) {
    const CniJson* ipam = FindMember(plugin.config, "ipam");
    if (ipam == nullptr || StringMember(*ipam, "type") != "host-local") {
      continue;
    }
    objects.push_back(*ipam);
  }
  return objects;
}

std::string DataDirOf(const CniJson& ipam) {
  std::string data_dir = StringMember(ipam, "dataDir");
  return data_dir.empty() ? DiskLeaseStore::kDefaultDataDir : data_dir;
}

absl::Status ReadAddress(const CniJson& object, absl::string_view key,
                         std::optional<IpAddress>* address) {
  std::string text = StringMember(object, key);
  if (text.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*address, IpAddress::Parse(text), std::string(key));
  return absl::OkStatus();
}

absl::StatusOr<Range> RangeOf(const CniJson& object) {
  RangeSpec spec;
  ASSIGN_OR_RETURN(spec.subnet, IpPrefix::Parse(StringMember(object, "subnet")),
                   "subnet");
  RETURN_IF_ERROR(ReadAddress(object, "rangeStart", &spec.start));
  RETURN_IF_ERROR(ReadAddress(object, "rangeEnd", &spec.end));
  RETURN_IF_ERROR(ReadAddress(object, "gateway", &spec.gateway));
  return Range::Create(spec);
}

// The old form, one range beside the other keys, and the new one, lists of
// lists.
absl::StatusOr<std::vector<Range>> RangesOf(const CniJson& ipam) {
  std::vector<Range> ranges;
  if (FindMember(ipam, "subnet") != nullptr) {
    ASSIGN_OR_RETURN(Range range, RangeOf(ipam));
    ranges.push_back(std::move(range));
  }
  const CniJson* sets = FindMember(ipam, "ranges");
  if (sets == nullptr) return ranges;
  for (const CniJson& set : *sets) {
    for (const CniJson& object : set) {
      ASSIGN_OR_RETURN(Range range, RangeOf(object));
      ranges.push_back(std::move(range));
    }
  }
  return ranges;
}

absl::uint128 NumberOf(const IpAddress& address) {
  absl::uint128 number = 0;
  for (size_t i = 0; i < address.size(); ++i) {
    number = number << 8 | address.data()[i];
  }
  return number;
}

uint64_t CapacityOf(const Range& range) {
  // One less than there are, which fits also for all of ::/0.
  absl::uint128 last = NumberOf(range.end()) - NumberOf(range.start());
  bool without_gateway = range.Contains(range.gateway());
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  if (last >= kMost) return kMost;
  return absl::Uint128Low64(last) + (without_gateway ? 0 : 1);
}

AddressPoolInfo PoolOf(const Range& range, const std::vector<Lease>& leases) {
  AddressPoolInfo pool;
  pool.subnet = range.subnet().ToString();
  pool.capacity = CapacityOf(range);
  pool.used = static_cast<uint64_t>(std::count_if(
      leases.begin(), leases.end(),
      [&](const Lease& lease) { return range.Contains(lease.address); }));
  return pool;
}

}  // namespace

std::vector<CniLeaseDir> LeaseDirsOf(const CniNetworkConfig& network) {
  std::vector<CniLeaseDir> dirs;
  for (const CniJson& ipam : HostLocalObjects(network)) {
    dirs.push_back({DataDirOf(ipam), network.name});
  }
  return dirs;
}

absl::StatusOr<std::vector<Lease>> ListLeases(const CniLeaseDir& dir) {
  auto store = DiskLeaseStore::OpenExisting(dir.data_dir, dir.network);
  if (absl::IsNotFound(store.status())) return std::vector<Lease>();
  RETURN_IF_ERROR(store.status());
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> held, (*store)->Lock());
  return (*store)->List();
}

absl::Status ReleaseLease(const CniLeaseDir& dir, const Lease& lease) {
  auto store = DiskLeaseStore::OpenExisting(dir.data_dir, dir.network);
  if (absl::IsNotFound(store.status())) return absl::OkStatus();
  RETURN_IF_ERROR(store.status());
  ASSIGN_OR_RETURN(std::unique_ptr<LeaseStore::Held> held, (*store)->Lock());
  ASSIGN_OR_RETURN(std::vector<Lease> leases, (*store)->List());
  bool there = std::find(leases.begin(), leases.end(), lease) != leases.end();
  return there ? (*store)->Release(lease.address) : absl::OkStatus();
}

absl::StatusOr<std::vector<AddressPoolInfo>> AddressPoolsOf(
    const CniNetworkConfig& network) {
  std::vector<AddressPoolInfo> pools;
  for (const CniJson& ipam : HostLocalObjects(network)) {
    ASSIGN_OR_RETURN(std::vector<Range> ranges, RangesOf(ipam));
    ASSIGN_OR_RETURN(std::vector<Lease> leases,
                     ListLeases({DataDirOf(ipam), network.name}));
    for (const Range& range : ranges) pools.push_back(PoolOf(range, leases));
  }
  return pools;
}

}  // namespace davit
