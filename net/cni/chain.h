#ifndef DAVIT_NET_CNI_CHAIN_H_
#define DAVIT_NET_CNI_CHAIN_H_

#include <cstddef>
#include <optional>
#include <string>

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

// The three operations on a whole list, CNI specification section 3. All block
// until their plugins have ended; thread-safe for different attachments.

// ADD of each plugin in order; each gets the result of the one before. Keeps
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

// What plugin number `index` of the list reads on its standard input: its
// object with "name", "cniVersion", "prevResult" (if there is one) and
// "runtimeConfig" (if it declares a capability that `capability_args` has),
// without "capabilities". The keys that it did not have come last.
std::string DeriveCniPluginConfig(const CniNetworkConfig& network, size_t index,
                                  const CniJson& capability_args,
                                  const CniJson* prev_result);

}  // namespace davit

#endif  // DAVIT_NET_CNI_CHAIN_H_
