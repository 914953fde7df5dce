#include "net/plugins/portmap_config.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_format.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/json_object.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int64_t kMaxPort = 65535;
constexpr int64_t kMaxMarkBit = 31;

absl::StatusOr<uint16_t> ReadPort(const JsonObject& object,
                                  absl::string_view key) {
  std::optional<int64_t> port;
  RETURN_IF_ERROR(object.Read(key, &port));
  if (port.value_or(0) < 1 || *port > kMaxPort) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: %d is not in 1..%d", object.PathOf(key),
                        port.value_or(0), kMaxPort));
  }
  return static_cast<uint16_t>(*port);
}

absl::StatusOr<uint16_t> ReadCount(const JsonObject& object,
                                   const PortMapping& mapping) {
  std::optional<int64_t> count;
  RETURN_IF_ERROR(object.Read("range", &count));
  const int64_t last = std::max(mapping.host_port, mapping.container_port);
  const int64_t most = kMaxPort - last + 1;
  if (count.value_or(0) < 0 || count.value_or(0) > most) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "%s: %d is not in 0..%d, so that the last port is at most %d",
        object.PathOf("range"), *count, most, kMaxPort));
  }
  return static_cast<uint16_t>(std::max<int64_t>(count.value_or(1), 1));
}

absl::StatusOr<PortMapping> ParseMapping(const JsonObject& object) {
  PortMapping mapping;
  ASSIGN_OR_RETURN(mapping.host_port, ReadPort(object, "hostPort"));
  ASSIGN_OR_RETURN(mapping.container_port, ReadPort(object, "containerPort"));
  ASSIGN_OR_RETURN(mapping.count, ReadCount(object, mapping));
  std::string protocol = "tcp";
  RETURN_IF_ERROR(object.Read("protocol", &protocol));
  std::optional<PortProtocol> known = ParsePortProtocol(protocol);
  if (!known.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("%s: want tcp, udp or sctp, not \"%s\"",
                        object.PathOf("protocol"), protocol));
  }
  mapping.protocol = *known;
  RETURN_IF_ERROR(object.Read("hostIP", &mapping.host_ip));
  return mapping;
}

// Whether two entries name one end of the node.
bool Overlap(const PortMapping& a, const PortMapping& b) {
  const int offset = b.host_port - a.host_port;
  return a.protocol == b.protocol && a.host_ip == b.host_ip &&
         offset < a.count && -offset < b.count;
}

absl::StatusOr<std::vector<PortMapping>> ParseMappings(
    const JsonObject& config) {
  std::vector<PortMapping> mappings;
  ASSIGN_OR_RETURN(std::optional<JsonObject> runtime,
                   config.Object("runtimeConfig"));
  if (!runtime.has_value()) return mappings;
  ASSIGN_OR_RETURN(std::vector<JsonObject> objects,
                   runtime->Objects("portMappings"));
  for (const JsonObject& object : objects) {
    ASSIGN_OR_RETURN(PortMapping mapping, ParseMapping(object));
    for (const PortMapping& other : mappings) {
      if (other == mapping || !Overlap(other, mapping)) continue;
      return absl::InvalidArgumentError(absl::StrFormat(
          "%s: %s port %d is mapped twice", object.PathOf("hostPort"),
          PortProtocolName(mapping.protocol), mapping.host_port));
    }
    // Go's plugin does not mind an entry that is there twice.
    if (std::find(mappings.begin(), mappings.end(), mapping) ==
        mappings.end()) {
      mappings.push_back(mapping);
    }
  }
  return mappings;
}

absl::Status CheckMarks(const JsonObject& config) {
  std::optional<int64_t> bit;
  RETURN_IF_ERROR(config.Read("markMasqBit", &bit));
  std::string chain;
  RETURN_IF_ERROR(config.Read("externalSetMarkChain", &chain));
  if (bit.has_value() && config.Has("externalSetMarkChain")) {
    return absl::InvalidArgumentError(
        "Cannot specify externalSetMarkChain and markMasqBit");
  }
  if (bit.value_or(0) < 0 || bit.value_or(0) > kMaxMarkBit) {
    return absl::InvalidArgumentError(
        absl::StrFormat("markMasqBit: %d is not in 0..%d", *bit, kMaxMarkBit));
  }
  return absl::OkStatus();
}

absl::Status CheckConditions(const JsonObject& config) {
  for (const char* key : {"conditionsV4", "conditionsV6"}) {
    std::vector<std::string> conditions;
    RETURN_IF_ERROR(config.Read(key, &conditions));
    if (conditions.empty()) continue;
    return CniError(
        CniErrorCode::kUnsupportedField,
        absl::StrFormat("%s: arguments of iptables cannot be a condition of "
                        "nftables' maps (\"%s\", …); take the key away, or "
                        "give the mapping a hostIP",
                        key, conditions[0]));
  }
  return absl::OkStatus();
}

absl::Status CheckBackend(const JsonObject& config) {
  std::string backend;
  RETURN_IF_ERROR(config.Read("backend", &backend));
  if (backend.empty() || backend == "iptables" || backend == "nftables") {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("backend: unknown backend \"%s\"", backend));
}

bool IsUnspecified(const IpAddress& address) {
  return address == address.FirstOf(0);
}

}  // namespace

absl::StatusOr<PortmapConfig> ParsePortmapConfig(const PluginRequest& request) {
  PortmapConfig config;
  RETURN_IF_ERROR(request.config.Read("snat", &config.snat));
  RETURN_IF_ERROR(request.config.Read("masqAll", &config.masq_all));
  RETURN_IF_ERROR(
      request.config.Read("checkHostPorts", &config.check_host_ports));
  RETURN_IF_ERROR(CheckMarks(request.config));
  RETURN_IF_ERROR(CheckConditions(request.config));
  RETURN_IF_ERROR(CheckBackend(request.config));
  ASSIGN_OR_RETURN(config.mappings, ParseMappings(request.config));
  return config;
}

std::vector<PortForward> MakePortForwards(
    const PortmapConfig& config, const std::vector<IpAddress>& addresses) {
  std::vector<PortForward> forwards;
  for (const IpAddress& address : addresses) {
    for (const PortMapping& mapping : config.mappings) {
      std::optional<IpAddress> host = mapping.host_ip;
      if (host.has_value() && host->is_v6() != address.is_v6()) continue;
      if (host.has_value() && IsUnspecified(*host)) host.reset();
      for (int i = 0; i < mapping.count; ++i) {
        forwards.push_back({mapping.protocol, host,
                            static_cast<uint16_t>(mapping.host_port + i),
                            address,
                            static_cast<uint16_t>(mapping.container_port + i)});
      }
    }
  }
  return forwards;
}

}  // namespace davit
