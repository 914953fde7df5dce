#include "net/nat/davit_table.h"

#include <linux/netlink.h>

#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/stable_hash.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// nft(8) reads and writes comments of up to 127 characters.
constexpr size_t kMaxComment = 127;

// Each repetition means that another process changed the ruleset in the few
// microseconds between two messages of ours.
constexpr int kMaxAttempts = 100;

}  // namespace

std::string ElementOwner::Comment() const {
  std::string comment = absl::StrCat(container_id, " ", ifname);
  if (comment.size() <= kMaxComment) return comment;
  std::string hash = absl::StrFormat("#%016x", StableHash({comment}));
  return comment.substr(0, kMaxComment - hash.size()) + hash;
}

absl::Status RetryChange(absl::string_view what,
                         const std::function<absl::Status()>& attempt) {
  absl::Status status;
  for (int i = 0; i < kMaxAttempts; ++i) {
    status = attempt();
    if (!absl::IsAborted(status) && !absl::IsAlreadyExists(status) &&
        !absl::IsNotFound(status)) {
      return status;
    }
  }
  return absl::UnavailableError(absl::StrCat(what, ": given up after ",
                                             kMaxAttempts,
                                             " attempts: ", status.message()));
}

absl::StatusOr<DavitTable> DavitTable::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_NETFILTER));
  return DavitTable(std::move(socket));
}

absl::Status DavitTable::Commit(const NftChanges& changes,
                                absl::string_view what, uint32_t generation) {
  std::vector<NlMessage> batch = NftBatch(changes(), generation);
  return socket_.ExecuteBatch(batch, what);
}

absl::Status DavitTable::Commit(const NftChanges& changes,
                                const NftChanges& create,
                                absl::string_view what, uint32_t generation) {
  // The usual case: the part is there.
  absl::Status status = Commit(changes, what, generation);
  if (!absl::IsNotFound(status)) return status;
  return Commit(
      [&] {
        std::vector<NlMessage> batch = create();
        std::vector<NlMessage> more = changes();
        batch.insert(batch.end(), std::make_move_iterator(more.begin()),
                     std::make_move_iterator(more.end()));
        return batch;
      },
      what, generation);
}

absl::StatusOr<std::optional<NftElement>> DavitTable::Get(
    const NftSet& set, const std::string& key) {
  NlMessage message = GetElementMessage(kDavitTable, set, key);
  const std::string what = absl::StrCat("NFT_MSG_GETSETELEM ", set.name);
  absl::StatusOr<NlReply> reply = socket_.Get(message, what);
  if (absl::IsNotFound(reply.status())) return std::optional<NftElement>();
  RETURN_IF_ERROR(reply);
  for (NftElement& element : ParseElements(*reply)) {
    if (element.key == key) return std::optional(std::move(element));
  }
  return absl::InternalError(absl::StrCat(what, ": malformed reply"));
}

absl::StatusOr<std::vector<NftElement>> DavitTable::List(const NftSet& set) {
  NlMessage message = ListElementsMessage(kDavitTable, set.name);
  std::vector<NftElement> found;
  absl::Status status = socket_.Dump(
      message, absl::StrCat("NFT_MSG_GETSETELEM ", set.name),
      [&](const NlReply& reply) {
        for (NftElement& element : ParseElements(reply)) {
          found.push_back(std::move(element));
        }
        return true;
      },
      [&] { found.clear(); });
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  return found;
}

absl::StatusOr<std::vector<NftElement>> DavitTable::ListByComment(
    const NftSet& set, const std::string& comment) {
  ASSIGN_OR_RETURN(std::vector<NftElement> elements, List(set));
  std::erase_if(elements,
                [&](const NftElement& e) { return e.comment != comment; });
  return elements;
}

absl::StatusOr<uint32_t> DavitTable::Generation() {
  NlMessage message = GetGenerationMessage();
  ASSIGN_OR_RETURN(NlReply reply, socket_.Get(message, "NFT_MSG_GETGEN"));
  uint32_t generation = ParseGeneration(reply);
  if (generation == 0) {
    return absl::InternalError("NFT_MSG_GETGEN: malformed reply");
  }
  return generation;
}

absl::StatusOr<bool> DavitTable::HasElements(const std::string& set_name) {
  NlMessage message = ListElementsMessage(kDavitTable, set_name);
  bool found = false;
  // Stops at the first element, so the time does not grow with the set.
  RETURN_IF_ERROR(socket_.Dump(
      message, absl::StrCat("NFT_MSG_GETSETELEM ", set_name),
      [&](const NlReply& reply) {
        found = !ParseElements(reply).empty();
        return !found;
      },
      [&] { found = false; }));
  return found;
}

// Whatever sets there are, so that a program that knows more parts than this
// one does not lose them. NotFound if there is no table.
absl::StatusOr<bool> DavitTable::HasElements() {
  NlMessage message = ListSetsMessage(kDavitTable);
  std::vector<std::string> names;
  RETURN_IF_ERROR(socket_.Dump(
      message, "NFT_MSG_GETSET",
      [&](const NlReply& reply) {
        std::string name = ParseSetName(reply);
        if (!name.empty()) names.push_back(std::move(name));
        return true;
      },
      [&] { names.clear(); }));
  for (const std::string& name : names) {
    ASSIGN_OR_RETURN(bool used, HasElements(name));
    if (used) return true;
  }
  return false;
}

// Why no element can be lost to a concurrent addition: the sets are read after
// the generation, and the kernel removes the table only if the ruleset is still
// of that generation, in one step with the test, under nf_tables' commit mutex.
// An addition in between makes a new generation, so the removal is refused; one
// afterwards finds no table and makes one.
absl::Status DavitTable::RemoveIfUnused() {
  constexpr char kWhat[] = "remove nft table davit";
  return RetryChange(kWhat, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(uint32_t generation, Generation());
    absl::StatusOr<bool> used = HasElements();
    if (absl::IsNotFound(used.status())) return absl::OkStatus();
    RETURN_IF_ERROR(used);
    if (*used) return absl::OkStatus();
    absl::Status status = Commit(
        [] {
          std::vector<NlMessage> batch;
          batch.push_back(DeleteTableMessage(kDavitTable));
          return batch;
        },
        kWhat, generation);
    return absl::IsNotFound(status) ? absl::OkStatus() : status;
  });
}

}  // namespace davit
