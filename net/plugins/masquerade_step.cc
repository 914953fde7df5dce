#include "net/plugins/masquerade_step.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::Status AddMasquerade(const PluginRequest& request,
                           const CniResult& result, Rollback* rollback) {
  const MasqueradeOwner owner{request.container_id, request.ifname};
  ASSIGN_OR_RETURN(Masquerade opened, Masquerade::Open());
  auto masquerade = std::make_shared<Masquerade>(std::move(opened));
  rollback->Add("remove masquerade",
                [masquerade, owner] { return masquerade->Remove({}, owner); });
  for (const CniIp& ip : result.ips) {
    RETURN_IF_ERROR(masquerade->Add(ip.address.address, owner));
  }
  return absl::OkStatus();
}

absl::Status RemoveMasquerade(const PluginRequest& request,
                              const CniResult& previous,
                              std::optional<Masquerade>* keep) {
  ASSIGN_OR_RETURN(*keep, Masquerade::Open());
  std::vector<IpAddress> addresses;
  for (const CniIp& ip : previous.ips) addresses.push_back(ip.address.address);
  return (*keep)->Remove(addresses, {request.container_id, request.ifname});
}

absl::Status CheckMasquerade(const PluginRequest& request,
                             const CniResult& previous) {
  ASSIGN_OR_RETURN(Masquerade masquerade, Masquerade::Open());
  for (const CniIp& ip : previous.ips) {
    ASSIGN_OR_RETURN(bool found, masquerade.Contains(
                                     ip.address.address,
                                     {request.container_id, request.ifname}));
    if (!found) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "%s is not masqueraded", ip.address.address.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace davit
