#ifndef DAVIT_NET_CNI_NETWORK_CONFIG_H_
#define DAVIT_NET_CNI_NETWORK_CONFIG_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/cni/json.h"

namespace davit {

// One entry of a configuration list.
struct CniPluginConfig {
  std::string type;
  CniJson config;  // the whole object as written, "type" and unknown keys too
};

// A network configuration list, CNI specification 1.1.0 section 1.
struct CniNetworkConfig {
  std::string name;
  // The version that we speak with the plugins: the highest that we know out of
  // "cniVersion" and "cniVersions"; "0.1.0" if the document names none.
  std::string cni_version;
  // All that we know of these, ascending; the last one is cni_version.
  std::vector<std::string> versions;
  bool disable_check = false;
  bool disable_gc = false;
  std::vector<CniPluginConfig> plugins;  // never empty
  // The list as JSON. Parsing it again, on its own, gives an equal list.
  std::string text;
};

// Finds more plugins of the network `name` beside its list (see
// "loadOnlyInlinedPlugins" in the specification).
using CniPluginLoader = std::function<absl::StatusOr<std::vector<CniJson>>(
    const std::string& name)>;

// Parses a configuration list (.conflist), or a single plugin's configuration
// (.conf), which becomes a list of one. `more_plugins` may be empty.
// InvalidArgument naming the key.
absl::StatusOr<CniNetworkConfig> ParseCniNetworkConfig(
    absl::string_view text, const CniPluginLoader& more_plugins = nullptr);

// True if `version` is at least `minimum`; both are versions of the CNI
// specification, an unknown one is the lowest.
bool CniVersionAtLeast(absl::string_view version, absl::string_view minimum);

bool IsKnownCniVersion(absl::string_view version);

// `network` as if it said "cniVersion": `version`, and no "cniVersions".
CniNetworkConfig WithCniVersion(const CniNetworkConfig& network,
                                absl::string_view version);

// True if a plugin of the list says that it takes the capability's value.
bool CniHasCapability(const CniNetworkConfig& network, absl::string_view name);

// "ips" and "mac" have a second way to a plugin, for lists that do not declare
// the capability: "args.cni" (CONVENTIONS.md of the specification).
bool IsCniArgsCapability(absl::string_view name);

// Rules of the specification for names that meet file names and environments.
// `what` ("network name", "container id") begins the error.
absl::Status ValidateCniIdentifier(absl::string_view what,
                                   absl::string_view value);
// An interface name: 1 to 15 bytes, not "." or "..", no '/', ':' or white space
// (dev_valid_name() in the kernel).
absl::Status ValidateCniIfname(absl::string_view ifname);

}  // namespace davit

#endif  // DAVIT_NET_CNI_NETWORK_CONFIG_H_
