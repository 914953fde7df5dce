// davit-cni: all of Davit's CNI plugins in one static binary. It acts as the
// plugin by whose name it is called (a symlink such as ptp), or as the one
// named by its only argument: davit-cni ptp.

#include <string.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "net/plugins/bandwidth.h"
#include "net/plugins/bridge.h"
#include "net/plugins/firewall_plugin.h"
#include "net/plugins/host_local.h"
#include "net/plugins/loopback.h"
#include "net/plugins/macvlan.h"
#include "net/plugins/plugin_main.h"
#include "net/plugins/portmap.h"
#include "net/plugins/ptp.h"
#include "net/plugins/static_ipam.h"
#include "net/plugins/tuning.h"
#include "runtime/base/file.h"

int main(int argc, char** argv) {
  const davit::Plugin* const plugins[] = {
      &davit::kBandwidthPlugin, &davit::kBridgePlugin,
      &davit::kFirewallPlugin,  &davit::kHostLocalPlugin,
      &davit::kLoopbackPlugin,  &davit::kMacvlanPlugin,
      &davit::kPortmapPlugin,   &davit::kPtpPlugin,
      &davit::kStaticPlugin,    &davit::kTuningPlugin};
  const char* path = argc > 0 ? argv[0] : "";
  const char* slash = strrchr(path, '/');
  const std::string name = slash == nullptr ? path : slash + 1;
  std::string known;
  for (const davit::Plugin* plugin : plugins) {
    if (name == plugin->type ||
        (argc == 2 && argv[1] == std::string(plugin->type))) {
      return davit::PluginMain(*plugin);
    }
    absl::StrAppend(&known, known.empty() ? "" : ", ", plugin->type);
  }
  davit::WriteAll(STDERR_FILENO,
                  absl::StrCat("usage: ", name, " PLUGIN, or call it by the ",
                               "name of a plugin: ", known, "\n"))
      .IgnoreError();
  return 2;
}
