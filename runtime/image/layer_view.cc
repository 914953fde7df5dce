#include "runtime/image/layer_view.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/tree_writer.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

constexpr int kMaxSymlinks = 40;  // as the kernel, path_resolution(7)

std::deque<std::string> Parts(absl::string_view path) {
  return absl::StrSplit(path, '/', absl::SkipEmpty());
}

void GoUp(std::string* path) {
  size_t slash = path->rfind('/');
  path->resize(slash == path->npos ? 0 : slash);
}

}  // namespace

absl::StatusOr<LayerView> LayerView::Open(
    const std::vector<std::string>& trees) {
  std::vector<UniqueFd> layers;
  for (const std::string& tree : trees) {
    UniqueFd fd(open(tree.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", tree);
    layers.push_back(std::move(fd));
  }
  return LayerView(std::move(layers));
}

absl::StatusOr<std::vector<LayerView::Source>> LayerView::Find(
    const std::string& path) const {
  std::vector<Source> sources;
  for (size_t i = 0; i < layers_.size(); ++i) {
    Source root{i, {}};
    if (fstat(layers_[i].get(), &root.st) < 0) return ErrnoError("fstat");
    sources.push_back(root);
  }
  std::string prefix;
  for (const std::string& part : Parts(path)) {
    if (sources.empty() || !S_ISDIR(sources.front().st.st_mode)) {
      return std::vector<Source>();
    }
    absl::StrAppend(&prefix, prefix.empty() ? "" : "/", part);
    ASSIGN_OR_RETURN(sources, Descend(sources, prefix));
  }
  return sources;
}

// Overlayfs's rule: from the top, directories are merged until a whiteout, an
// opaque directory or anything that is no directory.
absl::StatusOr<std::vector<LayerView::Source>> LayerView::Descend(
    const std::vector<Source>& parents, const std::string& path) const {
  std::vector<Source> found;
  for (const Source& parent : parents) {
    UniqueFd fd = OpenBelow(layers_[parent.layer].get(), path,
                            O_PATH | O_NOFOLLOW, Lookup::kNoSymlinks);
    Source source{parent.layer, {}};
    if (fd) {
      if (fstat(fd.get(), &source.st) < 0) return ErrnoError("fstat(%s)", path);
    } else if (errno == ENOENT) {
      continue;
    } else {
      return ErrnoError("openat2(%s)", path);
    }
    bool is_directory = S_ISDIR(source.st.st_mode);
    if (IsWhiteout(source.st) || (!is_directory && !found.empty())) break;
    found.push_back(source);
    if (!is_directory) break;
    ASSIGN_OR_RETURN(UniqueFd directory, OpenDirectory(parent.layer, path));
    if (IsOpaque(directory.get())) break;
  }
  return found;
}

absl::StatusOr<LayerView::Source> LayerView::Resolve(
    const std::string& path) const {
  std::deque<std::string> rest = Parts(path);
  std::string current;
  Source last;
  ASSIGN_OR_RETURN(std::vector<Source> sources, Find(""));
  if (!sources.empty()) last = sources.front();
  for (int symlinks = 0; !rest.empty();) {
    std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == ".") continue;
    if (part == "..") {
      GoUp(&current);
      continue;
    }
    std::string next = absl::StrCat(current, current.empty() ? "" : "/", part);
    ASSIGN_OR_RETURN(sources, Find(next));
    if (sources.empty()) {
      return absl::NotFoundError(absl::StrCat("/", next, ": no such file"));
    }
    last = sources.front();
    if (!S_ISLNK(last.st.st_mode)) {
      current = std::move(next);
      continue;
    }
    if (++symlinks > kMaxSymlinks) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, ": too many levels of symbolic links"));
    }
    ASSIGN_OR_RETURN(std::string target, ReadLink(last.layer, next));
    if (!target.empty() && target[0] == '/') current.clear();
    std::deque<std::string> parts = Parts(target);
    rest.insert(rest.begin(), parts.begin(), parts.end());
  }
  return last;
}

absl::StatusOr<UniqueFd> LayerView::OpenDirectory(
    size_t layer, const std::string& path) const {
  UniqueFd fd = OpenBelow(layers_[layer].get(), path.empty() ? "." : path,
                          O_RDONLY | O_DIRECTORY, Lookup::kNoSymlinks);
  if (!fd) return ErrnoError("openat2(%s, O_DIRECTORY)", path);
  return fd;
}

absl::StatusOr<std::string> LayerView::ReadLink(size_t layer,
                                                const std::string& path) const {
  UniqueFd fd = OpenBelow(layers_[layer].get(), path, O_PATH | O_NOFOLLOW,
                          Lookup::kNoSymlinks);
  if (!fd) return ErrnoError("openat2(%s)", path);
  char target[PATH_MAX];
  // An empty name means the symlink that is open itself (readlinkat(2)).
  ssize_t n = readlinkat(fd.get(), "", target, sizeof(target));
  if (n < 0) return ErrnoError("readlinkat(%s)", path);
  return std::string(target, static_cast<size_t>(n));
}

}  // namespace davit
