#ifndef DAVIT_NET_PLUGINS_KILLED_PLUGIN_H_
#define DAVIT_NET_PLUGINS_KILLED_PLUGIN_H_

#include <string>

#include "net/plugins/plugin_world.h"

namespace davit::testing {

// How a plugin fared that was to be killed.
struct KilledPlugin {
  bool killed = false;  // else it ended before it came so far
  int exit_code = -1;   // if it ended
  int steps = 0;        // that it did
  std::string last;     // the last of them, "sendmsg"
};

// Runs the plugin program at `path` in the world's node, as PluginWorld::Run
// does, and kills it (SIGKILL) as soon as its step number `step`, the first is
// 1, is done. A step is a system call by which something outside of the
// process can change: what is sent to a socket, a file made, written, linked,
// renamed or removed (ptrace(2)). Aborts the program if tracing fails.
KilledPlugin RunAndKill(const PluginWorld& world, const std::string& path,
                        const PluginCall& call, int step);

}  // namespace davit::testing

#endif  // DAVIT_NET_PLUGINS_KILLED_PLUGIN_H_
