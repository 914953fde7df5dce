// Network configuration lists and single configurations, as the runtime reads
// them.

#include <stdint.h>

#include <string>

#include "net/cni/network_config.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  const std::string text(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<CniNetworkConfig> config = ParseCniNetworkConfig(text);
  if (!config.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(config.status()));
    return 0;
  }
  FUZZ_CHECK(!config->plugins.empty());
  FUZZ_CHECK(ValidateCniIdentifier("network name", config->name).ok());
  // What the cache keeps must be read again as the same.
  absl::StatusOr<CniNetworkConfig> again = ParseCniNetworkConfig(config->text);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(again->name == config->name);
  FUZZ_CHECK(again->cni_version == config->cni_version);
  FUZZ_CHECK(again->disable_check == config->disable_check);
  FUZZ_CHECK(again->text == config->text);
  FUZZ_CHECK(again->plugins.size() == config->plugins.size());
  for (size_t i = 0; i < config->plugins.size(); ++i) {
    FUZZ_CHECK(again->plugins[i].type == config->plugins[i].type);
    FUZZ_CHECK(DumpCniJson(again->plugins[i].config) ==
               DumpCniJson(config->plugins[i].config));
  }
  return 0;
}
