#ifndef DAVIT_NET_CNI_LEDGER_H_
#define DAVIT_NET_CNI_LEDGER_H_

#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace davit {

// The ids of the containers for which this runtime has ever called a plugin:
// the proof that what bears such an id is ours to remove. An id stays until the
// container's network namespace is given up, or a search for leftovers has
// found none.
//
//   <cache_dir>/pods/<container id>   an empty file
//
// Not fsynced: a power failure ends all containers, and the attachments that
// were not ended are in CniCache, which is. Thread-safe.
class CniLedger {
 public:
  explicit CniLedger(const std::string& cache_dir)
      : dir_(cache_dir + "/pods") {}

  // Makes the directory; before anything else.
  absl::Status Prepare() const;
  // OK if it is there already. `container_id` must be a valid identifier.
  absl::Status Add(const std::string& container_id) const;
  // OK if it is not there.
  absl::Status Remove(const std::string& container_id) const;
  // All of them; none if the directory cannot be read.
  std::set<std::string> List() const;

 private:
  std::string dir_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_LEDGER_H_
