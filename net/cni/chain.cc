#include "net/cni/chain.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/cni/one_line.h"
#include "net/cni/result.h"
#include "net/cni/result_version.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Bytes of a plugin's nonsense that an error quotes.
constexpr size_t kShownOutput = 512;

// The first version with CHECK, and with "prevResult" for DEL.
constexpr absl::string_view kCheckVersion = "0.4.0";
// The first one with STATUS and GC.
constexpr absl::string_view kStatusVersion = "1.1.0";

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

// Those values that the list has no capability for but another way.
void AddCniArgs(const CniNetworkConfig& network, const CniJson& capability_args,
                CniJson& config) {
  for (const auto& [name, value] : capability_args.items()) {
    if (!IsCniArgsCapability(name) || CniHasCapability(network, name)) continue;
    CniJson& args = config["args"];
    if (!args.is_object()) args = CniJson::object();
    CniJson& cni = args["cni"];
    if (!cni.is_object()) cni = CniJson::object();
    cni[name] = value;
  }
}

// What a plugin printed, in the version that the next one is spoken to in: a
// plugin may answer in another one.
absl::StatusOr<CniJson> ReadResult(absl::string_view out,
                                   const std::string& version) {
  ASSIGN_OR_RETURN(CniJson result, ParseCniResult(out, version));
  if (result["cniVersion"] == version) return result;
  return ConvertCniResult(result, version);
}

// Of a cached result, which another runtime may have written.
CniJson InVersion(const CniJson& result, const std::string& version) {
  absl::StatusOr<CniJson> converted = ConvertCniResult(result, version);
  return converted.ok() ? *std::move(converted) : result;
}

// `config` of a plugin call that is for no attachment.
std::string WithoutAttachment(const CniNetworkConfig& network, size_t index) {
  return DeriveCniPluginConfig(network, index, CniJson::object(), nullptr);
}

CniJson ValidAttachments(const std::vector<CniValidAttachment>& valid) {
  CniJson list = CniJson::array();
  for (const CniValidAttachment& attachment : valid) {
    list.push_back({{"containerID", attachment.container_id},
                    {"ifname", attachment.ifname}});
  }
  return list;
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
  AddCniArgs(network, capability_args, config);
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
    absl::StatusOr<CniJson> result = ReadResult(out, network.cni_version);
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
  std::optional<CniJson> result;
  if (tell_result && progress.result.has_value()) {
    result = InVersion(*progress.result, network.cni_version);
  }
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> failures;
  for (size_t i = progress.begun; i-- > 0;) {
    absl::Status status =
        exec.Run(network.plugins[i].type, "DEL", attachment,
                 DeriveCniPluginConfig(network, i, attachment.capability_args,
                                       PointerTo(result)))
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
  CniJson previous = InVersion(result, network.cni_version);
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    RETURN_IF_ERROR(
        exec.Run(network.plugins[i].type, "CHECK", attachment,
                 DeriveCniPluginConfig(network, i, attachment.capability_args,
                                       &previous)));
  }
  return absl::OkStatus();
}

absl::Status StatusCniChain(const CniExec& exec,
                            const CniNetworkConfig& network) {
  if (!CniVersionAtLeast(network.cni_version, kStatusVersion)) {
    return absl::OkStatus();
  }
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    RETURN_IF_ERROR(exec.Run(network.plugins[i].type, "STATUS", {},
                             WithoutAttachment(network, i)));
  }
  return absl::OkStatus();
}

bool CniChainHasGc(const CniNetworkConfig& network) {
  return CniVersionAtLeast(network.cni_version, kStatusVersion) &&
         !network.disable_gc;
}

absl::Status GcCniChain(const CniExec& exec, const CniNetworkConfig& network,
                        const std::vector<CniValidAttachment>& valid) {
  if (!CniChainHasGc(network)) return absl::OkStatus();
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> failures;
  for (size_t i = 0; i < network.plugins.size(); ++i) {
    CniNetworkConfig told = network;
    told.plugins[i].config["cni.dev/valid-attachments"] =
        ValidAttachments(valid);
    absl::Status status =
        exec.Run(network.plugins[i].type, "GC", {}, WithoutAttachment(told, i))
            .status();
    if (status.ok()) continue;
    if (failures.empty()) code = status.code();
    failures.emplace_back(status.message());
  }
  return absl::Status(code, absl::StrJoin(failures, "; "));
}

}  // namespace davit
