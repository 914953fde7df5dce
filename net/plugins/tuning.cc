#include "net/plugins/tuning.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "net/netlink/in_netns.h"
#include "net/netlink/netlink.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/pod_netns.h"
#include "net/plugins/tuning_backup.h"
#include "net/plugins/tuning_config.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

absl::StatusOr<JsonObject> RequirePrevResult(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::optional<JsonObject> previous,
                   request.config.Object("prevResult"));
  if (!previous.has_value()) {
    return absl::InvalidArgumentError("Required prevResult missing");
  }
  RETURN_IF_ERROR(ParseCniResult(*previous, request.cni_version), "prevResult");
  return *std::move(previous);
}

// In the pod's namespace.
absl::Status SetSysctls(const TuningConfig& config) {
  for (const TuningSysctl& sysctl : config.sysctls) {
    RETURN_IF_ERROR(WriteKernelFile(sysctl.path, sysctl.value),
                    "sysctl." + sysctl.key);
  }
  return absl::OkStatus();
}

// The words of a value: the kernel separates them by tabs, people by spaces.
std::vector<std::string> Words(const std::string& value) {
  return absl::StrSplit(value, absl::ByAnyChar(" \t\n"), absl::SkipEmpty());
}

absl::Status CheckSysctls(const TuningConfig& config) {
  for (const TuningSysctl& sysctl : config.sysctls) {
    ASSIGN_OR_RETURN(std::string value, ReadFile(sysctl.path));
    if (Words(value) != Words(sysctl.value)) {
      return absl::FailedPreconditionError(absl::StrFormat(
          "sysctl %s is to be \"%s\" and is \"%s\"", sysctl.path, sysctl.value,
          absl::StripAsciiWhitespace(value)));
    }
  }
  return absl::OkStatus();
}

// Files of attachments are nobody's once DEL is done, whatever was in them.
absl::Status Restore(Netlink& pod, const std::string& ifname,
                     const std::string& backup) {
  absl::StatusOr<LinkChange> change = ReadTuningBackup(backup);
  absl::StatusOr<Link> link = pod.GetLink(ifname);
  if (change.ok() && link.ok()) {
    RETURN_IF_ERROR(pod.ChangeLink(link->index, *change));
  }
  return RemoveFile(backup);
}

absl::Status ChangeInterface(const PluginRequest& request,
                             const TuningConfig& config, int netns_fd) {
  ASSIGN_OR_RETURN(std::string data_dir, ParseTuningDataDir(request));
  const std::string backup =
      TuningBackupPath(data_dir, request.container_id, request.ifname);
  ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns_fd));
  ASSIGN_OR_RETURN(Link link, pod.GetLink(request.ifname));
  // What an earlier container of this id has left must not be restored.
  RETURN_IF_ERROR(RemoveFile(backup));
  Rollback rollback;
  rollback.Add("restore interface",
               [&] { return Restore(pod, request.ifname, backup); });
  RETURN_IF_ERROR(WriteTuningBackup(backup, config, link), "backup");
  LinkChange change{.all_multicast = config.all_multicast,
                    .mac = config.mac,
                    .mtu = config.mtu,
                    .tx_queue_length = config.tx_queue_length};
  if (config.promisc) change.promiscuous = true;
  RETURN_IF_ERROR(pod.ChangeLink(link.index, change));
  rollback.Commit();
  return absl::OkStatus();
}

// prevResult as it is, but for the MAC address of the interface.
absl::StatusOr<std::string> FormatResult(const PluginRequest& request,
                                         const TuningConfig& config,
                                         const JsonObject& previous) {
  Json json = previous.json();
  if (config.mac.has_value() && json.contains("interfaces")) {
    for (Json& interface : json["interfaces"]) {
      if (interface.is_object() && interface["name"] == request.ifname) {
        interface["mac"] = config.mac->ToString();
      }
    }
  }
  ASSIGN_OR_RETURN(JsonObject changed, JsonObject::Parse(json.dump()));
  return FormatPassedResult(changed, request.cni_version);
}

absl::StatusOr<std::string> Add(const PluginRequest& request) {
  ASSIGN_OR_RETURN(TuningConfig config, ParseTuningConfig(request));
  RETURN_IF_ERROR(CheckTuningAllowlist(config));
  ASSIGN_OR_RETURN(JsonObject previous, RequirePrevResult(request));
  ASSIGN_OR_RETURN(UniqueFd netns, OpenPodNetns(request.netns));
  RETURN_IF_ERROR(RunInNetns(netns.get(), [&] { return SetSysctls(config); }));
  if (config.changes_link()) {
    RETURN_IF_ERROR(ChangeInterface(request, config, netns.get()));
  }
  return FormatResult(request, config, previous);
}

absl::Status Del(const PluginRequest& request) {
  ASSIGN_OR_RETURN(std::string data_dir, ParseTuningDataDir(request));
  const std::string backup =
      TuningBackupPath(data_dir, request.container_id, request.ifname);
  if (!PathExists(backup)) return absl::OkStatus();
  // A pod that cannot be restored must still be deleted.
  absl::StatusOr<UniqueFd> netns = OpenPodNetns(request.netns);
  absl::StatusOr<Netlink> pod =
      netns.ok() ? Netlink::OpenIn(netns->get()) : netns.status();
  if (pod.ok()) {
    Restore(*pod, request.ifname, backup).IgnoreError();
  } else {
    RemoveFile(backup).IgnoreError();
  }
  return absl::OkStatus();
}

absl::Status Differs(const char* what, const std::string& ifname,
                     const std::string& wanted, const std::string& found) {
  return absl::FailedPreconditionError(absl::StrFormat(
      "%s of %s is to be %s and is %s", what, ifname, wanted, found));
}

absl::Status CheckLink(const TuningConfig& config, const Link& link) {
  auto on = [](bool value) -> std::string { return value ? "on" : "off"; };
  if (config.mac && link.mac != config.mac) {
    return Differs("mac", link.name, config.mac->ToString(),
                   link.mac.value_or(MacAddress()).ToString());
  }
  if (config.promisc != link.promiscuous) {
    return Differs("promisc", link.name, on(config.promisc),
                   on(link.promiscuous));
  }
  if (config.mtu && link.mtu != *config.mtu) {
    return Differs("mtu", link.name, absl::StrCat(*config.mtu),
                   absl::StrCat(link.mtu));
  }
  if (config.all_multicast && link.all_multicast != *config.all_multicast) {
    return Differs("allmulti", link.name, on(*config.all_multicast),
                   on(link.all_multicast));
  }
  if (config.tx_queue_length &&
      link.tx_queue_length != *config.tx_queue_length) {
    return Differs("txQLen", link.name, absl::StrCat(*config.tx_queue_length),
                   absl::StrCat(link.tx_queue_length));
  }
  return absl::OkStatus();
}

absl::Status Check(const PluginRequest& request) {
  ASSIGN_OR_RETURN(TuningConfig config, ParseTuningConfig(request));
  RETURN_IF_ERROR(RequirePrevResult(request));
  ASSIGN_OR_RETURN(UniqueFd netns, OpenPodNetns(request.netns));
  RETURN_IF_ERROR(
      RunInNetns(netns.get(), [&] { return CheckSysctls(config); }));
  ASSIGN_OR_RETURN(Netlink pod, Netlink::OpenIn(netns.get()));
  ASSIGN_OR_RETURN(Link link, pod.GetLink(request.ifname));
  return CheckLink(config, link);
}

}  // namespace

const Plugin kTuningPlugin = {
    .type = "tuning",
    .uses_netns = true,
    .add = Add,
    .del = Del,
    .check = Check,
    .status = nullptr,
    .gc = nullptr,
};

}  // namespace davit
