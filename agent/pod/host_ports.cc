#include "agent/pod/host_ports.h"

#include <arpa/inet.h>

#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// An address by its bytes, so that "::1" and "0:0::1" are the same.
struct Address {
  int family = AF_UNSPEC;  // AF_UNSPEC: all of both families
  in6_addr bytes = {};
  bool all = true;
};

Address ParseAddress(const std::string& text) {
  Address address;
  in6_addr zero = {};
  for (int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, text.c_str(), &address.bytes) != 1) continue;
    address.family = family;
    address.all = memcmp(&address.bytes, &zero, sizeof(zero)) == 0;
    return address;
  }
  return address;
}

bool AddressesMeet(const std::string& a, const std::string& b) {
  Address first = ParseAddress(a), second = ParseAddress(b);
  if (first.family == AF_UNSPEC || second.family == AF_UNSPEC) return true;
  if (first.family != second.family) return false;
  return first.all || second.all ||
         memcmp(&first.bytes, &second.bytes, sizeof(first.bytes)) == 0;
}

std::string NameOf(const HostPort& port) {
  std::string name = absl::StrCat(port.host_port, "/", port.protocol);
  if (port.host_ip.empty()) return name;
  bool v6 = absl::StrContains(port.host_ip, ':');
  return absl::StrCat(v6 ? "[" : "", port.host_ip, v6 ? "]:" : ":", name);
}

}  // namespace

bool PortsMeet(const HostPort& a, const HostPort& b) {
  return a.host_port == b.host_port && a.protocol == b.protocol &&
         AddressesMeet(a.host_ip, b.host_ip);
}

absl::Status HostPortTable::CheckOthers(
    const std::string& pod_id, const std::vector<HostPort>& wanted) const {
  for (const HostPort& port : wanted) {
    for (const auto& [id, claims] : claims_) {
      if (id == pod_id) continue;
      for (const HostPort& taken : claims.ports) {
        if (!PortsMeet(port, taken)) continue;
        return absl::FailedPreconditionError(
            absl::StrCat(port.field, ": port ", NameOf(port),
                         " of the node is taken by pod \"", claims.pod_name,
                         "\" (as ", NameOf(taken), ")"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status HostPortTable::Claim(const Pod& pod) {
  std::vector<HostPort> wanted = HostPorts(pod.spec);
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(CheckOthers(pod.id, wanted));
  if (!wanted.empty()) claims_[pod.id] = {pod.spec.name, std::move(wanted)};
  return absl::OkStatus();
}

absl::Status HostPortTable::CheckFree(const PodSpec& spec) const {
  absl::ReaderMutexLock lock(&mutex_);
  return CheckOthers("", HostPorts(spec));
}

void HostPortTable::Adopt(const Pod& pod) {
  std::vector<HostPort> ports = HostPorts(pod.spec);
  absl::MutexLock lock(&mutex_);
  if (!ports.empty()) claims_[pod.id] = {pod.spec.name, std::move(ports)};
}

void HostPortTable::Release(const std::string& pod_id) {
  absl::MutexLock lock(&mutex_);
  claims_.erase(pod_id);
}

}  // namespace davit
