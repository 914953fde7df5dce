#include "net/plugins/parity/parity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_version.h"
#include "net/plugins/parity/differences.h"
#include "net/plugins/parity/kernel_state.h"
#include "net/plugins/parity/tcp_probe.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"

namespace davit::testing {
namespace {

constexpr char kNetwork[] = "net";
constexpr uint16_t kEffectPort = 7777;

IpAddress Ip(const std::string& text) { return *IpAddress::Parse(text); }

void RequireOk(const absl::Status& status) {
  EXPECT_TRUE(status.ok()) << status;
}

// One of the two that run a row.
class Side {
 public:
  Side(const ParityRow& row, bool ours) : row_(row), ours_(ours) {
    RequireOk(MakeDirectories(world_.path("data")));
    pod_ = world_.AddPod("pod");
    ConnectOutside();
    if (row.prepare) row.prepare(world_, pod_);
  }

  Facts Run() {
    const bool added = AddAll();
    Observe("");
    if (added) {
      Probe();
      if (row_.damage) row_.damage(world_, pod_);
      if (Supports("0.4.0")) CheckAll();
    }
    DelAll("del", added);
    Observe("after/");
    DelAll("del-again", added);
    return Neutral(facts_);
  }

 private:
  void ConnectOutside();
  bool AddAll();
  void CheckAll();
  void DelAll(const std::string& phase, bool added);
  void Observe(const std::string& prefix);
  void Probe();
  void AddResultFacts(const std::string& prefix, const PluginAnswer& answer);
  PluginAnswer Call(size_t index, const std::string& command, bool previous);
  void Record(const std::string& prefix, const PluginAnswer& answer);
  std::string ConfigOf(size_t index, bool previous) const;
  Facts Neutral(const Facts& facts) const;
  std::string Plugins() const {
    return ours_ ? world_.our_plugins() : PluginWorld::kGoPlugins;
  }
  // Without a final slash.
  std::string Root() const {
    return std::filesystem::path(world_.path("data")).parent_path();
  }
  bool Supports(const char* version) const {
    return *VersionAtLeast(row_.version, version);
  }

  const ParityRow& row_;
  const bool ours_;
  PluginWorld world_;
  TestNetns outside_;
  std::string pod_;
  std::optional<Json> result_;  // of the last ADD
  Facts facts_;
};

// The node's up0 with an address of each family, and everything outside that
// finds its way back by it.
void Side::ConnectOutside() {
  Netlink& node = world_.node_link();
  Netlink outside = *Netlink::OpenIn(outside_.fd());
  RequireOk(node.AddVethPair(
      {.name = "up0", .peer_name = "up0", .peer_netns_fd = outside_.fd()}));
  auto configure = [](Netlink& netlink, const char* v4, const char* v6) {
    const int index = netlink.GetLink("up0")->index;
    RequireOk(netlink.AddAddress({.index = index, .prefix = {Ip(v4), 24}}));
    RequireOk(netlink.AddAddress(
        {.index = index, .prefix = {Ip(v6), 64}, .no_dad = true}));
    RequireOk(netlink.SetLinkUp(index, true));
    return index;
  };
  configure(node, kNode4, kNode6);
  const int index = configure(outside, kOutside4, kOutside6);
  RequireOk(outside.AddRoute({.index = index,
                              .destination = {Ip("0.0.0.0"), 0},
                              .gateway = Ip(kNode4)}));
  RequireOk(outside.AddRoute(
      {.index = index, .destination = {Ip("::"), 0}, .gateway = Ip(kNode6)}));
}

std::string Side::ConfigOf(size_t index, bool previous) const {
  Json config =
      Json::parse(absl::StrReplaceAll(row_.chain[index], {{"$TMP", Root()}}));
  config["cniVersion"] = row_.version;
  config["name"] = kNetwork;
  if (previous && result_.has_value()) config["prevResult"] = *result_;
  return config.dump();
}

PluginAnswer Side::Call(size_t index, const std::string& command,
                        bool previous) {
  const std::string directory = Plugins();
  const std::string type = Json::parse(row_.chain[index])["type"];
  PluginCall call{command, ConfigOf(index, previous), pod_};
  call.args = row_.args;
  call.ifname = row_.ifname;
  return world_.Run(absl::StrCat(directory, "/", type), directory, call);
}

void Side::Record(const std::string& prefix, const PluginAnswer& answer) {
  facts_[prefix + "/exit"] = absl::StrCat(answer.exit_code);
  if (answer.out.empty()) return;
  if (!answer.json.is_object()) {
    facts_[prefix + "/out"] = answer.out;
    return;
  }
  Json json = answer.json;
  // Debian's build prints an empty dns for 1.0.0 too.
  if (json.contains("dns") && json["dns"].empty() && Supports("1.0.0")) {
    json.erase("dns");
  }
  const Json flat = json.flatten();
  for (const auto& [key, value] : flat.items()) {
    facts_[prefix + key] =
        value.is_string() ? value.get<std::string>() : value.dump();
  }
}

// Whether the addresses of the result are those of the kernel, as MAC addresses
// are taken out of the facts.
void Side::AddResultFacts(const std::string& prefix,
                          const PluginAnswer& answer) {
  if (!answer.json.contains("interfaces")) return;
  int number = 0;
  for (const Json& interface : answer.json["interfaces"]) {
    Netlink pod = world_.PodLink(pod_);
    Netlink& netlink = interface.contains("sandbox") ? pod : world_.node_link();
    auto link = netlink.GetLink(interface.value("name", ""));
    const bool same = link.ok() && link->mac.has_value() &&
                      link->mac->ToString() ==
                          absl::AsciiStrToLower(interface.value("mac", ""));
    facts_[absl::StrCat(prefix, "/mac-is-the-kernels/", number++)] =
        same ? "yes" : "no";
  }
}

bool Side::AddAll() {
  for (size_t i = 0; i < row_.chain.size(); ++i) {
    const std::string prefix = absl::StrCat("add/", i);
    PluginAnswer answer = Call(i, "ADD", /*previous=*/true);
    Record(prefix, answer);
    if (answer.exit_code != 0) return false;
    result_ = answer.json;
    // Only the last one's are the kernel's: later plugins change them.
    if (i + 1 == row_.chain.size()) AddResultFacts(prefix, answer);
  }
  return true;
}

void Side::CheckAll() {
  for (size_t i = 0; i < row_.chain.size(); ++i) {
    Record(absl::StrCat("check/", i), Call(i, "CHECK", /*previous=*/true));
  }
}

// As runtimes do: all, last first, with the result if there was one.
void Side::DelAll(const std::string& phase, bool added) {
  for (size_t i = row_.chain.size(); i-- > 0;) {
    Record(absl::StrCat(phase, "/", i),
           Call(i, "DEL", added && Supports("0.4.0")));
  }
}

void Side::Observe(const std::string& prefix) {
  facts_.merge(ReadKernelState(world_.pod(pod_), prefix + "pod"));
  facts_.merge(ReadKernelState(world_.node(), prefix + "node"));
  facts_.merge(ReadFiles(world_.path("data"), prefix + "file"));
}

void Side::Probe() {
  const std::string text = result_->dump();
  for (const char* outside : {kOutside4, kOutside6}) {
    const bool v6 = outside == kOutside6;
    bool has_family = false;
    for (const Json& ip : result_->value("ips", Json::array())) {
      std::string address = ip.value("address", "");
      has_family |= (address.find(':') != std::string::npos) == v6;
    }
    if (!has_family) continue;
    facts_[absl::StrCat("effect/outside-sees-", v6 ? 6 : 4)] =
        ProbeTcp({.client = &world_.pod(pod_),
                  .server = &outside_,
                  .to = Ip(outside),
                  .port = kEffectPort,
                  .server_port = kEffectPort});
  }
  for (const ParityProbe& probe : row_.probes) {
    const TestNetns* from =
        probe.from == ParityProbe::From::kPod    ? &world_.pod(pod_)
        : probe.from == ParityProbe::From::kNode ? &world_.node()
                                                 : &outside_;
    const int server_port = probe.server_port ? probe.server_port : probe.port;
    facts_[absl::StrFormat("effect/%d-to-%s:%d", static_cast<int>(probe.from),
                           probe.to, probe.port)] =
        ProbeTcp({.client = from,
                  .server = &world_.pod(pod_),
                  .to = Ip(probe.to),
                  .port = static_cast<uint16_t>(probe.port),
                  .server_port = static_cast<uint16_t>(server_port)});
  }
}

// Without what is random: directories, names and MAC addresses that were not
// asked for.
Facts Side::Neutral(const Facts& facts) const {
  std::string asked =
      absl::StrCat(row_.args, " ff:ff:ff:ff:ff:ff", " 00:00:00:00:00:00");
  for (const std::string& plugin : row_.chain) asked += plugin;
  asked = absl::AsciiStrToLower(asked);
  static const std::regex kMac("([0-9a-f]{1,2}:){5}[0-9a-f]{1,2}");
  static const std::regex kVeth("veth[0-9a-f]{8}");
  auto neutral = [&](std::string text) {
    text = absl::StrReplaceAll(text, {{Plugins(), "$PLUGINS"}});
    text = absl::StrReplaceAll(text, {{Root(), "$TMP"}});
    text = std::regex_replace(text, kVeth, "VETH");
    std::string out;
    std::smatch match;
    while (std::regex_search(text, match, kMac)) {
      absl::StrAppend(
          &out, match.prefix().str(),
          absl::StrContains(asked, match.str()) ? match.str() : "MAC");
      text = match.suffix();
    }
    return out + text;
  };
  Facts result;
  for (const auto& [name, value] : facts) {
    result[neutral(name)] = neutral(value);
  }
  return result;
}

// Facts of one side that the other has not, or has with another value.
std::map<std::string, std::string> Compare(const Facts& ours, const Facts& go) {
  std::map<std::string, std::string> differences;
  auto value = [](const Facts& facts, const std::string& name) {
    auto found = facts.find(name);
    return found == facts.end() ? "(none)" : "\"" + found->second + "\"";
  };
  for (const Facts* facts : {&ours, &go}) {
    for (const auto& [name, unused] : *facts) {
      std::string our_value = value(ours, name), go_value = value(go, name);
      if (our_value == go_value) continue;
      differences[name] = absl::StrCat("ours ", our_value, ", Go's ", go_value);
    }
  }
  return differences;
}

bool IsDeclared(const std::string& fact,
                const std::vector<ParityDifference>& declared,
                std::set<size_t>* seen) {
  bool found =
      std::any_of(EverywhereDifferences().begin(),
                  EverywhereDifferences().end(), [&](const auto& everywhere) {
                    return std::regex_match(fact, std::regex(everywhere.fact));
                  });
  for (size_t i = 0; i < declared.size(); ++i) {
    if (!std::regex_match(fact, std::regex(declared[i].fact))) continue;
    seen->insert(i);
    found = true;
  }
  return found;
}

bool KernelHas(ParityNeed need) {
  if (need == ParityNeed::kNothing) return true;
  TestNetns netns;
  SubprocessSpec spec;
  spec.path = "/usr/sbin/ip";
  spec.argv = {"ip",     "link",           "add", "probe", "type",
               "bridge", "vlan_filtering", "1"};
  spec.netns_fd = netns.fd();
  auto result = RunSubprocess(spec);
  return result.ok() && result->ExitedWith(0);
}

}  // namespace

void ExpectParity(const ParityRow& row) {
  if (!KernelHas(row.need)) {
    GTEST_SKIP() << "needs a kernel with CONFIG_BRIDGE_VLAN_FILTERING";
  }
  const Facts ours = Side(row, /*ours=*/true).Run();
  const Facts go = Side(row, /*ours=*/false).Run();
  std::set<size_t> seen;
  for (const auto& [fact, difference] : Compare(ours, go)) {
    EXPECT_TRUE(IsDeclared(fact, row.differences, &seen))
        << fact << ": " << difference;
  }
  for (size_t i = 0; i < row.differences.size(); ++i) {
    EXPECT_TRUE(seen.contains(i))
        << "declared, but not seen: " << row.differences[i].fact << " ("
        << row.differences[i].reason << ")";
  }
}

}  // namespace davit::testing
