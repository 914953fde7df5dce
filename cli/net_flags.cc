#include "cli/net_flags.h"

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/status_macros.h"

namespace davit::cli {
namespace {

absl::Status Bad(absl::string_view flag, absl::string_view text,
                 absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " \"", text, "\": ", why));
}

// --- Networks ---

absl::Status AddArgument(absl::string_view text, v1::NetworkAttachment& to) {
  std::pair<std::string, std::string> pair =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  const auto& [key, value] = pair;
  if (value.empty()) return Bad("--network", text, "must be KEY=VALUE");
  // CNI_ARGS of Go's host-local says "IP", as rkt's users do.
  std::string name = absl::AsciiStrToLower(key);
  if (name == "ips" || name == "ip") {
    for (absl::string_view ip : absl::StrSplit(value, '|')) {
      to.add_ips(std::string(ip));
    }
  } else if (name == "mac") {
    to.set_mac(value);
  } else if (name == "alias" || name == "aliases") {
    for (absl::string_view alias : absl::StrSplit(value, '|')) {
      to.add_aliases(std::string(alias));
    }
  } else if (name == "interface") {
    to.set_interface(value);
  } else if (name == "host-interface") {
    to.set_host_interface(value);
  } else if (name == "systemd-names" && (value == "true" || value == "false")) {
    to.set_systemd_names(value == "true");
  } else {
    return Bad("--network", text,
               "the arguments are ips=, mac=, alias=, interface=, "
               "host-interface= and systemd-names=true");
  }
  return absl::OkStatus();
}

// One part between commas: a network, or an argument of the one before.
absl::Status AddPart(absl::string_view part,
                     std::vector<v1::NetworkAttachment>& list) {
  size_t equals = part.find('=');
  size_t colon = part.find(':');
  if (equals != part.npos && (colon == part.npos || equals < colon)) {
    if (list.empty()) return Bad("--network", part, "names no network");
    return AddArgument(part, list.back());
  }
  list.emplace_back();
  list.back().set_name(std::string(part.substr(0, colon)));
  if (colon == part.npos) return absl::OkStatus();
  for (absl::string_view argument :
       absl::StrSplit(part.substr(colon + 1), ';', absl::SkipEmpty())) {
    RETURN_IF_ERROR(AddArgument(argument, list.back()));
  }
  return absl::OkStatus();
}

bool IsPlain(const v1::NetworkAttachment& attachment) {
  v1::NetworkAttachment plain;
  plain.set_name(attachment.name());
  return plain.SerializeAsString() == attachment.SerializeAsString();
}

// --- Ports ---

struct PortRange {
  int first = 0, last = 0;
};

std::optional<PortRange> ParseRange(absl::string_view text) {
  std::vector<absl::string_view> ends = absl::StrSplit(text, '-');
  PortRange range;
  bool good = ends.size() <= 2;
  for (absl::string_view end : ends) {
    good = good && !end.empty() && absl::ascii_isdigit(end[0]);
  }
  good = good && absl::SimpleAtoi(ends.front(), &range.first) &&
         absl::SimpleAtoi(ends.back(), &range.last) && range.first >= 1 &&
         range.first <= range.last && range.last <= 65535;
  if (!good) return std::nullopt;
  return range;
}

struct PortFlag {
  std::string host_ip, protocol = "TCP";
  std::optional<PortRange> host;
  PortRange container;
};

absl::StatusOr<PortFlag> ParsePort(const std::string& flag) {
  PortFlag port;
  absl::string_view rest = flag;
  if (size_t slash = rest.rfind('/'); slash != rest.npos) {
    port.protocol = absl::AsciiStrToUpper(rest.substr(slash + 1));
    rest = rest.substr(0, slash);
  }
  auto wrong = [&] {
    return Bad("--port", flag,
               "must be [[HOST_IP:]HOST_PORT:]PORT[/tcp|udp|sctp]");
  };
  size_t colon = rest.rfind(':');
  auto container =
      ParseRange(colon == rest.npos ? rest : rest.substr(colon + 1));
  if (!container) return wrong();
  port.container = *container;
  if (colon == rest.npos) return port;
  rest = rest.substr(0, colon);
  colon = rest.rfind(':');
  // The last colon of "[::1]" is the address's.
  if (!rest.empty() && rest.back() == ']') return wrong();
  port.host = ParseRange(colon == rest.npos ? rest : rest.substr(colon + 1));
  if (!port.host) return wrong();
  if (colon == rest.npos) return port;
  rest = rest.substr(0, colon);
  if (rest.size() > 2 && rest.front() == '[' && rest.back() == ']') {
    rest = rest.substr(1, rest.size() - 2);
  }
  port.host_ip = std::string(rest);
  return port;
}

}  // namespace

absl::Status AddNetworks(const std::vector<std::string>& flags,
                         v1::PodSpec* spec) {
  std::vector<v1::NetworkAttachment> list;
  for (const std::string& flag : flags) {
    for (absl::string_view part : absl::StrSplit(flag, ',')) {
      if (part.empty()) return Bad("--network", flag, "a name is missing");
      RETURN_IF_ERROR(AddPart(part, list));
    }
  }
  bool plain = true;
  for (const v1::NetworkAttachment& one : list) plain = plain && IsPlain(one);
  for (v1::NetworkAttachment& one : list) {
    if (plain) {
      spec->add_networks(one.name());
    } else {
      *spec->add_network_attachments() = std::move(one);
    }
  }
  return absl::OkStatus();
}

absl::Status AddPort(const std::string& flag, v1::Container* app) {
  ASSIGN_OR_RETURN(PortFlag port, ParsePort(flag));
  int count = port.container.last - port.container.first;
  if (port.host && port.host->last - port.host->first != count) {
    return Bad("--port", flag, "the two ranges are not of one length");
  }
  for (int i = 0; i <= count; ++i) {
    v1::ContainerPort* to = app->add_ports();
    to->set_container_port(port.container.first + i);
    to->set_protocol(port.protocol);
    if (!port.host) continue;
    to->set_host_port(port.host->first + i);
    to->set_host_ip(port.host_ip);
  }
  return absl::OkStatus();
}

absl::Status AddHost(const std::string& flag, v1::PodSpec* spec) {
  size_t colon = flag.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == flag.size()) {
    return Bad("--add-host", flag, "must be NAME:IP");
  }
  v1::HostAlias* alias = spec->add_host_aliases();
  alias->set_ip(flag.substr(colon + 1));
  for (absl::string_view name : absl::StrSplit(flag.substr(0, colon), ',')) {
    alias->add_hostnames(std::string(name));
  }
  return absl::OkStatus();
}

absl::StatusOr<ForwardedPort> ParseForwardedPort(const std::string& text) {
  std::vector<std::string> parts = absl::StrSplit(text, ':');
  std::optional<PortRange> remote = ParseRange(parts.back());
  std::optional<PortRange> local = remote;
  if (parts.size() == 2) local = ParseRange(parts[0]);
  bool any = parts.size() == 2 && (parts[0].empty() || parts[0] == "0");
  if (any) local = PortRange{0, 0};
  bool good = parts.size() <= 2 && remote && local &&
              remote->first == remote->last && local->first == local->last;
  if (!good) {
    return Bad("port", text, "must be [LOCAL_PORT:]REMOTE_PORT");
  }
  return ForwardedPort{static_cast<uint16_t>(local->first),
                       static_cast<uint16_t>(remote->first)};
}

}  // namespace davit::cli
