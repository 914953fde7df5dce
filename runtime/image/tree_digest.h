#ifndef DAVIT_RUNTIME_IMAGE_TREE_DIGEST_H_
#define DAVIT_RUNTIME_IMAGE_TREE_DIGEST_H_

#include <string>

#include "absl/status/statusor.h"

namespace davit {

// The digest of a directory tree: sha256 over a canonical listing of all names,
// types, owners, modes, times, link structure, kept xattrs and contents. The
// same tree has the same digest wherever it lies. It stands for a layer's diff
// id when there was no tar to take one from.
absl::StatusOr<std::string> TreeDigest(int root_fd);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_TREE_DIGEST_H_
