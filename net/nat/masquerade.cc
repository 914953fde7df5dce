#include "net/nat/masquerade.h"

#include <linux/netlink.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/nat/nft_messages.h"
#include "net/netlink/stable_hash.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// nft(8) reads and writes comments of up to 127 characters.
constexpr size_t kMaxComment = 127;

// Each repetition means that another process changed the ruleset in the few
// microseconds between two messages of ours.
constexpr int kMaxAttempts = 100;

std::vector<NlMessage> Messages(NlMessage first) {
  std::vector<NlMessage> messages;
  messages.push_back(std::move(first));
  return messages;
}

absl::Status TooManyChanges(absl::string_view what) {
  return absl::UnavailableError(absl::StrCat(
      what, ": given up after ", kMaxAttempts,
      " attempts, as the table changes all the time or has no such set"));
}

}  // namespace

std::string MasqueradeOwner::Comment() const {
  std::string comment = absl::StrCat(container_id, " ", ifname);
  if (comment.size() <= kMaxComment) return comment;
  std::string hash = absl::StrFormat("#%016x", StableHash({comment}));
  return comment.substr(0, kMaxComment - hash.size()) + hash;
}

absl::StatusOr<Masquerade> Masquerade::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_NETFILTER));
  return Masquerade(std::move(socket));
}

absl::StatusOr<std::string> Masquerade::CommentOf(const IpAddress& address) {
  NlMessage message = GetElementMessage(address);
  std::string what = absl::StrCat("NFT_MSG_GETSETELEM ", address.ToString());
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, what));
  for (const MasqueradeElement& element : ParseElements(reply)) {
    if (element.address == address) return element.comment;
  }
  return absl::InternalError(absl::StrCat(what, ": malformed reply"));
}

absl::Status Masquerade::Replace(const IpAddress& address,
                                 const std::string& comment) {
  std::vector<NlMessage> batch = Messages(DeleteElementMessage(address));
  batch.push_back(AddElementMessage({address, comment}));
  batch = NftBatch(std::move(batch));
  return socket_.ExecuteBatch(
      batch, absl::StrCat("replace nft element ", address.ToString()));
}

absl::Status Masquerade::Add(const IpAddress& address,
                             const MasqueradeOwner& owner) {
  const MasqueradeElement element{address, owner.Comment()};
  const std::string what =
      absl::StrCat("masquerade ", address.ToString(), " in nft table davit");
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    // The usual case: the table is there, the element is not.
    std::vector<NlMessage> batch =
        NftBatch(Messages(AddElementMessage(element)));
    absl::Status status = socket_.ExecuteBatch(batch, what);
    if (absl::IsNotFound(status)) {
      // The node's first: everything at once, or EEXIST if another process was
      // faster with the table.
      batch = CreateTableMessages();
      batch.push_back(AddElementMessage(element));
      batch = NftBatch(std::move(batch));
      status = socket_.ExecuteBatch(batch, what);
      if (absl::IsAlreadyExists(status)) continue;
    } else if (absl::IsAlreadyExists(status)) {
      absl::StatusOr<std::string> comment = CommentOf(address);
      if (absl::IsNotFound(comment.status())) continue;  // gone again
      RETURN_IF_ERROR(comment);
      if (*comment == element.comment) return absl::OkStatus();
      status = Replace(address, element.comment);
      if (absl::IsNotFound(status)) continue;
    }
    return status;
  }
  return TooManyChanges(what);
}

absl::StatusOr<bool> Masquerade::Contains(const IpAddress& address,
                                          const MasqueradeOwner& owner) {
  absl::StatusOr<std::string> comment = CommentOf(address);
  if (absl::IsNotFound(comment.status())) return false;
  RETURN_IF_ERROR(comment);
  return *comment == owner.Comment();
}

absl::Status Masquerade::RemoveElement(const IpAddress& address) {
  std::vector<NlMessage> batch =
      NftBatch(Messages(DeleteElementMessage(address)));
  absl::Status status = socket_.ExecuteBatch(
      batch, absl::StrCat("remove nft element ", address.ToString()));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<std::vector<IpAddress>> Masquerade::FindByComment(
    const std::string& comment) {
  std::vector<IpAddress> found;
  for (bool v6 : {false, true}) {
    NlMessage message = ListElementsMessage(v6);
    std::vector<IpAddress> in_set;
    absl::Status status = socket_.Dump(
        message, absl::StrCat("NFT_MSG_GETSETELEM ", MasqueradeSetName(v6)),
        [&](const NlReply& reply) {
          for (const MasqueradeElement& element : ParseElements(reply)) {
            if (element.comment == comment) in_set.push_back(element.address);
          }
          return true;
        },
        [&] { in_set.clear(); });
    if (absl::IsNotFound(status)) continue;  // no table
    RETURN_IF_ERROR(status);
    found.insert(found.end(), in_set.begin(), in_set.end());
  }
  return found;
}

absl::Status Masquerade::Remove(const std::vector<IpAddress>& hints,
                                const MasqueradeOwner& owner) {
  std::vector<IpAddress> addresses;
  for (const IpAddress& hint : hints) {
    ASSIGN_OR_RETURN(bool ours, Contains(hint, owner));
    if (ours) addresses.push_back(hint);
  }
  if (addresses.empty()) {
    ASSIGN_OR_RETURN(addresses, FindByComment(owner.Comment()));
  }
  for (const IpAddress& address : addresses) {
    RETURN_IF_ERROR(RemoveElement(address));
  }
  return RemoveTableIfUnused();
}

absl::StatusOr<uint32_t> Masquerade::Generation() {
  NlMessage message = GetGenerationMessage();
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, "NFT_MSG_GETGEN"));
  uint32_t generation = ParseGeneration(reply);
  if (generation == 0) {
    return absl::InternalError("NFT_MSG_GETGEN: malformed reply");
  }
  return generation;
}

absl::StatusOr<bool> Masquerade::HasElements(bool v6) {
  NlMessage message = ListElementsMessage(v6);
  bool found = false;
  // Stops at the first element, so the time does not grow with the set.
  RETURN_IF_ERROR(socket_.Dump(
      message, absl::StrCat("NFT_MSG_GETSETELEM ", MasqueradeSetName(v6)),
      [&](const NlReply& reply) {
        found = !ParseElements(reply).empty();
        return !found;
      },
      [&] { found = false; }));
  return found;
}

// Why no element can be lost to a concurrent Add: the sets are read after the
// generation, and the kernel removes the table only if the ruleset is still of
// that generation, in one step with the test, under nf_tables' commit mutex.
// An Add in between makes a new generation, so the removal is refused; an Add
// afterwards finds no table and makes one.
absl::Status Masquerade::RemoveTableIfUnused() {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    ASSIGN_OR_RETURN(uint32_t generation, Generation());
    for (bool v6 : {false, true}) {
      absl::StatusOr<bool> used = HasElements(v6);
      if (absl::IsNotFound(used.status())) return absl::OkStatus();
      RETURN_IF_ERROR(used);
      if (*used) return absl::OkStatus();
    }
    std::vector<NlMessage> batch =
        NftBatch(Messages(DeleteTableMessage()), generation);
    absl::Status status = socket_.ExecuteBatch(batch, "remove nft table davit");
    if (absl::IsNotFound(status)) return absl::OkStatus();
    if (!absl::IsAborted(status)) return status;
  }
  return TooManyChanges("remove nft table davit");
}

}  // namespace davit
