#include "agent/pod/etc_files.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace davit {
namespace {

std::string WithoutPrefix(const std::string& address) {
  return address.substr(0, address.find('/'));
}

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") || address == "::1";
}

void AddNew(const std::vector<std::string>& more,
            std::vector<std::string>& list) {
  for (const std::string& item : more) {
    if (std::find(list.begin(), list.end(), item) == list.end()) {
      list.push_back(item);
    }
  }
}

std::string OptionName(const std::string& option) {
  return option.substr(0, option.find(':'));
}

// A later option of the same name ("ndots:2") wins.
void MergeOptions(const std::vector<std::string>& more,
                  std::vector<std::string>& list) {
  for (const std::string& option : more) {
    std::erase_if(list, [&](const std::string& old) {
      return OptionName(old) == OptionName(option);
    });
    list.push_back(option);
  }
}

void AppendLine(absl::string_view keyword,
                const std::vector<std::string>& words, std::string& text) {
  if (words.empty()) return;
  absl::StrAppend(&text, keyword, " ", absl::StrJoin(words, " "), "\n");
}

}  // namespace

std::string EtcHosts(const std::string& hostname, const std::string& subdomain,
                     const std::vector<std::string>& addresses,
                     const std::vector<HostAlias>& aliases) {
  std::string names = hostname;
  if (!subdomain.empty()) {
    names = absl::StrCat(hostname, ".", subdomain, "\t", hostname);
  }
  std::string text =
      "# Davit-managed hosts file.\n"
      "127.0.0.1\tlocalhost\n"
      "::1\tlocalhost ip6-localhost ip6-loopback\n"
      "fe00::0\tip6-localnet\n"
      "fe00::0\tip6-mcastprefix\n"
      "fe00::1\tip6-allnodes\n"
      "fe00::2\tip6-allrouters\n";
  for (const std::string& address : addresses) {
    absl::StrAppend(&text, WithoutPrefix(address), "\t", names, "\n");
  }
  if (addresses.empty()) absl::StrAppend(&text, "127.0.1.1\t", names, "\n");
  if (!aliases.empty()) absl::StrAppend(&text, "\n# Of spec.hostAliases.\n");
  for (const HostAlias& alias : aliases) {
    absl::StrAppend(&text, alias.ip, "\t", absl::StrJoin(alias.hostnames, "\t"),
                    "\n");
  }
  return text;
}

std::string EtcResolvConf(const DnsConfig& dns) {
  std::string text;
  for (const std::string& server : dns.nameservers) {
    absl::StrAppend(&text, "nameserver ", server, "\n");
  }
  // "domain" and "search" exclude each other, the last one wins.
  if (dns.search.empty() && !dns.domain.empty()) {
    absl::StrAppend(&text, "domain ", dns.domain, "\n");
  }
  AppendLine("search", dns.search, text);
  AppendLine("options", dns.options, text);
  return text;
}

DnsConfig ParseResolvConf(absl::string_view text, bool keep_loopback) {
  DnsConfig dns;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (words.size() < 2) continue;
    std::string keyword = words[0];
    words.erase(words.begin());
    if (keyword == "nameserver") {
      if (keep_loopback || !IsLoopback(words[0])) {
        dns.nameservers.push_back(words[0]);
      }
    } else if (keyword == "domain") {
      dns.domain = words[0];
    } else if (keyword == "search") {
      dns.search = words;
    } else if (keyword == "options") {
      MergeOptions(words, dns.options);
    }
  }
  return dns;
}

DnsConfig ChooseDns(bool only_spec, const DnsConfig& spec,
                    const std::vector<InterfaceStatus>& interfaces,
                    const DnsConfig& node) {
  if (only_spec) return spec;
  DnsConfig dns = node;
  for (const InterfaceStatus& interface : interfaces) {
    if (interface.dns.nameservers.empty()) continue;
    dns = interface.dns;
    break;
  }
  AddNew(spec.nameservers, dns.nameservers);
  AddNew(spec.search, dns.search);
  MergeOptions(spec.options, dns.options);
  if (!spec.domain.empty()) dns.domain = spec.domain;
  return dns;
}

}  // namespace davit
