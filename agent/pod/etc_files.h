#ifndef DAVIT_AGENT_POD_ETC_FILES_H_
#define DAVIT_AGENT_POD_ETC_FILES_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "agent/pod/pod.h"
#include "net/pod_network.h"

// The texts of the files in a pod's /etc that the agent writes at each start.
// Pure.

namespace davit {

// hosts(5): localhost, the pod's addresses (CIDR or plain) and its hostname, as
// kubelet writes it, then the aliases. Without an address the hostname is
// 127.0.1.1. With a subdomain the canonical name is "<hostname>.<subdomain>".
std::string EtcHosts(const std::string& hostname, const std::string& subdomain,
                     const std::vector<std::string>& addresses,
                     const std::vector<HostAlias>& aliases);

// resolv.conf(5).
std::string EtcResolvConf(const DnsConfig& dns);

// Reads resolv.conf(5): nameserver, domain, search, options; what it does not
// know is skipped. Nameservers of 127.0.0.0/8 and ::1 are left out unless
// `keep_loopback`: in another network namespace nobody answers there.
DnsConfig ParseResolvConf(absl::string_view text, bool keep_loopback);

// What a pod resolves names by: with `only_spec` (dnsPolicy None) the spec's;
// else that of the first network that has some, else the node's; then the
// spec's is added (Kubernetes' dnsConfig).
DnsConfig ChooseDns(bool only_spec, const DnsConfig& spec,
                    const std::vector<InterfaceStatus>& interfaces,
                    const DnsConfig& node);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_ETC_FILES_H_
