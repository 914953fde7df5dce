#ifndef DAVIT_NET_PLUGINS_CNI_RESULT_H_
#define DAVIT_NET_PLUGINS_CNI_RESULT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "net/netlink/ip_address.h"
#include "net/plugins/json_object.h"

namespace davit {

// The result of ADD (CNI specification, "Section 5: Result Types"), as values
// that can be printed in, and read from, every version of it.
struct CniInterface {
  std::string name;
  std::string mac;
  std::string sandbox;  // the netns path; empty: on the host
  bool operator==(const CniInterface&) const = default;
};

struct CniIp {
  // Index into CniResult::interfaces; IPAM results have none.
  std::optional<int64_t> interface;
  IpPrefix address;
  std::optional<IpAddress> gateway;
  bool operator==(const CniIp&) const = default;
};

struct CniRoute {
  IpPrefix destination;
  std::optional<IpAddress> gateway;  // default: that of the address's family
  std::optional<int64_t> mtu, advmss, priority, table, scope;
  bool operator==(const CniRoute&) const = default;
};

struct CniDns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search;
  std::vector<std::string> options;
  bool empty() const { return *this == CniDns(); }
  bool operator==(const CniDns&) const = default;
};

struct CniResult {
  std::vector<CniInterface> interfaces;
  std::vector<CniIp> ips;
  std::vector<CniRoute> routes;
  CniDns dns;
  bool operator==(const CniResult&) const = default;
};

// Reads a result of the version that it names, else of `default_version`.
// InvalidArgument names the field.
absl::StatusOr<CniResult> ParseCniResult(const JsonObject& object,
                                         const std::string& default_version);

// The JSON text, indented by four spaces, in the shape of `version`. Up to
// 0.2.0 only the first address of each family can be said, and
// InvalidArgument is returned if there is none.
absl::StatusOr<std::string> FormatCniResult(const CniResult& result,
                                            const std::string& version);

// The text of `object` itself, with another cniVersion: for plugins that pass
// prevResult on.
std::string FormatPassedResult(const JsonObject& object,
                               const std::string& version);

// The parts that configurations share with results.
absl::StatusOr<CniRoute> ParseCniRoute(const JsonObject& object);
absl::StatusOr<CniDns> ParseCniDns(const JsonObject& object);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_CNI_RESULT_H_
