#ifndef DAVIT_NET_PLUGINS_IPAM_DELEGATE_H_
#define DAVIT_NET_PLUGINS_IPAM_DELEGATE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"

namespace davit {

// The IPAM plugin of an interface plugin's configuration (CNI specification,
// "Section 4: Plugin Delegation"). It is looked for in CNI_PATH, as the runtime
// does. If what is found there is this very binary, its host-local or static
// runs in this process; anything else is executed, with our environment and the
// whole configuration. Errors are the plugin's own. The request must outlive
// it.
class IpamDelegate {
 public:
  virtual ~IpamDelegate() = default;

  // The plugin of ipam.type; NotFound if CNI_PATH has none.
  static absl::StatusOr<std::unique_ptr<IpamDelegate>> Create(
      const PluginRequest& request);

  // After a failure the plugin has nothing reserved any more.
  virtual absl::StatusOr<CniResult> Add() = 0;
  virtual absl::Status Del() = 0;
  virtual absl::Status Check() = 0;
  virtual absl::Status Status() = 0;
  virtual absl::Status Gc() = 0;
};

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_IPAM_DELEGATE_H_
