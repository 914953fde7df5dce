#ifndef DAVIT_NET_NAT_DAVIT_TABLE_H_
#define DAVIT_NET_NAT_DAVIT_TABLE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/nat/nft_messages.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// Whose element it is: one attachment of one container.
struct ElementOwner {
  std::string container_id;
  std::string ifname;

  // What an element's comment says of it: "<container id> <ifname>", shortened
  // to a unique 127 bytes if longer.
  std::string Comment() const;
};

// Builds messages; called once for each attempt.
using NftChanges = std::function<std::vector<NlMessage>()>;

// The nf_tables table `inet davit`, which the node's pods share. It consists of
// parts (masquerading, port maps, …), each with its sets, chains and fixed
// rules; a part comes with its first element, and all go with the last element
// of all parts, also when several processes add and remove at the same time.
// Each change is one nfnetlink transaction. One thread at a time.
class DavitTable {
 public:
  // In the calling thread's network namespace. A process that removes pays
  // up to an RCU grace period (15 ms) when the object is destroyed, unless
  // that time has passed already: keep it while there is other work.
  static absl::StatusOr<DavitTable> Open();

  // Commits `changes`, and in the same transaction makes the part by `create`
  // if something was not found. AlreadyExists if an element, or meanwhile the
  // part, is there; Aborted if `generation` is not 0 and has passed. Try again
  // in both cases, from the reading of what is there.
  absl::Status Commit(const NftChanges& changes, const NftChanges& create,
                      absl::string_view what, uint32_t generation = 0);
  // The same without making anything.
  absl::Status Commit(const NftChanges& changes, absl::string_view what,
                      uint32_t generation = 0);

  // The element of this key; nullopt if there is none, or no set or table.
  absl::StatusOr<std::optional<NftElement>> Get(const NftSet& set,
                                                const std::string& key);
  // All elements of a set, or those with this comment; none if there is no set.
  absl::StatusOr<std::vector<NftElement>> List(const NftSet& set);
  absl::StatusOr<std::vector<NftElement>> ListByComment(
      const NftSet& set, const std::string& comment);

  absl::StatusOr<uint32_t> Generation();
  // Call it after removals.
  absl::Status RemoveIfUnused();

  NlSocket& socket() { return socket_; }

 private:
  explicit DavitTable(NlSocket socket) : socket_(std::move(socket)) {}

  absl::StatusOr<bool> HasElements();
  absl::StatusOr<bool> HasElements(const std::string& set_name);

  NlSocket socket_;
};

// Calls `attempt` until it returns something else than Aborted, AlreadyExists
// or NotFound, which mean that another process was faster; up to a hundred
// times, then Unavailable.
absl::Status RetryChange(absl::string_view what,
                         const std::function<absl::Status()>& attempt);

}  // namespace davit

#endif  // DAVIT_NET_NAT_DAVIT_TABLE_H_
