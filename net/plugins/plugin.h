#ifndef DAVIT_NET_PLUGINS_PLUGIN_H_
#define DAVIT_NET_PLUGINS_PLUGIN_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/plugins/json_object.h"

namespace davit {

// One call of a plugin, checked: what the environment and standard input said.
struct PluginRequest {
  std::string command;  // "ADD", …
  // Valid for ADD, DEL and CHECK; empty for STATUS and GC.
  std::string container_id;
  std::string ifname;
  std::string netns;       // a path; may be empty, gone or no netns at DEL
  std::string args;        // CNI_ARGS
  std::string path;        // CNI_PATH
  std::string stdin_data;  // as received, for delegated plugins
  JsonObject config;
  std::string network;      // config's name, valid
  std::string cni_version;  // config's, one that we support
};

// What a plugin does. A null function means that there is nothing to do.
struct Plugin {
  const char* type;
  // It enters or names CNI_NETNS, so that must not be the node's own.
  bool uses_netns;
  // The text of the result.
  absl::StatusOr<std::string> (*add)(const PluginRequest&);
  absl::Status (*del)(const PluginRequest&);
  absl::Status (*check)(const PluginRequest&);
  absl::Status (*status)(const PluginRequest&);
  absl::Status (*gc)(const PluginRequest&);
  // The oldest version of the specification that it can speak.
  const char* first_version = "0.1.0";
};

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PLUGIN_H_
