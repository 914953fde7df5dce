#include "net/plugins/ipam_delegate.h"

#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "net/plugins/cni_error.h"
#include "net/plugins/host_local.h"
#include "net/plugins/static_ipam.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"

namespace davit {
namespace {

// An IPAM plugin of this binary, with its ADD as values.
struct OwnIpam {
  const Plugin* plugin;
  absl::StatusOr<CniResult> (*add)(const PluginRequest&);
};

constexpr OwnIpam kOwnIpams[] = {{&kHostLocalPlugin, HostLocalAdd},
                                 {&kStaticPlugin, StaticAdd}};

class InProcessIpam : public IpamDelegate {
 public:
  InProcessIpam(const PluginRequest& request, const OwnIpam& ipam)
      : request_(request), ipam_(ipam) {}

  absl::StatusOr<CniResult> Add() override { return ipam_.add(request_); }
  absl::Status Del() override { return Run(ipam_.plugin->del); }
  absl::Status Check() override { return Run(ipam_.plugin->check); }
  absl::Status Status() override { return Run(ipam_.plugin->status); }
  absl::Status Gc() override { return Run(ipam_.plugin->gc); }

 private:
  absl::Status Run(absl::Status (*function)(const PluginRequest&)) {
    return function == nullptr ? absl::OkStatus() : function(request_);
  }

  const PluginRequest& request_;
  const OwnIpam& ipam_;
};

// Our environment with another CNI_COMMAND.
std::vector<std::string> EnvironmentFor(const std::string& command) {
  std::vector<std::string> env;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (!absl::StartsWith(*entry, "CNI_COMMAND=")) env.push_back(*entry);
  }
  env.push_back(absl::StrCat("CNI_COMMAND=", command));
  return env;
}

// What a failed plugin had to say: its error object, else whatever it printed.
absl::Status ErrorOf(const std::string& path, const SubprocessResult& result) {
  absl::StatusOr<JsonObject> object = JsonObject::Parse(result.out);
  std::optional<int64_t> code;
  std::string message, details;
  if (object.ok() && object->Read("code", &code).ok() &&
      object->Read("msg", &message).ok() &&
      object->Read("details", &details).ok() && code.has_value()) {
    return CniError(static_cast<int>(*code), message, details);
  }
  return absl::InternalError(absl::StrFormat(
      "%s %s without an error object: \"%s\"", path, result.DescribeExit(),
      absl::CHexEscape(result.out.empty() ? result.err : result.out)));
}

class ExecutedIpam : public IpamDelegate {
 public:
  ExecutedIpam(const PluginRequest& request, std::string path)
      : request_(request), path_(std::move(path)) {}

  absl::StatusOr<CniResult> Add() override {
    absl::StatusOr<CniResult> result = AddOnce();
    // "If ADD fails, execute again with DEL before returning" (section 4): the
    // plugin may have reserved something before it failed.
    if (!result.ok()) Execute("DEL").status().IgnoreError();
    return result;
  }
  absl::Status Del() override { return Execute("DEL").status(); }
  absl::Status Check() override { return Execute("CHECK").status(); }
  absl::Status Status() override { return Execute("STATUS").status(); }
  absl::Status Gc() override { return Execute("GC").status(); }

 private:
  absl::StatusOr<CniResult> AddOnce() {
    ASSIGN_OR_RETURN(std::string out, Execute("ADD"));
    ASSIGN_OR_RETURN(JsonObject object, JsonObject::Parse(out),
                     absl::StrCat("result of ", path_));
    absl::StatusOr<CniResult> result =
        ParseCniResult(object, request_.cni_version);
    if (!result.ok()) {
      return Annotate(result.status(), absl::StrCat("result of ", path_));
    }
    return result;
  }

  absl::StatusOr<std::string> Execute(const std::string& command) {
    SubprocessSpec spec;
    spec.path = path_;
    spec.argv = {path_};
    spec.env = EnvironmentFor(command);
    spec.stdin_data = request_.stdin_data;
    ASSIGN_OR_RETURN(SubprocessResult result, RunSubprocess(spec));
    WriteAll(STDERR_FILENO, result.err).IgnoreError();
    if (!result.ExitedWith(0)) return ErrorOf(path_, result);
    return std::move(result.out);
  }

  const PluginRequest& request_;
  const std::string path_;
};

absl::StatusOr<std::string> FindPlugin(const std::string& type,
                                       const std::string& search_path) {
  if (type.empty()) {
    return absl::InvalidArgumentError("no plugin name provided");
  }
  if (absl::StrContains(type, '/')) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid plugin name: ", type));
  }
  std::vector<std::string> directories = absl::StrSplit(search_path, ':');
  for (const std::string& directory : directories) {
    std::string path = absl::StrCat(directory, "/", type);
    struct stat info;
    if (!directory.empty() && stat(path.c_str(), &info) == 0 &&
        S_ISREG(info.st_mode)) {
      return path;
    }
  }
  return absl::NotFoundError(
      absl::StrFormat("failed to find plugin \"%s\" in path [%s]", type,
                      absl::StrJoin(directories, " ")));
}

bool IsThisBinary(const std::string& path) {
  struct stat theirs, ours;
  return stat(path.c_str(), &theirs) == 0 &&
         stat("/proc/self/exe", &ours) == 0 && theirs.st_dev == ours.st_dev &&
         theirs.st_ino == ours.st_ino;
}

}  // namespace

absl::StatusOr<std::unique_ptr<IpamDelegate>> IpamDelegate::Create(
    const PluginRequest& request) {
  std::string type;
  ASSIGN_OR_RETURN(std::optional<JsonObject> ipam,
                   request.config.Object("ipam"));
  if (ipam.has_value()) RETURN_IF_ERROR(ipam->Read("type", &type));
  ASSIGN_OR_RETURN(std::string path, FindPlugin(type, request.path));
  std::unique_ptr<IpamDelegate> delegate;
  for (const OwnIpam& ipam : kOwnIpams) {
    if (type == ipam.plugin->type && IsThisBinary(path)) {
      delegate = std::make_unique<InProcessIpam>(request, ipam);
      return delegate;
    }
  }
  delegate = std::make_unique<ExecutedIpam>(request, std::move(path));
  return delegate;
}

}  // namespace davit
