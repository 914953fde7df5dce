#include "net/cni/chain.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/cni/one_line.h"
#include "net/cni/result.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Bytes of a plugin's nonsense that an error quotes.
constexpr size_t kShownOutput = 512;

// The first version with CHECK, and with "prevResult" for DEL.
constexpr absl::string_view kCheckVersion = "0.4.0";

CniJson RuntimeConfig(const CniJson& plugin, const CniJson& capability_args) {
  CniJson runtime_config = CniJson::object();
  const CniJson* declared = FindCniMember(plugin, "capabilities");
  if (declared == nullptr) return runtime_config;
  for (const auto& [name, wanted] : declared->items()) {
    const CniJson* value = FindCniMember(capability_args, name);
    if (wanted == true && value != nullptr) runtime_config[name] = *value;
  }
  return runtime_config;
}

const CniJson* PointerTo(const std::optional<CniJson>& json) {
  return json.has_value() ? &*json : nullptr;
}

}  // namespace

std::string DeriveCniPluginConfig(const CniNetworkConfig& network, size_t index,
                                  const CniJson& capability_args,
                                  const CniJson* prev_result) {
  CniJson config = network.plugins[index].config;
  CniJson runtime_config = RuntimeConfig(config, capability_args);
  // The last two are ours to give: a value in the file is not for the plugin.
  for (const char* key : {"capabilities", "runtimeConfig", "prevResult"}) {
    config.erase(key);
  }
  config["name"] = network.name;
  config["cniVersion"] = network.cni_version;
  if (!runtime_config.empty()) {
    config["runtimeConfig"] = std::move(runtime_config);
  }
  if (prev_result != nullptr) config["prevResult"] = *prev_result;
  return DumpCniJson(config);
}

absl::Status FindCniPlugins(const CniExec& exec,
                            const CniNetworkConfig& network) {
  for (const CniPluginConfig& plugin : network.plugins) {
    RETURN_IF_ERROR(exec.Find(plugin.type));
  }
  return absl::OkStatus();
}

absl::Status AddCniChain(const CniExec& exec, const CniNetworkConfig& network,
                         const CniAttachment& attachment,
                         CniChainProgress& progress) {
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    const std::string& type = network.plugins[i].type;
    progress.begun = i + 1;
    ASSIGN_OR_RETURN(
        std::string out,
        exec.Run(type, "ADD", attachment,
                 DeriveCniPluginConfig(network, i, attachment.capability_args,
                                       PointerTo(progress.result))));
    absl::StatusOr<CniJson> result = ParseCniResult(out, network.cni_version);
    if (!result.ok()) {
      return absl::InternalError(
          absl::StrCat("plugin \"", type,
                       "\" ADD printed no result: ", result.status().message(),
                       "; it printed: \"", OneLine(out, kShownOutput), "\""));
    }
    progress.result = *std::move(result);
  }
  return absl::OkStatus();
}

absl::Status DelCniChain(const CniExec& exec, const CniNetworkConfig& network,
                         const CniAttachment& attachment,
                         const CniChainProgress& progress) {
  bool tell_result = CniVersionAtLeast(network.cni_version, kCheckVersion);
  const CniJson* prev_result =
      tell_result ? PointerTo(progress.result) : nullptr;
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> failures;
  for (size_t i = progress.begun; i-- > 0;) {
    absl::Status status =
        exec.Run(network.plugins[i].type, "DEL", attachment,
                 DeriveCniPluginConfig(network, i, attachment.capability_args,
                                       prev_result))
            .status();
    if (status.ok()) continue;
    if (failures.empty()) code = status.code();
    failures.emplace_back(status.message());
  }
  return absl::Status(code, absl::StrJoin(failures, "; "));
}

absl::Status CheckCniChain(const CniExec& exec, const CniNetworkConfig& network,
                           const CniAttachment& attachment,
                           const CniJson& result) {
  bool checks = CniVersionAtLeast(network.cni_version, kCheckVersion);
  if (!checks || network.disable_check) return absl::OkStatus();
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    RETURN_IF_ERROR(
        exec.Run(network.plugins[i].type, "CHECK", attachment,
                 DeriveCniPluginConfig(network, i, attachment.capability_args,
                                       &result)));
  }
  return absl::OkStatus();
}

}  // namespace davit
