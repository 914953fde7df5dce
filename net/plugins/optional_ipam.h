#ifndef DAVIT_NET_PLUGINS_OPTIONAL_IPAM_H_
#define DAVIT_NET_PLUGINS_OPTIONAL_IPAM_H_

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/ipam_delegate.h"
#include "net/plugins/plugin.h"

namespace davit {

// The IPAM plugin of a plugin that can do without: if ipam.type is not set, the
// pod's interface is one of layer 2, and all of this does nothing. The request
// must outlive it.
class OptionalIpam {
 public:
  // NotFound if ipam.type names a plugin that CNI_PATH lacks.
  static absl::StatusOr<OptionalIpam> Create(const PluginRequest& request);

  // The result; empty without IPAM. InvalidArgument if IPAM gave no address;
  // it has nothing reserved after an error.
  absl::StatusOr<CniResult> Add();
  absl::Status Del();
  absl::Status Check();
  absl::Status Status();
  absl::Status Gc();

 private:
  explicit OptionalIpam(std::unique_ptr<IpamDelegate> delegate)
      : delegate_(std::move(delegate)) {}

  std::unique_ptr<IpamDelegate> delegate_;  // null: none
};

// STATUS and GC of plugins that use it.
absl::Status OptionalIpamStatus(const PluginRequest& request);
absl::Status OptionalIpamGc(const PluginRequest& request);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_OPTIONAL_IPAM_H_
