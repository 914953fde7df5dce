#ifndef DAVIT_NET_CNI_CONFIG_DIR_H_
#define DAVIT_NET_CNI_CONFIG_DIR_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "net/cni/network_config.h"
#include "net/pod_network.h"

namespace davit {

// The network configurations of a directory, as CNI runtimes lay it out:
//
//   <dir>/*.conflist       a list each
//   <dir>/*.conf, *.json   a single plugin each, made a list of one
//   <dir>/<name>/*.conf    more plugins of the network <name>, at its end
//                          (unless its list says "loadOnlyInlinedPlugins")
//
// Files count in lexical order, hidden ones not at all; of two networks with
// one name the first wins. A broken file is listed with its error and stops no
// other. An absent directory has no networks. Every call first looks (stat(2))
// whether a file changed, and then loads all anew. Thread-safe.
class CniConfigDir {
 public:
  struct Network {
    NetworkInfo info;
    std::shared_ptr<const CniNetworkConfig> config;  // null: broken
  };

  explicit CniConfigDir(std::string dir) : dir_(std::move(dir)) {}

  // A network, broken or not; of several files that claim the name the one
  // that is used. NotFound naming the network and those that exist.
  absl::StatusOr<Network> Get(const std::string& name);

  // As Get; FailedPrecondition if the network's file is broken.
  absl::StatusOr<std::shared_ptr<const CniNetworkConfig>> Find(
      const std::string& name);

  std::vector<NetworkInfo> List();

 private:
  const std::vector<Network>& Refresh() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LoadAll(const std::vector<std::string>& names)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Network Load(const std::string& path) const;

  const std::string dir_;
  absl::Mutex mutex_;
  // Of the files that networks_ was loaded from; empty: load at the next call.
  std::string fingerprint_ ABSL_GUARDED_BY(mutex_);
  std::vector<Network> networks_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_CONFIG_DIR_H_
