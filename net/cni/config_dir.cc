#include "net/cni/config_dir.h"

#include <sys/stat.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "net/cni/json.h"
#include "net/list_directory.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxFileSize = 1 << 20;

bool IsNetworkFile(absl::string_view name) {
  return absl::EndsWith(name, ".conflist") || absl::EndsWith(name, ".conf") ||
         absl::EndsWith(name, ".json");
}

// Changes when the file is changed or replaced.
std::string StampOf(const std::string& path, const struct stat& st) {
  return absl::StrCat(path, "\n", st.st_ino, " ", st.st_size, " ",
                      st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec, " ",
                      st.st_ctim.tv_sec, ".", st.st_ctim.tv_nsec, "\n");
}

// Changes when anything in `dir` does, down to `levels` of directories.
std::string FingerprintOf(const std::string& dir,
                          const std::vector<std::string>& names, int levels) {
  std::string fingerprint = dir + "\n";
  for (const std::string& name : names) {
    std::string path = absl::StrCat(dir, "/", name);
    struct stat st = {};  // stays empty for a dangling link
    stat(path.c_str(), &st);
    absl::StrAppend(&fingerprint, StampOf(path, st));
    if (!S_ISDIR(st.st_mode) || levels == 0) continue;
    absl::StrAppend(
        &fingerprint,
        FingerprintOf(path,
                      ListDirectory(path).value_or(std::vector<std::string>()),
                      levels - 1));
  }
  return fingerprint;
}

absl::StatusOr<std::string> ReadRegularFile(const std::string& path) {
  struct stat st;
  if (stat(path.c_str(), &st) < 0) return ErrnoError("stat(%s)", path);
  if (!S_ISREG(st.st_mode)) {  // a fifo would hold us up
    return absl::FailedPreconditionError("not a regular file");
  }
  return ReadFile(path, kMaxFileSize);
}

absl::StatusOr<std::vector<CniJson>> LoadMorePlugins(const std::string& dir) {
  ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(dir));
  std::vector<CniJson> plugins;
  for (const std::string& name : names) {
    if (!absl::EndsWith(name, ".conf")) continue;
    std::string path = absl::StrCat(dir, "/", name);
    ASSIGN_OR_RETURN(std::string text, ReadRegularFile(path), path);
    ASSIGN_OR_RETURN(CniJson plugin, ParseCniJson(text), path);
    plugins.push_back(std::move(plugin));
  }
  return plugins;
}

// The name that a broken document means to have, if that much can be read.
std::string NameIn(absl::string_view text) {
  absl::StatusOr<CniJson> json = ParseCniJson(text);
  if (!json.ok()) return "";
  return CniStringMember(*json, "name").value_or("");
}

}  // namespace

absl::StatusOr<CniConfigDir::Network> CniConfigDir::Get(
    const std::string& name) {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> known;
  const Network* broken = nullptr;
  for (const Network& network : Refresh()) {
    if (network.config == nullptr) {
      if (network.info.name == name) broken = &network;
      continue;
    }
    if (network.info.name == name) return network;
    known.push_back(network.info.name);
  }
  if (broken != nullptr) return *broken;
  return absl::NotFoundError(
      absl::StrCat("network \"", name, "\" is not configured; ", dir_, " has [",
                   absl::StrJoin(known, ", "), "]"));
}

absl::StatusOr<std::shared_ptr<const CniNetworkConfig>> CniConfigDir::Find(
    const std::string& name) {
  ASSIGN_OR_RETURN(Network network, Get(name));
  if (network.config != nullptr) return network.config;
  return absl::FailedPreconditionError(
      absl::StrCat("network \"", name, "\" is broken: ", network.info.file,
                   ": ", network.info.error));
}

std::vector<NetworkInfo> CniConfigDir::List() {
  absl::MutexLock lock(&mutex_);
  std::vector<NetworkInfo> infos;
  for (const Network& network : Refresh()) infos.push_back(network.info);
  return infos;
}

const std::vector<CniConfigDir::Network>& CniConfigDir::Refresh() {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(dir_);
  if (!names.ok()) {
    fingerprint_.clear();
    networks_ = {{.info = {.file = dir_,
                           .error = std::string(names.status().message())}}};
    return networks_;
  }
  // Taken before the files are read: a change in between shows the next time.
  std::string fingerprint = FingerprintOf(dir_, *names, /*levels=*/1);
  if (fingerprint != fingerprint_) {
    LoadAll(*names);
    fingerprint_ = std::move(fingerprint);
  }
  return networks_;
}

void CniConfigDir::LoadAll(const std::vector<std::string>& names) {
  networks_.clear();
  for (const std::string& name : names) {
    if (!IsNetworkFile(name)) continue;
    Network network = Load(absl::StrCat(dir_, "/", name));
    auto first = std::find_if(networks_.begin(), networks_.end(),
                              [&](const Network& earlier) {
                                return earlier.config != nullptr &&
                                       earlier.info.name == network.info.name;
                              });
    if (network.config != nullptr && first != networks_.end()) {
      network.config = nullptr;
      network.info.error = absl::StrCat("network \"", network.info.name,
                                        "\" is already in ", first->info.file);
    }
    networks_.push_back(std::move(network));
  }
}

CniConfigDir::Network CniConfigDir::Load(const std::string& path) const {
  Network network = {.info = {.file = path}};
  absl::StatusOr<std::string> text = ReadRegularFile(path);
  if (!text.ok()) {
    network.info.error = std::string(text.status().message());
    return network;
  }
  absl::StatusOr<CniNetworkConfig> config =
      ParseCniNetworkConfig(*text, [this](const std::string& name) {
        return LoadMorePlugins(absl::StrCat(dir_, "/", name));
      });
  if (!config.ok()) {
    network.info.name = NameIn(*text);
    network.info.error = std::string(config.status().message());
    return network;
  }
  network.info.name = config->name;
  network.info.cni_version = config->cni_version;
  for (const CniPluginConfig& plugin : config->plugins) {
    network.info.plugins.push_back(plugin.type);
  }
  network.config = std::make_shared<const CniNetworkConfig>(*std::move(config));
  return network;
}

}  // namespace davit
