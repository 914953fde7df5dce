#ifndef DAVIT_NET_PLUGINS_PLUGIN_MAIN_H_
#define DAVIT_NET_PLUGINS_PLUGIN_MAIN_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "net/plugins/plugin.h"

namespace davit {

// Where a call comes from. Standard input is read only if the command needs it.
struct PluginInput {
  std::function<std::string(const char*)> getenv;  // "" if unset
  std::function<absl::StatusOr<std::string>()> read_stdin;
};

// What the process has to print and its exit status.
struct PluginOutput {
  int exit_code = 0;
  std::string out;
  std::string err;
};

// The execution protocol of a CNI plugin (CNI specification, "Section 2"):
// checks the environment and the configuration, runs the command, and gives the
// result or the error object, with the codes and texts of Go's skel package.
PluginOutput RunPlugin(const Plugin& plugin, const PluginInput& input);

// RunPlugin on the process's own environment and streams; returns its exit
// status.
int PluginMain(const Plugin& plugin);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_PLUGIN_MAIN_H_
