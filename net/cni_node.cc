#include "net/cni_node.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "net/nat/mac_spoof_check.h"
#include "net/nat/masquerade.h"
#include "net/nat/owned_elements.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// The parts of "<container id> <ifname>"; an empty id for other texts.
std::pair<std::string, std::string> OwnerIn(absl::string_view text) {
  std::vector<std::string> parts = absl::StrSplit(text, ' ');
  if (parts.size() != 2 || parts[0].empty() || parts[1].empty()) return {};
  return {parts[0], parts[1]};
}

}  // namespace

absl::Status CniNode::Run(const std::function<absl::Status()>& work) const {
  return netns_.has_value() ? netns_->Run(work) : work();
}

absl::StatusOr<Netlink> CniNode::OpenNetlink() const {
  return netns_.has_value() ? Netlink::OpenIn(netns_->fd()) : Netlink::Open();
}

std::string CniNode::Owner::Comment() const {
  return absl::StrCat(container_id, " ", ifname);
}

absl::StatusOr<std::vector<CniNode::OwnedLink>> CniNode::ListLinks() const {
  ASSIGN_OR_RETURN(Netlink netlink, OpenNetlink());
  ASSIGN_OR_RETURN(std::vector<Link> links, netlink.ListLinks());
  std::vector<OwnedLink> owned;
  for (const Link& link : links) {
    std::string id = OwnerIn(link.alias).first;
    if (!id.empty()) owned.push_back({link.index, link.name, id});
  }
  return owned;
}

absl::Status CniNode::DeleteLinks(const std::vector<int>& indexes) const {
  ASSIGN_OR_RETURN(Netlink netlink, OpenNetlink());
  return netlink.DeleteLinks(indexes);
}

absl::StatusOr<std::vector<CniNode::Owner>> CniNode::ListElementOwners() const {
  std::vector<Owner> owners;
  absl::Status status = Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(OwnedElements elements, OwnedElements::Open());
    ASSIGN_OR_RETURN(std::vector<std::string> comments,
                     elements.ListComments());
    ASSIGN_OR_RETURN(MacSpoofCheck spoof_check, MacSpoofCheck::Open());
    ASSIGN_OR_RETURN(std::vector<std::string> checked,
                     spoof_check.ListOwners());
    std::set<std::string> all(comments.begin(), comments.end());
    all.insert(checked.begin(), checked.end());
    for (const std::string& comment : all) {
      auto [container_id, ifname] = OwnerIn(comment);
      if (!container_id.empty()) owners.push_back({container_id, ifname});
    }
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(status);
  return owners;
}

absl::Status CniNode::RemoveElements(const Owner& owner) const {
  return Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(OwnedElements elements, OwnedElements::Open());
    const std::string comment = owner.Comment();
    RETURN_IF_ERROR(elements.Remove({comment}));
    ASSIGN_OR_RETURN(MacSpoofCheck spoof_check, MacSpoofCheck::Open());
    RETURN_IF_ERROR(spoof_check.Remove(comment));
    // The table goes with its last element, for which there is a call.
    ASSIGN_OR_RETURN(Masquerade masquerade, Masquerade::Open());
    return masquerade.Remove({}, {owner.container_id, owner.ifname});
  });
}

absl::StatusOr<std::vector<int>> CniNode::FindLinks(
    const std::vector<NamedLink>& links) const {
  ASSIGN_OR_RETURN(Netlink netlink, OpenNetlink());
  std::vector<int> indexes;
  for (const NamedLink& wanted : links) {
    absl::StatusOr<Link> link = netlink.GetLink(wanted.name);
    if (absl::IsNotFound(link.status())) continue;
    RETURN_IF_ERROR(link);
    if (link->alias == wanted.alias) indexes.push_back(link->index);
  }
  return indexes;
}

absl::Status CniNode::DeleteElementsAndLinks(
    const std::vector<Owner>& owners,
    const std::vector<NamedLink>& links) const {
  // Lives to the end: the kernel's work on removed elements, for which closing
  // the socket waits, goes on while the links are being removed.
  std::optional<OwnedElements> elements;
  absl::Status status = Run([&]() -> absl::Status {
    ASSIGN_OR_RETURN(elements, OwnedElements::Open());
    std::set<std::string> comments;
    for (const Owner& owner : owners) comments.insert(owner.Comment());
    return elements->Remove(comments);
  });
  ASSIGN_OR_RETURN(std::vector<int> indexes, FindLinks(links));
  status.Update(DeleteLinks(indexes));
  return status;
}

}  // namespace davit
