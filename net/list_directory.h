#ifndef DAVIT_NET_LIST_DIRECTORY_H_
#define DAVIT_NET_LIST_DIRECTORY_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace davit {

// The names in a directory, sorted, without hidden ones (and so without the
// temporaries of WriteFileAtomic). Empty if the directory is absent; an error
// if it cannot be read. readdir(3).
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);

}  // namespace davit

#endif  // DAVIT_NET_LIST_DIRECTORY_H_
