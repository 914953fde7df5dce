#ifndef DAVIT_RUNTIME_BASE_TEMPORARIES_H_
#define DAVIT_RUNTIME_BASE_TEMPORARIES_H_

#include <string>

#include "absl/status/status.h"

namespace davit {

// Removes what WriteFileAtomic leaves in a directory if its process is killed.
// OK if there is no such directory. For a time when nobody writes there.
absl::Status RemoveTemporaries(const std::string& directory);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_TEMPORARIES_H_
