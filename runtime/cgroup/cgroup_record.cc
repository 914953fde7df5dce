#include "runtime/cgroup/cgroup_record.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/cgroup/pod_scope.h"

namespace davit {
namespace {

using Json = nlohmann::json;

constexpr int kVersion = 1;

Json ToJson(const CgroupDir& dir) {
  return {{"v2", dir.v2},
          {"controllers", dir.controllers},
          {"mount_point", dir.mount_point},
          {"base", dir.base},
          {"payload", dir.payload},
          {"supervisor", dir.supervisor},
          {"retreat", dir.retreat},
          {"hand_down", dir.hand_down},
          {"in_scope", dir.in_scope}};
}

// Throws what nlohmann::json throws.
CgroupDir FromJson(const Json& json) {
  CgroupDir dir;
  json.at("v2").get_to(dir.v2);
  json.at("controllers").get_to(dir.controllers);
  json.at("mount_point").get_to(dir.mount_point);
  json.at("base").get_to(dir.base);
  json.at("payload").get_to(dir.payload);
  json.at("supervisor").get_to(dir.supervisor);
  json.at("retreat").get_to(dir.retreat);
  json.at("hand_down").get_to(dir.hand_down);
  dir.in_scope = json.value("in_scope", false);
  return dir;
}

// Whoever reads the record kills and removes what it names, so it must name
// nothing but directories of this pod.
bool BelongsToPod(const CgroupDir& dir, const std::string& pod_id) {
  auto below = [](const std::string& path, const std::string& root) {
    return path == root || absl::StartsWith(path, root + "/");
  };
  return absl::StartsWith(dir.mount_point, "/") &&
         absl::StartsWith(dir.base, dir.mount_point + "/") &&
         absl::EndsWith(dir.base,
                        "/" + (dir.in_scope ? PodScopeName(pod_id) : pod_id)) &&
         !absl::StrContains(dir.base, "/../") &&
         !absl::StrContains(dir.payload, "/..") &&
         below(dir.payload, dir.base) &&
         (dir.supervisor.empty() || below(dir.supervisor, dir.base));
}

}  // namespace

absl::Status WriteCgroupRecord(const std::string& path,
                               const PodCgroup& cgroup) {
  Json dirs = Json::array();
  for (const CgroupDir& dir : cgroup.dirs()) dirs.push_back(ToJson(dir));
  Json record = {{"version", kVersion}, {"cgroups", dirs}};
  return WriteFileAtomic(path, record.dump(1) + "\n", 0600);
}

absl::StatusOr<PodCgroup> ReadCgroupRecord(const std::string& path,
                                           const std::string& pod_id) {
  ASSIGN_OR_RETURN(std::string text, ReadFile(path, 1 << 20));
  std::vector<CgroupDir> dirs;
  try {
    Json record = Json::parse(text);
    if (record.at("version").get<int>() != kVersion) {
      return absl::DataLossError(absl::StrCat(path, ": unknown version"));
    }
    for (const Json& json : record.at("cgroups")) {
      dirs.push_back(FromJson(json));
    }
  } catch (const Json::exception& error) {
    return absl::DataLossError(absl::StrCat(path, ": ", error.what()));
  }
  for (const CgroupDir& dir : dirs) {
    if (!BelongsToPod(dir, pod_id)) {
      return absl::DataLossError(absl::StrCat(
          path, ": \"", dir.base, "\" is no cgroup of pod ", pod_id));
    }
  }
  return PodCgroup(std::move(dirs));
}

}  // namespace davit
