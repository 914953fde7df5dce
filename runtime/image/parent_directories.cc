#include "runtime/image/parent_directories.h"

#include <utility>

#include "runtime/base/status_macros.h"
#include "runtime/image/tree_writer.h"

namespace davit {
namespace {

using Implicit = std::vector<std::set<std::string>>;

// The topmost layer that describes the directory, else the topmost that has it.
const LayerView::Source& Describing(
    const std::vector<LayerView::Source>& sources, const Implicit& implicit,
    const std::string& path) {
  for (const LayerView::Source& source : sources) {
    if (!implicit[source.layer].contains(path)) return source;
  }
  return sources.front();
}

absl::StatusOr<bool> IsMisguessed(const LayerView& view,
                                  const Implicit& implicit,
                                  const std::string& path) {
  ASSIGN_OR_RETURN(std::vector<LayerView::Source> sources, view.Find(path));
  if (sources.empty() || !S_ISDIR(sources.front().st.st_mode)) return false;
  const struct stat& shown = sources.front().st;
  const struct stat& meant = Describing(sources, implicit, path).st;
  return shown.st_mode != meant.st_mode || shown.st_uid != meant.st_uid ||
         shown.st_gid != meant.st_gid;
}

void AddWithParents(std::string path, std::set<std::string>* paths) {
  while (true) {
    paths->insert(path);
    if (path.empty()) return;
    size_t slash = path.rfind('/');
    path.resize(slash == path.npos ? 0 : slash);
  }
}

}  // namespace

absl::StatusOr<std::set<std::string>> FindMisguessedDirectories(
    const LayerView& view, const Implicit& implicit) {
  std::set<std::string> result;
  for (const std::set<std::string>& paths : implicit) {
    for (const std::string& path : paths) {
      ASSIGN_OR_RETURN(bool misguessed, IsMisguessed(view, implicit, path),
                       path);
      if (misguessed) AddWithParents(path, &result);
    }
  }
  return result;
}

absl::Status WriteParentDirectories(const LayerView& view,
                                    const Implicit& implicit,
                                    const std::set<std::string>& directories,
                                    UniqueFd to) {
  TreeWriter writer(std::move(to));
  for (const std::string& path : directories) {  // parents sort first
    ASSIGN_OR_RETURN(std::vector<LayerView::Source> sources, view.Find(path));
    const LayerView::Source& source = Describing(sources, implicit, path);
    ASSIGN_OR_RETURN(UniqueFd fd, view.OpenDirectory(source.layer, path));
    FileMetadata metadata;
    metadata.permissions = source.st.st_mode & 07777;
    metadata.uid = source.st.st_uid;
    metadata.gid = source.st.st_gid;
    metadata.mtime = source.st.st_mtim;
    ASSIGN_OR_RETURN(metadata.xattrs, ReadXattrs(fd.get()), path);
    RETURN_IF_ERROR(writer.AddDirectory(path, metadata), path);
  }
  return writer.Finish();
}

}  // namespace davit
