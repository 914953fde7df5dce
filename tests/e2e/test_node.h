#ifndef DAVIT_TESTS_E2E_TEST_NODE_H_
#define DAVIT_TESTS_E2E_TEST_NODE_H_

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "nlohmann/json.hpp"
#include "tests/support/shell.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// The lists of everything on the host that a pod could leave behind, by kind
// ("links", "nft", "mounts", …), one entry a line.
using HostSnapshot = std::map<std::string, std::vector<std::string>>;

// A whole Davit node of a test's own: a pinned network namespace that stands
// for the machine, a second one "outside" that it routes to, directories, a
// cgroup parent, CNI configuration and the real davitd with its images. Nothing
// of the machine itself is touched; the destructor deletes every pod and checks
// nothing (call Snapshot for that).
class TestNode {
 public:
  TestNode();
  TestNode(const TestNode&) = delete;
  ~TestNode();

  // Starts davitd and waits until it answers. `prefix` is put before its
  // command line (strace …). Fails the test if it does not come up.
  void StartAgent(const std::vector<std::string>& prefix = {});
  // Sends a signal to davitd and waits for its end.
  void EndAgent(int signal);
  pid_t agent_pid() const { return agent_pid_; }

  // Imports the images that every test needs: stage1, busybox and demo.
  void ImportImages();
  // Imports the full Debian machine as "machine".
  void ImportMachine();

  // davitctl with these arguments, against this node's agent.
  ShellResult Ctl(const std::vector<std::string>& args,
                  const std::string& input = "",
                  absl::Duration timeout = absl::Seconds(120)) const;
  // The same, which must succeed; returns its output.
  std::string MustCtl(const std::vector<std::string>& args,
                      const std::string& input = "") const;
  // "get pod NAME -o json"; null if there is none.
  nlohmann::json GetPod(const std::string& name) const;
  std::string PodIp(const std::string& name) const;
  // Waits until the pod's status.<field> is one of `values`.
  bool WaitForStatus(const std::string& name, const std::string& field,
                     const std::vector<std::string>& values,
                     absl::Duration timeout = absl::Seconds(30)) const;

  HostSnapshot Snapshot() const;

  // Writes a network configuration list named `name`.
  void WriteNetwork(const std::string& name, const std::string& conflist);
  std::string DefaultConflist(const std::string& name,
                              const std::string& subnet) const;

  std::string root() const { return dir_ / "root"; }
  std::string state() const { return state_dir_ / "state"; }
  std::string conf_dir() const { return dir_ / "net.d"; }
  std::string seccomp_dir() const { return dir_ / "seccomp"; }
  std::string lease_dir() const { return dir_ / "leases"; }
  std::string bin_dir() const { return dir_ / "cni-bin"; }
  std::string agent_log() const { return dir_ / "davitd.log"; }
  std::string node_netns() const { return dir_ / "node.netns"; }
  std::string outside_netns() const { return dir_ / "outside.netns"; }
  std::string netns_dir() const { return dir_ / "netns"; }
  std::string cgroup_parent() const { return cgroup_parent_; }
  std::string metrics_address() const { return metrics_address_; }
  std::string path(const std::string& name) const { return dir_ / name; }
  static constexpr char kNodeAddress[] = "192.0.2.1";
  static constexpr char kOutsideAddress[] = "192.0.2.2";

 private:
  void MakeNetworks();
  void InstallBinaries();
  std::vector<std::string> AgentArguments() const;

  TempDir dir_{"/tmp"};
  TempDir state_dir_{"/run"};  // a tmpfs, as on a real node
  std::string cgroup_parent_;
  std::string metrics_address_;
  pid_t agent_pid_ = -1;
};

// Lines that differ between two snapshots, "+mounts: …" and "-links: …"; empty
// if they are equal.
std::vector<std::string> Difference(const HostSnapshot& before,
                                    const HostSnapshot& after);

// The directory with stage1.tar, busybox.tar, …; empty with the reason printed
// if this machine has none (deploy/test makes them).
std::string ImagesDirectory();

}  // namespace davit::testing

#endif  // DAVIT_TESTS_E2E_TEST_NODE_H_
