#include "net/plugins/parity/kernel_state.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"

namespace davit::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// The answer of `program`, one of ip(8) and tc(8), to a question with -json.
json Ask(const TestNetns& netns, const std::vector<std::string>& argv) {
  SubprocessSpec spec;
  spec.path = absl::StrCat("/usr/sbin/", argv[0]);
  spec.argv = argv;
  spec.netns_fd = netns.fd();
  auto result = RunSubprocess(spec);
  if (!result.ok()) return {{{"error", result.status().ToString()}}};
  // tc says nothing at all where there is nothing.
  if (result->ExitedWith(0) && result->out.empty()) return json::array();
  json answer = json::parse(result->out, nullptr, false);
  if (!answer.is_array()) return {{{"error", result->out + result->err}}};
  // Deleted entries show up as empty objects.
  json entries = json::array();
  for (const json& entry : answer) {
    if (!entry.empty()) entries.push_back(entry);
  }
  return entries;
}

std::string Text(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// Lists become one fact, in order of the alphabet; objects one for each member.
void AddFacts(const std::string& key, const json& value, Facts* facts) {
  if (value.is_array()) {
    std::set<std::string> sorted;
    for (const json& element : value) sorted.insert(Text(element));
    (*facts)[key] = absl::StrJoin(sorted, " ");
  } else if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      AddFacts(absl::StrCat(key, "/", name), member, facts);
    }
  } else {
    (*facts)[key] = Text(value);
  }
}

void RemoveKeys(json* object, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) object->erase(key);
}

// Bridges count down in public.
void RemoveTimers(json* object) {
  for (auto item = object->begin(); item != object->end();) {
    if (absl::EndsWith(item.key(), "_timer")) {
      item = object->erase(item);
      continue;
    }
    if (item->is_object()) RemoveTimers(&*item);
    ++item;
  }
}

void RemoveFlagsOfTheMoment(json* object) {
  if (!object->contains("flags")) return;
  static const auto* const kOfTheMoment =
      new std::set<std::string>{"NO-CARRIER", "LOWER_UP", "M-DOWN", "linkdown"};
  json flags = json::array();
  for (const json& flag : (*object)["flags"]) {
    if (!kOfTheMoment->contains(Text(flag))) flags.push_back(flag);
  }
  (*object)["flags"] = flags;
}

bool IsLinkLocal(const std::string& text) {
  return absl::StartsWith(text, "fe80:");
}

void AddLinks(const TestNetns& netns, const std::string& prefix, Facts* facts) {
  for (json link : Ask(netns, {"ip", "-j", "-d", "link", "show"})) {
    std::string name = link.value("ifname", "error");
    RemoveKeys(&link,
               {"ifindex", "ifname", "link", "link_index", "link_netnsid",
                "operstate", "num_tx_queues", "num_rx_queues", "linkmode"});
    RemoveFlagsOfTheMoment(&link);
    RemoveTimers(&link);
    AddFacts(absl::StrCat(prefix, "/link/", name), link, facts);
  }
}

void AddAddresses(const TestNetns& netns, const std::string& prefix,
                  Facts* facts) {
  for (const json& link : Ask(netns, {"ip", "-j", "-d", "addr", "show"})) {
    for (json address : link.value("addr_info", json::array())) {
      std::string local = address.value("local", "?");
      if (IsLinkLocal(local)) continue;
      std::string key =
          absl::StrFormat("%s/addr/%s/%s:%d", prefix, link.value("ifname", "?"),
                          local, address.value("prefixlen", -1));
      RemoveKeys(&address, {"local", "prefixlen", "tentative"});
      AddFacts(key, address, facts);
    }
  }
}

void AddRoutes(const TestNetns& netns, const char* family,
               const std::string& prefix, Facts* facts) {
  for (json route : Ask(netns, {"ip", family, "-j", "-d", "route", "show",
                                "table", "all"})) {
    std::string destination = route.value("dst", "error");
    if (IsLinkLocal(destination) || destination == "ff00::/8") continue;
    std::string key = absl::StrFormat(
        "%s/route%s/%s/%s:%s:%s:%d", prefix, family,
        route.value("table", "main"), route.value("type", "unicast"),
        destination, route.value("dev", ""), route.value("metric", 0));
    RemoveKeys(&route, {"dst", "dev", "table", "type", "metric"});
    RemoveFlagsOfTheMoment(&route);
    AddFacts(key, route, facts);
  }
}

void AddNeighbours(const TestNetns& netns, const std::string& prefix,
                   Facts* facts) {
  for (json neighbour :
       Ask(netns, {"ip", "-j", "neigh", "show", "nud", "permanent"})) {
    std::string key =
        absl::StrFormat("%s/neigh/%s/%s", prefix, neighbour.value("dev", "?"),
                        neighbour.value("dst", "error"));
    RemoveKeys(&neighbour, {"dev", "dst"});
    AddFacts(key, neighbour, facts);
  }
}

void AddShaping(const TestNetns& netns, const std::string& prefix,
                Facts* facts) {
  for (json qdisc : Ask(netns, {"tc", "-j", "-d", "qdisc", "show"})) {
    std::string device = qdisc.value("dev", "error");
    std::string key =
        absl::StrCat(prefix, "/qdisc/", device, "/", qdisc.value("kind", "?"));
    RemoveKeys(&qdisc, {"dev", "kind", "refcnt"});
    AddFacts(key, qdisc, facts);
    if (!absl::EndsWith(key, "/ingress")) continue;
    int number = 0;
    for (json filter : Ask(netns, {"tc", "-j", "-d", "filter", "show", "dev",
                                   device, "parent", "ffff:"})) {
      // Numbers that the kernel counts up over all namespaces.
      if (filter.contains("options") && filter["options"].contains("actions")) {
        for (json& action : filter["options"]["actions"]) {
          RemoveKeys(&action, {"index", "ref", "bind"});
        }
      }
      AddFacts(absl::StrFormat("%s/filter/%s/%d", prefix, device, number++),
               filter, facts);
    }
  }
}

// Secrets, counters, and files that are only written to read as nothing.
bool IsVolatileSysctl(const std::string& path) {
  return absl::EndsWith(path, "nf_conntrack_count") ||
         absl::EndsWith(path, "tcp_fastopen_key");
}

void AddSysctls(const TestNetns& netns, const std::string& prefix,
                Facts* facts) {
  netns
      .Run([&] {
        std::error_code error;
        fs::recursive_directory_iterator end, entry("/proc/sys/net", error);
        for (; entry != end; entry.increment(error)) {
          const std::string path = entry->path();
          if (!entry->is_regular_file(error) || IsVolatileSysctl(path)) {
            continue;
          }
          auto value = ReadFile(path);
          if (!value.ok()) continue;
          (*facts)[prefix + path.substr(std::string("/proc").size())] =
              std::string(absl::StripAsciiWhitespace(*value));
        }
        return absl::OkStatus();
      })
      .IgnoreError();
}

}  // namespace

Facts ReadKernelState(const TestNetns& netns, const std::string& prefix) {
  Facts facts;
  AddLinks(netns, prefix, &facts);
  AddAddresses(netns, prefix, &facts);
  AddRoutes(netns, "-4", prefix, &facts);
  AddRoutes(netns, "-6", prefix, &facts);
  AddNeighbours(netns, prefix, &facts);
  AddShaping(netns, prefix, &facts);
  AddSysctls(netns, prefix, &facts);
  return facts;
}

Facts ReadFiles(const std::string& directory, const std::string& prefix) {
  Facts facts;
  std::error_code error;
  fs::recursive_directory_iterator end, entry(directory, error);
  for (; !error && entry != end; entry.increment(error)) {
    if (!entry->is_regular_file(error)) continue;
    const std::string path = entry->path();
    const std::string key = absl::StrCat(prefix, path.substr(directory.size()));
    facts[key] = ReadFile(path).value_or("unreadable");
    facts[key + "/mode"] = absl::StrFormat(
        "%o", static_cast<unsigned>(entry->status(error).permissions()));
  }
  return facts;
}

}  // namespace davit::testing
