#include <arpa/inet.h>

#include <cstdint>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "agent/pod/bandwidth.h"
#include "agent/pod/host_ports.h"
#include "agent/pod/run_plan.h"
#include "agent/rpc/validate_internal.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxNetworks = 16;
constexpr size_t kMaxHostAliases = 256;
constexpr size_t kMaxIps = 16;

// The character set is that of the CNI specification, section 1.
absl::Status CheckNetworkName(const std::string& path,
                              const std::string& name) {
  if (HasShape(name.substr(0, 1), 1, IsAlnum, "") &&
      HasShape(name + "0", 256, IsAlnum, "-_.")) {
    return absl::OkStatus();
  }
  return Fault(path, "\"%s\" is not the name of a network", name);
}

// As the kernel's dev_valid_name().
absl::Status CheckInterfaceName(const std::string& path,
                                const std::string& name) {
  bool good = !name.empty() && name.size() <= 15 && name != "." &&
              name != ".." && name != "lo";
  for (unsigned char c : name) {
    good = good && absl::ascii_isgraph(c) && c != '/' && c != ':';
  }
  if (good) return absl::OkStatus();
  return Fault(path, "\"%s\" is not the name of a network interface", name);
}

// "10.1.2.3", "fd00::2/64".
absl::Status CheckIpOrCidr(const std::string& path, const std::string& text) {
  size_t slash = text.find('/');
  std::string ip = text.substr(0, slash);
  bool v6 = absl::StrContains(ip, ':');
  bool good = IsIpAddress(ip);
  if (slash != std::string::npos) {
    int length = -1;
    std::string digits = text.substr(slash + 1);
    good = good && !digits.empty() && absl::ascii_isdigit(digits[0]) &&
           absl::SimpleAtoi(digits, &length) && length <= (v6 ? 128 : 32);
  }
  if (good) return absl::OkStatus();
  return Fault(path, "\"%s\" is not an IP address", text);
}

// Six octets, of one station: multicast addresses belong to no interface.
absl::Status CheckMac(const std::string& path, const std::string& mac) {
  bool good = mac.size() == 17;
  for (size_t i = 0; good && i < mac.size(); ++i) {
    good = i % 3 == 2 ? mac[i] == ':' : absl::ascii_isxdigit(mac[i]);
  }
  if (!good) {
    return Fault(path, "\"%s\" is not a MAC address (02:00:00:00:00:01)", mac);
  }
  bool multicast = absl::StrContains("13579bdfBDF", mac[1]);
  if (!multicast && mac != "00:00:00:00:00:00") return absl::OkStatus();
  return Fault(path, "\"%s\" is not the address of a single interface", mac);
}

absl::Status CheckAttachment(const std::string& path,
                             const NetworkAttachment& attachment) {
  RETURN_IF_ERROR(CheckNetworkName(path + ".name", attachment.name));
  if (attachment.name == "host" || attachment.name == "none") {
    return Fault(path + ".name", "\"%s\" is not a network; use spec.networks",
                 attachment.name);
  }
  if (!attachment.interface.empty()) {
    RETURN_IF_ERROR(
        CheckInterfaceName(path + ".interface", attachment.interface));
  }
  if (!attachment.host_interface.empty()) {
    RETURN_IF_ERROR(
        CheckInterfaceName(path + ".hostInterface", attachment.host_interface));
  }
  if (attachment.systemd_names &&
      (!attachment.interface.empty() || !attachment.host_interface.empty())) {
    return Fault(path + ".systemdNames",
                 "interface and hostInterface must be empty with it");
  }
  RETURN_IF_ERROR(CheckCount(path + ".ips", attachment.ips.size(), kMaxIps));
  for (size_t i = 0; i < attachment.ips.size(); ++i) {
    RETURN_IF_ERROR(CheckIpOrCidr(Item(path + ".ips", i), attachment.ips[i]));
  }
  for (size_t i = 0; i < attachment.aliases.size(); ++i) {
    RETURN_IF_ERROR(
        CheckDnsLabel(Item(path + ".aliases", i), attachment.aliases[i]));
  }
  if (attachment.mac.empty()) return absl::OkStatus();
  return CheckMac(path + ".mac", attachment.mac);
}

absl::Status CheckNetworkNames(const std::vector<std::string>& networks) {
  RETURN_IF_ERROR(CheckCount("spec.networks", networks.size(), kMaxNetworks));
  std::unordered_set<std::string> seen;
  for (size_t i = 0; i < networks.size(); ++i) {
    std::string path = Item("spec.networks", i);
    RETURN_IF_ERROR(CheckNetworkName(path, networks[i]));
    bool special = networks[i] == "none" || networks[i] == "host";
    if (special && networks.size() > 1) {
      return Fault(path, "\"%s\" must stand alone", networks[i]);
    }
    if (!seen.insert(networks[i]).second) {
      return Fault(path, "\"%s\" is joined twice", networks[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAttachments(const PodSpec& spec) {
  const std::string field = "spec.networkAttachments";
  RETURN_IF_ERROR(CheckCount(field, spec.attachments.size(), kMaxNetworks));
  std::unordered_set<std::string> networks, interfaces;
  std::vector<NetworkAttachment> joined = JoinedNetworks(spec);
  for (size_t i = 0; i < spec.attachments.size(); ++i) {
    std::string path = Item(field, i);
    RETURN_IF_ERROR(CheckAttachment(path, spec.attachments[i]));
    if (!networks.insert(joined[i].name).second) {
      return Fault(path + ".name", "\"%s\" is joined twice", joined[i].name);
    }
    if (!interfaces.insert(joined[i].interface).second) {
      return Fault(path + ".interface", "\"%s\" is used twice",
                   joined[i].interface);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckNetworks(const PodSpec& spec) {
  if (spec.host_network && !spec.networks.empty()) {
    return Fault("spec.networks", "must be empty with hostNetwork");
  }
  if (spec.host_network && !spec.attachments.empty()) {
    return Fault("spec.networkAttachments", "must be empty with hostNetwork");
  }
  if (!spec.networks.empty() && !spec.attachments.empty()) {
    return Fault("spec.networkAttachments",
                 "must be empty when spec.networks is given");
  }
  RETURN_IF_ERROR(CheckNetworkNames(spec.networks));
  return CheckAttachments(spec);
}

// What is asked of the node as a whole; single ports have been checked.
absl::Status CheckHostPorts(const PodSpec& spec) {
  for (const ContainerSpec& container : spec.containers) {
    for (const ContainerPort& port : container.ports) {
      bool other = port.host_port != 0 && port.host_port != port.container_port;
      if (!UsesHostNetwork(spec) || !other) continue;
      return Fault("spec.containers[].ports[].hostPort",
                   "%d must be the containerPort, %d, with the host's network",
                   port.host_port, port.container_port);
    }
  }
  std::vector<HostPort> ports = HostPorts(spec);
  if (!ports.empty() && !UsesHostNetwork(spec) &&
      JoinedNetworks(spec).empty()) {
    return Fault(ports[0].field, "a pod without a network has no port maps");
  }
  for (size_t i = 0; i < ports.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (!PortsMeet(ports[i], ports[k])) continue;
      return Fault(ports[i].field, "%d/%s is taken by %s", ports[i].host_port,
                   ports[i].protocol, ports[k].field);
    }
  }
  return absl::OkStatus();
}

// No word of resolv.conf(5) may break its line or start another.
absl::Status CheckDnsWords(const std::string& path,
                           const std::vector<std::string>& words, size_t max) {
  RETURN_IF_ERROR(CheckCount(path, words.size(), max));
  for (size_t i = 0; i < words.size(); ++i) {
    bool good = !words[i].empty() && words[i].size() <= 255;
    for (unsigned char c : words[i]) good = good && absl::ascii_isgraph(c);
    if (!good) {
      return Fault(Item(path, i), "\"%s\" is not a word of resolv.conf",
                   words[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDns(const PodSpec& spec) {
  if (spec.dns_policy == DnsPolicy::kNone && spec.dns.nameservers.empty()) {
    return Fault("spec.dnsConfig.nameservers",
                 "at least one is needed with dnsPolicy \"None\"");
  }
  const std::string path = "spec.dnsConfig";
  RETURN_IF_ERROR(
      CheckDnsWords(path + ".nameservers", spec.dns.nameservers, 3));
  for (size_t i = 0; i < spec.dns.nameservers.size(); ++i) {
    if (!IsIpAddress(spec.dns.nameservers[i])) {
      return Fault(Item(path + ".nameservers", i),
                   "\"%s\" is not an IP address", spec.dns.nameservers[i]);
    }
  }
  RETURN_IF_ERROR(CheckDnsWords(path + ".searches", spec.dns.search, 32));
  RETURN_IF_ERROR(CheckDnsWords(path + ".options", spec.dns.options, 32));
  if (spec.dns.domain.empty()) return absl::OkStatus();
  return CheckDnsWords(path + ".domain", {spec.dns.domain}, 1);
}

absl::Status CheckHostAliases(const PodSpec& spec) {
  const std::string path = "spec.hostAliases";
  RETURN_IF_ERROR(CheckCount(path, spec.host_aliases.size(), kMaxHostAliases));
  for (size_t i = 0; i < spec.host_aliases.size(); ++i) {
    const auto& [ip, hostnames] = spec.host_aliases[i];
    std::string item = Item(path, i);
    if (!IsIpAddress(ip)) {
      return Fault(item + ".ip", "\"%s\" is not an IP address", ip);
    }
    if (hostnames.empty()) {
      return Fault(item + ".hostnames", "at least one is needed");
    }
    RETURN_IF_ERROR(
        CheckCount(item + ".hostnames", hostnames.size(), kMaxHostAliases));
    for (size_t k = 0; k < hostnames.size(); ++k) {
      if (HasShape(hostnames[k], 253, IsLowerAlnum, "-.")) continue;
      return Fault(Item(item + ".hostnames", k), "\"%s\" is not a DNS name",
                   hostnames[k]);
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ValidatePodNetwork(const PodSpec& spec) {
  if (!spec.subdomain.empty()) {
    RETURN_IF_ERROR(CheckDnsLabel("spec.subdomain", spec.subdomain));
  }
  RETURN_IF_ERROR(CheckNetworks(spec));
  RETURN_IF_ERROR(CheckHostPorts(spec));
  RETURN_IF_ERROR(BandwidthOf(spec.annotations).status());
  RETURN_IF_ERROR(CheckHostAliases(spec));
  return CheckDns(spec);
}

bool IsIpAddress(const std::string& text) {
  in6_addr address;
  return inet_pton(AF_INET, text.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

}  // namespace davit
