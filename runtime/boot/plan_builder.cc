#include "runtime/boot/plan_builder.h"

#include <linux/capability.h>
#include <sys/mount.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/plan_steps.h"
#include "runtime/boot/pod_file.h"
#include "runtime/boot/shim_record.h"
#include "runtime/cgroup/limits.h"
#include "runtime/sandbox/capabilities.h"
#include "runtime/userns/userns.h"

namespace davit {
namespace {

constexpr char kManager[] = "davit";
// systemd raises it for those services that ask; select(2) users need 1024.
constexpr uint64_t kOpenFilesSoft = 1024;
// From this version on systemd knows cgroup v2 only.
constexpr int kFirstWithoutCgroupV1 = 258;
constexpr size_t kLongestHostname = 64;  // HOST_NAME_MAX
constexpr size_t kLongestUserName = 31;
constexpr uint32_t kLargestId =
    65533;  // below "nobody", in every user namespace
// container-getty@.service is no cheap thing, and a pty each.
constexpr int kMostTtys = 8;
// They go when their service stops: an umount(8) comes too late, and fails.
constexpr char kServiceCredentials[] = "run-credentials-.mount";

absl::Status Invalid(absl::string_view field, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": ", what));
}

bool HasNul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

absl::Status CheckPath(absl::string_view field, const std::string& path) {
  if (!absl::StartsWith(path, "/")) {
    return Invalid(field, absl::StrCat("\"", path, "\" is not absolute"));
  }
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") {
      return Invalid(field, absl::StrCat("\"", path, "\" contains \"..\""));
    }
  }
  if (HasNul(path)) return Invalid(field, "contains a NUL byte");
  return absl::OkStatus();
}

absl::Status CheckHostname(const std::string& name) {
  auto allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_';
  };
  if (name.empty() || name.size() > kLongestHostname ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return Invalid("hostname",
                   absl::StrCat("\"", name, "\" is not a host name of 1 to ",
                                kLongestHostname, " characters"));
  }
  return absl::OkStatus();
}

absl::Status CheckEnvironment(const std::map<std::string, std::string>& env) {
  for (const auto& [key, value] : env) {
    if (key.empty() || key.find('=') != std::string::npos || HasNul(key) ||
        HasNul(value)) {
      return Invalid(absl::StrCat("env[\"", key, "\"]"),
                     "not a variable's name and value");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCredentials(
    const std::map<std::string, std::string>& credentials) {
  for (const auto& [name, value] : credentials) {
    if (name.empty() || name == "." || name == ".." || name.size() > 255 ||
        name.find('/') != std::string::npos || HasNul(name)) {
      return Invalid(absl::StrCat("credentials[\"", name, "\"]"),
                     "not a file name");
    }
  }
  return absl::OkStatus();
}

// The strict names of systemd (https://systemd.io/USER_NAMES): also a file's
// name and harmless in JSON.
absl::Status CheckUsers(const std::vector<PodUser>& users) {
  auto allowed = [](unsigned char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '_';
  };
  for (size_t i = 0; i < users.size(); ++i) {
    std::string field = absl::StrCat("users[", i, "]");
    const PodUser& user = users[i];
    if (user.name.empty() || user.name.size() > kLongestUserName ||
        !(absl::ascii_isalpha(static_cast<unsigned char>(user.name[0])) ||
          user.name[0] == '_') ||
        !std::all_of(user.name.begin(), user.name.end(), allowed)) {
      return Invalid(field + ".name",
                     absl::StrCat("\"", user.name, "\" is not a user's name"));
    }
    if (user.uid == 0 || user.uid > kLargestId || user.gid > kLargestId) {
      return Invalid(field, absl::StrCat("uid ", user.uid, " and gid ",
                                         user.gid, " are not 1 to 65533"));
    }
    RETURN_IF_ERROR(CheckPath(field + ".shell", user.shell));
    if (!user.home.empty()) {
      RETURN_IF_ERROR(CheckPath(field + ".home", user.home));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOverlay(const std::string& field, const PodOverlay& overlay) {
  RETURN_IF_ERROR(CheckPath(field + ".target", overlay.target));
  if (!absl::StartsWith(overlay.target, "/run/host/")) {
    return Invalid(
        field + ".target",
        absl::StrCat("\"", overlay.target, "\" is not below /run/host"));
  }
  if (overlay.lower_dirs.size() < 2) {
    return Invalid(field + ".lower_dirs", "an overlay has at least two");
  }
  for (const std::string& lower : overlay.lower_dirs) {
    RETURN_IF_ERROR(CheckPath(field + ".lower_dirs", lower));
    if (lower.find_first_of(":,\\") != std::string::npos) {
      return Invalid(field + ".lower_dirs",
                     absl::StrCat("\"", lower, "\" holds ':', ',' or '\\'"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckArguments(absl::string_view field,
                            const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    if (HasNul(arguments[i])) {
      return Invalid(absl::StrCat(field, "[", i, "]"), "contains a NUL byte");
    }
  }
  return absl::OkStatus();
}

// The assignments of os-release(5): KEY=value, KEY="value", KEY='value'.
std::map<std::string, std::string> ParseOsRelease(absl::string_view text) {
  std::map<std::string, std::string> values;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    absl::string_view value = pair.second;
    if (absl::StartsWith(line, "#") || pair.first.empty()) continue;
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') &&
        value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    values[std::string(pair.first)] = std::string(value);
  }
  return values;
}

std::vector<std::string> BuildEnvironment(const BootRequest& request,
                                          const HostFacts& host,
                                          const GuestFacts& guest) {
  std::map<std::string, std::string> env = {
      {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
      {"HOME", "/root"},
      {"USER", "root"},
      {"LOGNAME", "root"},
      {"TERM", "dumb"},
      {"container", kManager},
      {"container_uuid", ContainerUuid(request, guest)},
      {"NOTIFY_SOCKET", "/run/host/notify"},
  };
  if (!request.credentials.empty()) {
    env["CREDENTIALS_DIRECTORY"] = "/run/host/credentials";
  }
  if (request.extra_ttys > 0) {
    env["container_ttys"] = ExtraTtyNames(request.extra_ttys);
  }
  if (!request.listen_fds.empty()) {
    env["LISTEN_FDS"] = absl::StrCat(request.listen_fds.size());
    env["LISTEN_PID"] = "1";
  }
  std::map<std::string, std::string> os = ParseOsRelease(host.os_release);
  // os-release(5): without it, "linux".
  os.emplace("ID", "linux");
  for (const char* key : {"ID", "VERSION_ID", "BUILD_ID", "VARIANT_ID"}) {
    auto found = os.find(key);
    if (found == os.end() || found->second.empty()) continue;
    env[absl::StrCat("container_host_", absl::AsciiStrToLower(key))] =
        found->second;
  }
  for (const auto& [key, value] : request.env) env[key] = value;
  std::vector<std::string> result;
  for (const auto& [key, value] : env) {
    result.push_back(absl::StrCat(key, "=", value));
  }
  return result;
}

std::vector<std::string> BuildArguments(const BootRequest& request,
                                        const GuestFacts& guest) {
  std::vector<std::string> argv = request.init_argv;
  if (argv.empty()) argv.push_back(guest.init);
  argv.insert(argv.end(), request.init_args.begin(), request.init_args.end());
  return argv;
}

void PlanFiles(const std::vector<PodFile>& files, std::vector<FsStep>& steps) {
  for (const PodFile& file : files) {
    bool link = !file.symlink_target.empty();
    steps.push_back(
        {.kind = link ? FsStep::Kind::kSymlink : FsStep::Kind::kFile,
         .target = file.path,
         .source = link ? file.symlink_target : file.content,
         .mode = file.mode,
         .only_if_absent = file.only_if_absent});
  }
}

void PlanBinds(const std::vector<PodBind>& binds, std::vector<FsStep>& steps) {
  for (const PodBind& bind : binds) {
    steps.push_back({.kind = FsStep::Kind::kHostBind,
                     .target = bind.target,
                     .source = bind.source,
                     .attributes = bind.read_only ? MOUNT_ATTR_RDONLY : 0u,
                     .recursive = true,
                     .keep_ids = bind.keep_ids});
  }
}

bool MakesFileAt(const BootRequest& request, const std::string& path) {
  return std::any_of(
      request.files.begin(), request.files.end(),
      [&](const PodFile& file) { return absl::StartsWith(file.path, path); });
}

// A pod that is told more than others may mean a generator or service by it.
void PlanSparedStart(const BootRequest& request, const GuestFacts& guest,
                     std::vector<FsStep>& steps) {
  if (!request.init_argv.empty() || !request.init_args.empty() ||
      !request.env.empty() || !request.credentials.empty()) {
    return;
  }
  std::vector<std::string> generators;
  for (const PausedGenerator& generator : guest.paused_generators) {
    if (generator.input.empty() || !MakesFileAt(request, generator.input)) {
      generators.push_back(generator.name);
    }
  }
  PlanStartOnly(generators, guest.credential_readers, steps);
}

std::vector<FsStep> BuildSteps(const BootRequest& request,
                               const HostFacts& host, const GuestFacts& guest,
                               const PodCgroup& cgroup,
                               const std::string& boot_id) {
  std::vector<FsStep> steps;
  bool own_network = !request.netns_path.empty();
  PlanApiMounts(steps);
  PlanDevices(request.extra_ttys, steps);
  PlanKmsg(steps);
  PlanRunHost({kManager, ContainerUuid(request, guest), host.os_release,
               request.credentials, request.users,
               UnixExportPath(request.runtime_dir), request.overlays},
              steps);
  PlanProc(boot_id, own_network, steps);
  PlanCgroupMounts(cgroup, guest.systemd_version >= kFirstWithoutCgroupV1,
                   steps);
  PlanSysReadOnly(host.has_selinux, steps);
  PlanTimezone(host.timezone, guest.has_timezone, steps);
  PlanIdleGenerators(guest.idle_generators, steps);
  PlanSparedStart(request, guest, steps);
  PlanFiles({LeaveMounted(kServiceCredentials)}, steps);
  PlanFiles(request.files, steps);
  PlanBinds(request.binds, steps);
  return steps;
}

}  // namespace

const std::string& ContainerUuid(const BootRequest& request,
                                 const GuestFacts& guest) {
  return guest.preset_uuid.empty() ? request.pod_id : guest.preset_uuid;
}

absl::Status ValidateBootRequest(const BootRequest& request) {
  if (!IsUuid(request.pod_id)) {
    return Invalid("pod_id", absl::StrCat("\"", request.pod_id,
                                          "\" is not a UUID in lower case"));
  }
  RETURN_IF_ERROR(CheckHostname(request.hostname));
  RETURN_IF_ERROR(ValidateLimits(request.limits), "limits");
  RETURN_IF_ERROR(CheckPath("rootfs", request.rootfs));
  RETURN_IF_ERROR(CheckPath("runtime_dir", request.runtime_dir));
  RETURN_IF_ERROR(CheckPath("state_dir", request.state_dir));
  if (!request.netns_path.empty()) {
    RETURN_IF_ERROR(CheckPath("netns_path", request.netns_path));
  }
  if (!request.userns.path.empty()) {
    RETURN_IF_ERROR(CheckPath("userns.path", request.userns.path));
    if (request.userns.base == 0 || request.userns.base % kUsernsIds != 0) {
      return Invalid("userns.base",
                     absl::StrCat(request.userns.base, " is not a multiple of ",
                                  kUsernsIds));
    }
  }
  if (!request.init_argv.empty()) {
    RETURN_IF_ERROR(CheckPath("init_argv[0]", request.init_argv[0]));
  }
  RETURN_IF_ERROR(CheckArguments("init_argv", request.init_argv));
  RETURN_IF_ERROR(CheckArguments("init_args", request.init_args));
  RETURN_IF_ERROR(CheckEnvironment(request.env));
  RETURN_IF_ERROR(CheckCredentials(request.credentials));
  RETURN_IF_ERROR(CheckUsers(request.users));
  if (request.extra_ttys < 0 || request.extra_ttys > kMostTtys) {
    return Invalid("extra_ttys", absl::StrCat(request.extra_ttys,
                                              " is not 0 to ", kMostTtys));
  }
  if (!request.journal_dir.empty()) {
    RETURN_IF_ERROR(CheckPath("journal_dir", request.journal_dir));
  }
  for (size_t i = 0; i < request.binds.size(); ++i) {
    std::string field = absl::StrCat("binds[", i, "]");
    RETURN_IF_ERROR(CheckPath(field + ".source", request.binds[i].source));
    RETURN_IF_ERROR(CheckPath(field + ".target", request.binds[i].target));
  }
  for (size_t i = 0; i < request.overlays.size(); ++i) {
    RETURN_IF_ERROR(
        CheckOverlay(absl::StrCat("overlays[", i, "]"), request.overlays[i]));
  }
  for (size_t i = 0; i < request.files.size(); ++i) {
    RETURN_IF_ERROR(
        CheckPath(absl::StrCat("files[", i, "].path"), request.files[i].path));
  }
  return absl::OkStatus();
}

LaunchPlan BuildLaunchPlan(const BootRequest& request, const HostFacts& host,
                           const GuestFacts& guest, const PodCgroup& cgroup,
                           const std::string& boot_id) {
  LaunchPlan plan;
  plan.pod_id = request.pod_id;
  plan.hostname = request.hostname;
  plan.root = request.rootfs;
  plan.netns_path = request.netns_path;
  plan.userns = request.userns;
  plan.argv = BuildArguments(request, guest);
  plan.env = BuildEnvironment(request, host, guest);
  plan.bounding_capabilities = DefaultPodCapabilities();
  if (request.netns_path.empty()) {
    // It would be power over the machine's own network.
    plan.bounding_capabilities &= ~(uint64_t{1} << CAP_NET_ADMIN);
  }
  plan.open_files_soft = kOpenFilesSoft;
  plan.seccomp_program = host.seccomp_program;
  plan.confinement = request.confinement;
  plan.cgroups = cgroup.dirs();
  plan.steps = BuildSteps(request, host, guest, cgroup, boot_id);
  plan.devices = DefaultDeviceRules();
  plan.runtime_dir = request.runtime_dir;
  plan.state_dir = request.state_dir;
  plan.listen_fds = static_cast<int>(request.listen_fds.size());
  plan.unix_export = UnixExportPath(request.runtime_dir);
  return plan;
}

}  // namespace davit
