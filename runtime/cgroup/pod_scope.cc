#include "runtime/cgroup/pod_scope.h"

#include <dirent.h>
#include <errno.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

constexpr absl::string_view kPrefix = "davit-";
constexpr absl::string_view kScope = ".scope";
constexpr absl::string_view kSlice = ".slice";
// PID 1 sits in this unit of the hierarchies that it manages by itself.
constexpr absl::string_view kInitScope = "/init.scope";

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

// The directory of systemd's root in a hierarchy.
std::string RootOf(const CgroupHierarchy& of_pid1) {
  absl::string_view root = of_pid1.own_dir;
  absl::ConsumeSuffix(&root, kInitScope);
  return std::string(root);
}

// "" if `name` is no pod's scope.
std::string PodOfScope(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kPrefix) ||
      !absl::ConsumeSuffix(&name, kScope) || !IsUuid(std::string(name))) {
    return "";
  }
  return std::string(name);
}

}  // namespace

std::string PodScopeName(const std::string& pod_id) {
  return absl::StrCat(kPrefix, pod_id, kScope);
}

std::string PodSliceName(const std::string& parent) {
  return absl::StrCat(parent, kSlice);
}

std::string SlicePath(const std::string& slice) {
  absl::string_view name = slice;
  absl::ConsumeSuffix(&name, kSlice);
  std::string path;
  for (size_t dash = name.find('-'); dash != absl::string_view::npos;
       dash = name.find('-', dash + 1)) {
    absl::StrAppend(&path, name.substr(0, dash), kSlice, "/");
  }
  return absl::StrCat(path, name, kSlice);
}

PodCgroup PlanInScope(const std::vector<CgroupHierarchy>& hierarchies,
                      const std::string& scope) {
  bool pure = std::all_of(hierarchies.begin(), hierarchies.end(),
                          [](const CgroupHierarchy& h) { return h.v2; });
  std::vector<CgroupDir> dirs;
  for (const CgroupHierarchy& hierarchy : hierarchies) {
    if (!absl::EndsWith(hierarchy.own_dir, absl::StrCat("/", scope))) continue;
    CgroupDir dir;
    dir.v2 = hierarchy.v2;
    dir.controllers = hierarchy.controllers;
    dir.mount_point = hierarchy.mount_point;
    dir.base = hierarchy.own_dir;
    // In every hierarchy: systemd has put the shim into all of them.
    dir.payload = absl::StrCat(dir.base, "/payload");
    dir.supervisor = absl::StrCat(dir.base, "/supervisor");
    dir.hand_down = pure;
    dir.in_scope = true;
    dirs.push_back(std::move(dir));
  }
  return PodCgroup(std::move(dirs));
}

PodCgroup PredictInScope(const std::vector<CgroupHierarchy>& of_pid1,
                         const std::string& slice, const std::string& scope) {
  std::vector<CgroupHierarchy> predicted = of_pid1;
  for (CgroupHierarchy& hierarchy : predicted) {
    hierarchy.own_dir =
        absl::StrCat(RootOf(hierarchy), "/", SlicePath(slice), "/", scope);
  }
  return PlanInScope(predicted, scope);
}

absl::StatusOr<std::vector<std::string>> ListPodScopes(
    const std::vector<CgroupHierarchy>& of_pid1, const std::string& slice) {
  std::set<std::string> ids;
  for (const CgroupHierarchy& hierarchy : of_pid1) {
    std::string path = absl::StrCat(RootOf(hierarchy), "/", SlicePath(slice));
    std::unique_ptr<DIR, DirCloser> dir(opendir(path.c_str()));
    if (dir == nullptr && errno == ENOENT) continue;
    if (dir == nullptr) return ErrnoError("opendir(%s)", path);
    while (dirent* entry = readdir(dir.get())) {
      std::string id = PodOfScope(entry->d_name);
      if (!id.empty()) ids.insert(id);
    }
  }
  return std::vector<std::string>(ids.begin(), ids.end());
}

}  // namespace davit
