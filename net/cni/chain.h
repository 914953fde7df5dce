#ifndef DAVIT_NET_CNI_CHAIN_H_
#define DAVIT_NET_CNI_CHAIN_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "net/cni/attachment.h"
#include "net/cni/exec.h"
#include "net/cni/json.h"
#include "net/cni/network_config.h"

namespace davit {

// How far a chain of ADDs came: what has to be undone, and with what knowledge.
struct CniChainProgress {
  size_t begun = 0;  // plugins whose ADD was started, the first of the list
  std::optional<CniJson> result;  // of the last ADD that succeeded
};

// OK if the program of every plugin of the list is there; else the error of
// CniExec::Find(). Look before an ADD: a plugin that is missing in the middle
// of the chain is missing for the DEL as well.
absl::Status FindCniPlugins(const CniExec& exec,
                            const CniNetworkConfig& network);

// The operations on a whole list, CNI specification section 3. All block
// until their plugins have ended; thread-safe for different attachments.

// ADD of each plugin in order; each gets the result of the one before, in the
// version of the list, whatever version that one answered in. Keeps
// `progress` up to date also when it fails: undo it by DelCniChain().
absl::Status AddCniChain(const CniExec& exec, const CniNetworkConfig& network,
                         const CniAttachment& attachment,
                         CniChainProgress& progress);

// DEL of the plugins that `progress` says were begun, last first, whatever
// fails; joins the errors, with the code of the first one.
absl::Status DelCniChain(const CniExec& exec, const CniNetworkConfig& network,
                         const CniAttachment& attachment,
                         const CniChainProgress& progress);

// CHECK of each plugin in order; `result` is that of the whole ADD. OK at once
// for lists that say "disableCheck" or are older than 0.4.0, which has no
// CHECK.
absl::Status CheckCniChain(const CniExec& exec, const CniNetworkConfig& network,
                           const CniAttachment& attachment,
                           const CniJson& result);

// STATUS of each plugin in order, until one is not OK: Unavailable if it cannot
// ADD now. OK at once for lists older than 1.1.0.
absl::Status StatusCniChain(const CniExec& exec,
                            const CniNetworkConfig& network);

struct CniValidAttachment {
  std::string container_id;
  std::string ifname;
};

// Whether the list's plugins can be told to collect garbage: those of 1.1.0 and
// later can, unless the list says "disableGC".
bool CniChainHasGc(const CniNetworkConfig& network);

// GC of each plugin, whatever fails: they remove all that belongs to other
// attachments than these. Joins the errors. No ADD or DEL of the network may
// run at the same time. OK at once unless CniChainHasGc().
absl::Status GcCniChain(const CniExec& exec, const CniNetworkConfig& network,
                        const std::vector<CniValidAttachment>& valid);

// What plugin number `index` of the list reads on its standard input: its
// object with "name", "cniVersion", "prevResult" (if there is one) and
// "runtimeConfig" (if it declares a capability that `capability_args` has),
// without "capabilities". "ips" and "mac" that no plugin of the list declares
// are in "args.cni". The keys that it did not have come last.
std::string DeriveCniPluginConfig(const CniNetworkConfig& network, size_t index,
                                  const CniJson& capability_args,
                                  const CniJson* prev_result);

}  // namespace davit

#endif  // DAVIT_NET_CNI_CHAIN_H_
