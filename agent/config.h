#ifndef DAVIT_AGENT_CONFIG_H_
#define DAVIT_AGENT_CONFIG_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/log.h"

namespace davit {

// What davitd can be told. Each member is the flag of its name with dashes
// ("--cni-conf-dir") and the key of that name in the configuration file.
struct AgentConfig {
  // What must outlive a reboot: images, pods, leases.
  std::string root = "/var/lib/davit";
  // What ends with the machine's run: sockets, shims.
  std::string state = "/run/davit";
  // Where the API is served: "unix:///<absolute path>".
  // Default: unix://<state>/davit.sock.
  std::string listen;
  // host:port of Prometheus' /metrics over HTTP; empty: off.
  std::string metrics = "127.0.0.1:9411";
  // davit-shim, davit-app and cni/.
  std::string libexec = "/usr/libexec/davit";
  std::string cni_conf_dir = "/etc/davit/net.d";
  std::vector<std::string> cni_bin_dir;  // default: <libexec>/cni
  // A pinned network namespace that stands for the machine; empty: our own.
  std::string node_netns;
  std::string netns_dir = "/var/run/netns";
  // The files that seccompProfile.localhostProfile names.
  std::string seccomp_dir = "/etc/davit/seccomp";
  // Name of the pods' cgroup directory, below our own cgroup.
  std::string cgroup_parent = "davit";
  std::string stage1_image = "localhost/davit/stage1:latest";
  // Of pods whose spec does not say hostUsers: false gives them a user
  // namespace.
  bool default_host_users = true;
  absl::Duration cni_timeout = absl::Seconds(30);    // of one plugin call
  absl::Duration ready_timeout = absl::Seconds(60);  // boot until READY=1
  LogLevel log_level = LogLevel::kInfo;  // "debug", "info", "warning", "error"
  LogFormat log_format = LogFormat::kText;  // "text", "json"

  // The path in `listen`.
  std::string socket_path() const;
};

struct CommandLine {
  AgentConfig config;
  // Not empty: print it and exit (--help, --version).
  std::string print;
};

// Reads flags, the JSON file named by --config (an object; keys as above), and
// defaults; flags win over the file. InvalidArgument names the flag, or file
// and key, that is unknown or has a bad value; NotFound if there is no such
// file. `argv` as main gets it.
absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv);

}  // namespace davit

#endif  // DAVIT_AGENT_CONFIG_H_
