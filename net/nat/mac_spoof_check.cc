#include "net/nat/mac_spoof_check.h"

#include <linux/netlink.h>

#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/nat/nft_messages.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Each repetition means that another process changed the ruleset in the few
// microseconds between two messages of ours.
constexpr int kMaxAttempts = 100;

void Append(std::vector<NlMessage> more, std::vector<NlMessage>* batch) {
  batch->insert(batch->end(), std::make_move_iterator(more.begin()),
                std::make_move_iterator(more.end()));
}

absl::Status TooManyChanges(absl::string_view what) {
  return absl::UnavailableError(
      absl::StrCat(what, ": given up after ", kMaxAttempts,
                   " attempts, as the table changes all the time"));
}

}  // namespace

absl::StatusOr<MacSpoofCheck> MacSpoofCheck::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_NETFILTER));
  return MacSpoofCheck(std::move(socket));
}

absl::StatusOr<std::vector<CheckedPort>> MacSpoofCheck::List() {
  NlMessage message = ListPortsMessage();
  std::vector<CheckedPort> ports;
  absl::Status status = socket_.Dump(
      message, "NFT_MSG_GETSETELEM bridge davit addresses",
      [&](const NlReply& reply) {
        std::vector<CheckedPort> some = ParsePorts(reply);
        ports.insert(ports.end(), some.begin(), some.end());
        return true;
      },
      [&] { ports.clear(); });
  if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  return ports;
}

absl::Status MacSpoofCheck::RemovePorts(const std::vector<CheckedPort>& ports) {
  if (ports.empty()) return absl::OkStatus();
  std::vector<NlMessage> batch;
  for (const CheckedPort& port : ports) {
    Append(DeletePortMessages(port), &batch);
  }
  batch = NftBatch(std::move(batch));
  return socket_.ExecuteBatch(batch, "remove ports of nft table bridge davit");
}

absl::Status MacSpoofCheck::Add(const std::string& ifname,
                                const MacAddress& mac,
                                const std::string& owner) {
  const CheckedPort port{ifname, mac, owner};
  const std::string what = absl::StrCat("check MAC addresses of ", ifname,
                                        " in nft table bridge davit");
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    // The usual case: the table is there, the port is not.
    std::vector<NlMessage> batch = NftBatch(AddPortMessages(port));
    absl::Status status = socket_.ExecuteBatch(batch, what);
    if (absl::IsNotFound(status)) {
      // The node's first: everything at once, or EEXIST if another process was
      // faster with the table.
      batch = CreateSpoofTableMessages();
      Append(AddPortMessages(port), &batch);
      batch = NftBatch(std::move(batch));
      status = socket_.ExecuteBatch(batch, what);
      if (absl::IsAlreadyExists(status)) continue;
      return status;
    }
    if (!absl::IsAlreadyExists(status)) return status;
    ASSIGN_OR_RETURN(std::vector<CheckedPort> stale, List(), what);
    std::erase_if(stale, [&](const CheckedPort& other) {
      return other.ifname != ifname;
    });
    status = RemovePorts(stale);
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status, what);
  }
  return TooManyChanges(what);
}

absl::StatusOr<bool> MacSpoofCheck::Contains(const std::string& ifname,
                                             const MacAddress& mac,
                                             const std::string& owner) {
  ASSIGN_OR_RETURN(std::vector<CheckedPort> ports, List());
  for (const CheckedPort& port : ports) {
    if (port == CheckedPort{ifname, mac, owner}) return true;
  }
  return false;
}

absl::StatusOr<std::vector<std::string>> MacSpoofCheck::ListOwners() {
  ASSIGN_OR_RETURN(std::vector<CheckedPort> ports, List());
  std::set<std::string> owners;
  for (CheckedPort& port : ports) owners.insert(std::move(port.owner));
  return std::vector<std::string>(owners.begin(), owners.end());
}

absl::Status MacSpoofCheck::Remove(const std::string& owner) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    ASSIGN_OR_RETURN(std::vector<CheckedPort> ports, List());
    std::erase_if(ports,
                  [&](const CheckedPort& port) { return port.owner != owner; });
    absl::Status status = RemovePorts(ports);
    if (absl::IsNotFound(status)) continue;  // another DEL was faster
    RETURN_IF_ERROR(status);
    return RemoveTableIfUnused();
  }
  return TooManyChanges("remove ports of nft table bridge davit");
}

// Why no port can be lost to a concurrent Add: see Masquerade; the kernel
// removes the table only if the ruleset is still of the generation that was
// known before the set was read.
absl::Status MacSpoofCheck::RemoveTableIfUnused() {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    NlMessage get = GetGenerationMessage();
    ASSIGN_OR_RETURN(NlReply reply, socket_.Get(get, "NFT_MSG_GETGEN"));
    const uint32_t generation = ParseGeneration(reply);
    if (generation == 0) {
      return absl::InternalError("NFT_MSG_GETGEN: malformed reply");
    }
    ASSIGN_OR_RETURN(std::vector<CheckedPort> ports, List());
    if (!ports.empty()) return absl::OkStatus();
    std::vector<NlMessage> batch;
    batch.push_back(DeleteSpoofTableMessage());
    batch = NftBatch(std::move(batch), generation);
    absl::Status status =
        socket_.ExecuteBatch(batch, "remove nft table bridge davit");
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (!absl::IsAborted(status)) return status;
  }
  return TooManyChanges("remove nft table bridge davit");
}

}  // namespace davit
