#include "net/plugins/static_ipam.h"

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_format.h"
#include "net/plugins/static_ipam_config.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(CniResult result, StaticAdd(request));
  return FormatCniResult(result, request.cni_version);
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(CniResult wanted, ParseStaticIpamConfig(request));
  ASSIGN_OR_RETURN(std::optional<JsonObject> object,
                   request.config.Object("prevResult"));
  if (!object.has_value()) {
    return absl::InvalidArgumentError("Required prevResult missing");
  }
  ASSIGN_OR_RETURN(CniResult previous,
                   ParseCniResult(*object, request.cni_version), "prevResult");
  for (const CniIp& want : wanted.ips) {
    const bool found = std::any_of(
        previous.ips.begin(), previous.ips.end(), [&](const CniIp& ip) {
          return ip.address.address == want.address.address &&
                 (!want.gateway.has_value() || ip.gateway == want.gateway);
        });
    if (!found) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "static: prevResult lacks %s%s for interface %s",
          want.address.ToString(),
          want.gateway.has_value() ? " via " + want.gateway->ToString() : "",
          request.ifname));
    }
  }
  return absl::OkStatus();
}

absl::Status Status(const PluginRequest& request) {
  return ParseStaticIpamConfig(request).status();
}

}  // namespace

absl::StatusOr<CniResult> StaticAdd(const PluginRequest& request) {
  return ParseStaticIpamConfig(request);
}

const Plugin kStaticPlugin = {
    .type = "static",
    .uses_netns = false,
    .add = Add,
    .del = nullptr,
    .check = Check,
    .status = Status,
    .gc = nullptr,
};

}  // namespace davit
