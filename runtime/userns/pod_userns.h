#ifndef DAVIT_RUNTIME_USERNS_POD_USERNS_H_
#define DAVIT_RUNTIME_USERNS_POD_USERNS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/userns/id_ranges.h"
#include "runtime/userns/userns.h"

namespace davit {

// Takes an id range and makes and pins a namespace with it at
// <runtime_dir>/userns; the directory exists and is the pod's alone. An earlier
// namespace there is replaced.
absl::StatusOr<PodUserns> PreparePodUserns(const IdRanges& ranges,
                                           const std::string& runtime_dir);

// Unpins it and frees the range. OK if there is none. What still runs in it
// goes on; so call it when nothing does.
absl::Status RemovePodUserns(const IdRanges& ranges,
                             const std::string& runtime_dir);

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_POD_USERNS_H_
