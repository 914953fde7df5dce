#ifndef DAVIT_RUNTIME_IMAGE_PARENT_DIRECTORIES_H_
#define DAVIT_RUNTIME_IMAGE_PARENT_DIRECTORIES_H_

#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"
#include "runtime/image/layer_view.h"

namespace davit {

// A tar may hold "tmp/x" and no "tmp": unpacked alone, its layer must guess an
// owner and mode of tmp, and overlayfs shows the topmost layer's guess instead
// of what a layer below says (1777!). A topmost layer with nothing but such
// directories puts it right and leaves the others shareable.

// The directories, with all their parents, that need it; empty mostly.
// `implicit[i]` are the guessed directories of layer i of `view`.
absl::StatusOr<std::set<std::string>> FindMisguessedDirectories(
    const LayerView& view, const std::vector<std::set<std::string>>& implicit);

// Makes them, as the lower layers describe them, in the empty directory `to`.
absl::Status WriteParentDirectories(
    const LayerView& view, const std::vector<std::set<std::string>>& implicit,
    const std::set<std::string>& directories, UniqueFd to);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_PARENT_DIRECTORIES_H_
