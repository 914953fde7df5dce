#ifndef DAVIT_NET_CNI_NODE_H_
#define DAVIT_NET_CNI_NODE_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/netlink.h"
#include "net/netns/netns.h"

namespace davit {

// What our plugins put into the node's network namespace, found by the name of
// its owner, "<container id> <ifname>", which each thing bears: a link as its
// alias (IFLA_IFALIAS), an nftables element of the tables inet davit and bridge
// davit as its comment.
// Thread-safe: each call has sockets of its own.
class CniNode {
 public:
  // The node's namespace; nullopt for that of the calling threads.
  explicit CniNode(std::optional<Netns> netns) : netns_(std::move(netns)) {}

  // -1 for the calling threads' own.
  int netns_fd() const { return netns_.has_value() ? netns_->fd() : -1; }

  struct OwnedLink {
    int index = 0;
    std::string name;
    std::string container_id;
  };
  // Links whose alias has the form of an owner's name.
  absl::StatusOr<std::vector<OwnedLink>> ListLinks() const;
  struct Owner {  // of elements
    std::string container_id;
    std::string ifname;

    std::string Comment() const;
  };
  // The owners of elements, each once.
  absl::StatusOr<std::vector<Owner>> ListElementOwners() const;
  absl::Status RemoveElements(const Owner& owner) const;

  // For each name of a link and its owner's alias: its index, if the link
  // exists and bears the alias.
  struct NamedLink {
    std::string name;
    std::string alias;
  };
  absl::StatusOr<std::vector<int>> FindLinks(
      const std::vector<NamedLink>& links) const;
  // Deletes all of them at the price of one; those that are gone are passed
  // over.
  absl::Status DeleteLinks(const std::vector<int>& indexes) const;
  // Of many attachments at the price of one, that is of some grace periods of
  // the kernel's RCU: the elements of `owners` in the table inet davit, which
  // stays, and the links.
  absl::Status DeleteElementsAndLinks(
      const std::vector<Owner>& owners,
      const std::vector<NamedLink>& links) const;

 private:
  absl::Status Run(const std::function<absl::Status()>& work) const;
  absl::StatusOr<Netlink> OpenNetlink() const;

  const std::optional<Netns> netns_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_NODE_H_
