#ifndef DAVIT_NET_PLUGINS_MASQUERADE_STEP_H_
#define DAVIT_NET_PLUGINS_MASQUERADE_STEP_H_

#include <optional>

#include "absl/status/status.h"
#include "net/nat/masquerade.h"
#include "net/plugins/cni_result.h"
#include "net/plugins/plugin.h"
#include "runtime/base/rollback.h"

namespace davit {

// "ipMasq", as a step of a plugin's ADD, DEL and CHECK. In the calling thread's
// network namespace, the node's.

// Masquerades the result's addresses; the undo goes into `rollback` first.
absl::Status AddMasquerade(const PluginRequest& request,
                           const CniResult& result, Rollback* rollback);

// Ends it for the attachment, whatever its addresses; those of `previous` are
// hints. Leaves the open socket in `keep`, see Masquerade::Open.
absl::Status RemoveMasquerade(const PluginRequest& request,
                              const CniResult& previous,
                              std::optional<Masquerade>* keep);

// FailedPrecondition names the first address that is not masqueraded.
absl::Status CheckMasquerade(const PluginRequest& request,
                             const CniResult& previous);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_MASQUERADE_STEP_H_
