#ifndef DAVIT_NET_NAT_OWNED_ELEMENTS_H_
#define DAVIT_NET_NAT_OWNED_ELEMENTS_H_

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/nl_socket.h"

namespace davit {

// The elements of all sets and maps of the nf_tables table `inet davit` by the
// comments that name their owners, whatever the sets are for: the search for
// what was left over must not miss a set that it does not know. One thread at a
// time.
class OwnedElements {
 public:
  // In the calling thread's network namespace.
  static absl::StatusOr<OwnedElements> Open();

  // Each comment once, sorted; none if there is no table.
  absl::StatusOr<std::vector<std::string>> ListComments();

  // Removes the elements with one of these comments, in one transaction; OK if
  // there are none. The table stays, also when it is empty then. For when to
  // destroy this object afterwards see DavitTable::Open.
  absl::Status Remove(const std::set<std::string>& comments);

 private:
  struct Element {
    std::string set;
    std::string key;
    std::string key_end;  // of an interval; else empty
    std::string comment;
  };

  explicit OwnedElements(NlSocket socket) : socket_(std::move(socket)) {}

  absl::StatusOr<std::vector<Element>> List();
  absl::StatusOr<std::vector<std::string>> ListSets();
  absl::Status ListSet(const std::string& set, std::vector<Element>* elements);

  NlSocket socket_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_OWNED_ELEMENTS_H_
