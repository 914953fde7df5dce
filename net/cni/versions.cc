#include "net/cni/versions.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/cni/json.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Changes when the program is changed or replaced.
absl::StatusOr<std::string> StampOf(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) < 0) return ErrnoError("stat(%s)", path);
  return absl::StrCat(st.st_dev, " ", st.st_ino, " ", st.st_size, " ",
                      st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                      st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec);
}

bool Contains(const std::vector<std::string>& list, const std::string& value) {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

absl::StatusOr<std::vector<std::string>> CniVersions::Of(
    const std::string& type) {
  ASSIGN_OR_RETURN(std::string path, exec_.Find(type));
  ASSIGN_OR_RETURN(std::string stamp, StampOf(path));
  {
    absl::MutexLock lock(&mutex_);
    auto answer = answers_.find(path);
    if (answer != answers_.end() && answer->second.stamp == stamp) {
      return answer->second.versions;
    }
  }
  // Without the lock: a plugin that hangs must not hold up the others.
  ASSIGN_OR_RETURN(std::vector<std::string> versions, Ask(type));
  absl::MutexLock lock(&mutex_);
  answers_[path] = {std::move(stamp), versions};
  return versions;
}

absl::StatusOr<std::vector<std::string>> CniVersions::Ask(
    const std::string& type) const {
  absl::StatusOr<std::string> out =
      exec_.Run(type, "VERSION", {}, R"({"cniVersion":"1.1.0"})");
  if (!out.ok()) {
    if (absl::StrContains(out.status().message(),
                          "unknown CNI_COMMAND: VERSION")) {
      return std::vector<std::string>{"0.1.0"};
    }
    return out.status();
  }
  absl::StatusOr<CniJson> answer = ParseCniJson(*out);
  absl::StatusOr<std::vector<std::string>> versions =
      answer.ok() ? CniStringListMember(*answer, "supportedVersions")
                  : absl::StatusOr<std::vector<std::string>>(answer.status());
  if (versions.ok() && !versions->empty()) return versions;
  return absl::InternalError(
      absl::StrCat("plugin \"", type, "\" VERSION: ",
                   versions.ok() ? "supportedVersions is missing or empty"
                                 : versions.status().message()));
}

absl::StatusOr<std::shared_ptr<const CniNetworkConfig>> CniVersions::Negotiate(
    std::shared_ptr<const CniNetworkConfig> network) {
  if (network->versions.size() == 1) return network;
  std::vector<std::string> common = network->versions;
  std::vector<std::string> told;
  for (const CniPluginConfig& plugin : network->plugins) {
    ASSIGN_OR_RETURN(std::vector<std::string> versions, Of(plugin.type));
    std::erase_if(common, [&](const std::string& version) {
      return !Contains(versions, version);
    });
    told.push_back(
        absl::StrCat("\"", plugin.type, "\" ", absl::StrJoin(versions, ", ")));
  }
  if (common.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("its plugins speak none of the versions ",
                     absl::StrJoin(network->versions, ", "),
                     " alike: ", absl::StrJoin(told, "; ")));
  }
  if (common.back() == network->cni_version) return network;
  return std::make_shared<const CniNetworkConfig>(
      WithCniVersion(*network, common.back()));
}

}  // namespace davit
