// A plugin's whole input: the first line is CNI_ARGS, the rest the
// configuration on standard input.

#include <stdint.h>

#include <string>

#include "net/plugins/bridge_config.h"
#include "net/plugins/host_local_config.h"
#include "net/plugins/interface_config.h"
#include "net/plugins/macvlan_config.h"
#include "net/plugins/plugin_main.h"
#include "net/plugins/portmap_config.h"
#include "net/plugins/static_ipam_config.h"
#include "net/plugins/tuning_config.h"
#include "runtime/base/status_macros.h"
#include "tests/fuzz/fuzz.h"

namespace davit {
namespace {

// Reads all that plugins read, and does nothing.
absl::StatusOr<std::string> Add(const PluginRequest& request) {
  absl::Status status = ParseInterfaceConfig(request).status();
  status.Update(ParsePrevResult(request).status());
  ParseBridgeConfig(request).status().IgnoreError();
  ParseMacvlanConfig(request).status().IgnoreError();
  ParsePortmapConfig(request).status().IgnoreError();
  ParseStaticIpamConfig(request).status().IgnoreError();
  ParseTuningConfig(request).status().IgnoreError();
  ASSIGN_OR_RETURN(HostLocalConfig config, ParseHostLocalConfig(request));
  FUZZ_CHECK(!config.sets.empty());
  FUZZ_CHECK(!config.data_dir.empty());
  RETURN_IF_ERROR(status);
  return std::string("{}");
}

const Plugin kReader = {.type = "reader",
                        .uses_netns = true,
                        .add = Add,
                        .del = nullptr,
                        .check = nullptr,
                        .status = nullptr,
                        .gc = nullptr};

std::string GetEnv(const std::string& name, const std::string& args) {
  if (name == "CNI_COMMAND") return "ADD";
  if (name == "CNI_CONTAINERID") return "pod";
  if (name == "CNI_IFNAME") return "eth0";
  if (name == "CNI_NETNS" || name == "CNI_PATH") return "/nonexistent";
  return name == "CNI_ARGS" ? args : "";
}

}  // namespace
}  // namespace davit

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t end = std::min(text.find('\n'), text.size());
  PluginInput input;
  input.getenv = [&](const char* name) {
    return GetEnv(name, text.substr(0, end));
  };
  input.read_stdin = [&]() -> absl::StatusOr<std::string> {
    return text.substr(std::min(end + 1, text.size()));
  };
  PluginOutput output = RunPlugin(kReader, input);
  // Errors are JSON, whatever bytes they quote.
  absl::StatusOr<JsonObject> object = JsonObject::Parse(output.out);
  FUZZ_CHECK(object.ok());
  FUZZ_CHECK((output.exit_code == 0) == !object->Has("code"));
  return 0;
}
