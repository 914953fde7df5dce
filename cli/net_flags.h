#ifndef DAVIT_CLI_NET_FLAGS_H_
#define DAVIT_CLI_NET_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "davit/v1/pod.pb.h"

namespace davit::cli {

// Texts of flags about networks. Errors are InvalidArgument and quote the flag.

// "--network": rkt's syntax, networks separated by commas, each with arguments
// after a colon that are separated by semicolons or, where it cannot be taken
// for a network, by commas: "a,b:ips=10.1.2.3,mac=02:00:00:00:00:01,c".
// Arguments: ips (again for another; "|" separates several), mac, alias,
// interface, host-interface, systemd-names. "host" and "none" stand alone. May
// be given several times; fills spec.networks where names are all there is,
// else spec.networkAttachments.
absl::Status AddNetworks(const std::vector<std::string>& flags,
                         v1::PodSpec* spec);

// "-p": "[[HOST_IP:]HOST_PORT:]PORT[/PROTOCOL]", an IPv6 address in brackets;
// "8080-8083:80-83" for several at once. PORT alone is no port of the node.
absl::Status AddPort(const std::string& flag, v1::Container* app);

// "--add-host NAME[,NAME]:IP", as docker has it.
absl::Status AddHost(const std::string& flag, v1::PodSpec* spec);

// One argument of port-forward: "[LOCAL:]REMOTE"; ":REMOTE" means any free one,
// which is 0 here.
struct ForwardedPort {
  uint16_t local = 0;
  uint16_t remote = 0;
};
absl::StatusOr<ForwardedPort> ParseForwardedPort(const std::string& text);

}  // namespace davit::cli

#endif  // DAVIT_CLI_NET_FLAGS_H_
