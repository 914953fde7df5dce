#include "net/plugins/optional_ipam.h"

#include "net/plugins/interface_config.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<OptionalIpam> OptionalIpam::Create(
    const PluginRequest& request) {
  ASSIGN_OR_RETURN(InterfaceConfig config, ParseInterfaceConfigForDel(request));
  std::unique_ptr<IpamDelegate> delegate;
  if (config.has_ipam) {
    ASSIGN_OR_RETURN(delegate, IpamDelegate::Create(request));
  }
  return OptionalIpam(std::move(delegate));
}

absl::StatusOr<CniResult> OptionalIpam::Add() {
  if (delegate_ == nullptr) return CniResult();
  ASSIGN_OR_RETURN(CniResult result, delegate_->Add());
  if (result.ips.empty()) {
    delegate_->Del().IgnoreError();
    return absl::InvalidArgumentError("IPAM plugin returned missing IP config");
  }
  return result;
}

absl::Status OptionalIpam::Del() {
  return delegate_ == nullptr ? absl::OkStatus() : delegate_->Del();
}

absl::Status OptionalIpam::Check() {
  return delegate_ == nullptr ? absl::OkStatus() : delegate_->Check();
}

absl::Status OptionalIpam::Status() {
  return delegate_ == nullptr ? absl::OkStatus() : delegate_->Status();
}

absl::Status OptionalIpam::Gc() {
  return delegate_ == nullptr ? absl::OkStatus() : delegate_->Gc();
}

absl::Status OptionalIpamStatus(const PluginRequest& request) {
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  return ipam.Status();
}

absl::Status OptionalIpamGc(const PluginRequest& request) {
  ASSIGN_OR_RETURN(OptionalIpam ipam, OptionalIpam::Create(request));
  return ipam.Gc();
}

}  // namespace davit
