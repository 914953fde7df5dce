#include "agent/rpc/validate.h"

#include <sys/capability.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "agent/pod/resources.h"
#include "agent/rpc/validate_internal.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/image_store.h"
#include "runtime/userns/userns.h"

namespace davit {
namespace {

constexpr size_t kMaxContainers = 64;
constexpr size_t kMaxLabels = 256;
constexpr size_t kMaxAnnotationBytes = 256 << 10;  // as Kubernetes
constexpr size_t kMaxEnv = 4096;
constexpr size_t kMaxPorts = 1024;
// execve(2): MAX_ARG_STRLEN is 128 KiB with the final NUL.
constexpr size_t kMaxArgument = (128 << 10) - 1;
// … and all of argv and envp must fit a quarter of the 8 MiB stack; half of
// that leaves room for the image's part.
constexpr size_t kMaxArguments = 1 << 20;
constexpr size_t kMaxPath = 4095;
constexpr size_t kMaxSelinuxWord = 255;
constexpr size_t kMaxReference = 512;
constexpr int64_t kMaxId = INT32_MAX;  // as Kubernetes
constexpr absl::Duration kMaxGrace = absl::Hours(24 * 366);

absl::Status CheckNoNul(const std::string& path, const std::string& text) {
  if (!absl::StrContains(text, '\0')) return absl::OkStatus();
  return Fault(path, "must not contain a NUL byte");
}

// Kubernetes' "qualified name": [DNS subdomain/]name.
absl::Status CheckKey(const std::string& path, const std::string& key) {
  absl::string_view name = key;
  size_t slash = key.find('/');
  if (slash != std::string::npos) {
    absl::string_view prefix = name.substr(0, slash);
    name.remove_prefix(slash + 1);
    if (!HasShape(prefix, 253, IsLowerAlnum, "-.")) {
      return Fault(path, "\"%s\" is not a DNS subdomain", prefix);
    }
  }
  if (HasShape(name, 63, IsAlnum, "-_.")) return absl::OkStatus();
  return Fault(path,
               "\"%s\" is not a key (at most 63 of A-Z, a-z, 0-9, '-', '_' and "
               "'.', beginning and ending with a letter or digit)",
               name);
}

absl::Status CheckLabels(const PodSpec& spec) {
  RETURN_IF_ERROR(
      CheckCount("metadata.labels", spec.labels.size(), kMaxLabels));
  for (const auto& [key, value] : spec.labels) {
    std::string path = absl::StrFormat("metadata.labels[\"%s\"]", key);
    RETURN_IF_ERROR(CheckKey(path, key));
    if (!value.empty() && !HasShape(value, 63, IsAlnum, "-_.")) {
      return Fault(path,
                   "value \"%s\" is not a label value (at most 63 of A-Z, a-z, "
                   "0-9, '-', '_' and '.', beginning and ending with a letter "
                   "or digit)",
                   value);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckAnnotations(const PodSpec& spec) {
  size_t bytes = 0;
  for (const auto& [key, value] : spec.annotations) {
    std::string path = absl::StrFormat("metadata.annotations[\"%s\"]", key);
    RETURN_IF_ERROR(CheckKey(path, key));
    bytes += key.size() + value.size();
  }
  if (bytes <= kMaxAnnotationBytes) return absl::OkStatus();
  return Fault("metadata.annotations", "%d bytes are more than %d", bytes,
               kMaxAnnotationBytes);
}

// "sha256:<hex>" or only the digits.
bool IsImageId(absl::string_view text) {
  absl::ConsumePrefix(&text, "sha256:");
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isxdigit(c);
         });
}

// A name or an id. The beginning of an id has a name's form as well.
absl::Status CheckReference(const std::string& path, const std::string& image) {
  if (image.size() > kMaxReference) {
    return Fault(path, "%d bytes are more than %d", image.size(),
                 kMaxReference);
  }
  if (IsImageId(image)) return absl::OkStatus();
  return Annotate(NormalizeImageName(image).status(), path);
}

absl::Status CheckArguments(const std::string& path,
                            const std::vector<std::string>& arguments,
                            size_t& total) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    RETURN_IF_ERROR(CheckNoNul(Item(path, i), arguments[i]));
    if (arguments[i].size() > kMaxArgument) {
      return Fault(Item(path, i), "%d bytes are more than %d",
                   arguments[i].size(), kMaxArgument);
    }
    total += arguments[i].size() + 1;
  }
  return absl::OkStatus();
}

absl::Status CheckEnv(const std::string& path, const std::vector<EnvVar>& env,
                      size_t& total) {
  RETURN_IF_ERROR(CheckCount(path, env.size(), kMaxEnv));
  for (size_t i = 0; i < env.size(); ++i) {
    const auto& [name, value] = env[i];
    bool good = !name.empty() && !absl::ascii_isdigit(name[0]);
    for (char c : name) {
      good = good && (IsAlnum(c) || absl::StrContains("-._", c));
    }
    if (!good) {
      return Fault(Item(path, i) + ".name",
                   "\"%s\" is not the name of an environment variable (A-Z, "
                   "a-z, 0-9, '_', '-' and '.', not beginning with a digit)",
                   name);
    }
    RETURN_IF_ERROR(CheckNoNul(Item(path, i) + ".value", value));
    if (name.size() + 1 + value.size() > kMaxArgument) {
      return Fault(Item(path, i) + ".value", "%d bytes are more than %d",
                   value.size(), kMaxArgument - name.size() - 1);
    }
    total += name.size() + value.size() + 2;
  }
  return absl::OkStatus();
}

absl::Status CheckCommandLine(const std::string& path,
                              const ContainerSpec& container) {
  size_t total = 0;
  RETURN_IF_ERROR(CheckArguments(path + ".command", container.command, total));
  if (!container.command.empty() && container.command[0].empty()) {
    return Fault(path + ".command[0]", "must not be empty");
  }
  RETURN_IF_ERROR(CheckArguments(path + ".args", container.args, total));
  RETURN_IF_ERROR(CheckEnv(path + ".env", container.env, total));
  if (total <= kMaxArguments) return absl::OkStatus();
  return Fault(path, "command, args and env take %d bytes, more than %d", total,
               kMaxArguments);
}

// A service name of RFC 6335: at most 15 of a-z, 0-9 and '-', with a letter.
bool IsPortName(absl::string_view name) {
  if (!HasShape(name, 15, IsLowerAlnum, "-")) return false;
  for (char c : name) {
    if (absl::ascii_islower(c)) return true;
  }
  return false;
}

absl::Status CheckHostPort(const std::string& path, const ContainerPort& port) {
  if (port.host_port < 0 || port.host_port > 65535) {
    return Fault(path + ".hostPort", "%d is not between 1 and 65535",
                 port.host_port);
  }
  if (port.host_ip.empty()) return absl::OkStatus();
  if (port.host_port == 0) {
    return Fault(path + ".hostIP", "needs a hostPort");
  }
  if (IsIpAddress(port.host_ip)) return absl::OkStatus();
  return Fault(path + ".hostIP", "\"%s\" is not an IP address", port.host_ip);
}

absl::Status CheckPorts(const std::string& path,
                        const std::vector<ContainerPort>& ports) {
  RETURN_IF_ERROR(CheckCount(path, ports.size(), kMaxPorts));
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < ports.size(); ++i) {
    const ContainerPort& port = ports[i];
    std::string item = Item(path, i);
    if (port.container_port < 1 || port.container_port > 65535) {
      return Fault(item + ".containerPort", "%d is not between 1 and 65535",
                   port.container_port);
    }
    if (port.protocol != "TCP" && port.protocol != "UDP" &&
        port.protocol != "SCTP") {
      return Fault(item + ".protocol",
                   "unknown value \"%s\"; one of \"TCP\", \"UDP\", \"SCTP\" is "
                   "wanted",
                   port.protocol);
    }
    RETURN_IF_ERROR(CheckHostPort(item, port));
    if (port.name.empty()) continue;
    if (!IsPortName(port.name)) {
      return Fault(item + ".name",
                   "\"%s\" is not a port name (at most 15 of a-z, 0-9 and '-', "
                   "with a letter)",
                   port.name);
    }
    if (!names.insert(port.name).second) {
      return Fault(item + ".name", "\"%s\" is used twice", port.name);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckCapabilities(const std::string& path,
                               const std::vector<std::string>& names) {
  for (size_t i = 0; i < names.size(); ++i) {
    std::string name = absl::AsciiStrToLower(names[i]);
    if (!absl::StartsWith(name, "cap_")) name = absl::StrCat("cap_", name);
    // cap_from_name(3) stops at the first character that no name has, and is
    // content with what it read until then.
    cap_value_t number;
    bool good = std::all_of(name.begin(), name.end(), [](char c) {
      return absl::ascii_islower(c) || c == '_';
    });
    good = good && cap_from_name(name.c_str(), &number) == 0;
    if (!good && name != "cap_all") {
      return Fault(Item(path, i), "\"%s\" is not a capability", names[i]);
    }
  }
  return absl::OkStatus();
}

absl::Status CheckId(const std::string& path, std::optional<int64_t> id) {
  if (!id || (*id >= 0 && *id <= kMaxId)) return absl::OkStatus();
  return Fault(path, "%d is not between 0 and %d", *id, kMaxId);
}

// `file`: the profile is a path below a directory; else a name.
absl::Status CheckProfile(const std::string& path,
                          const ConfinementProfile& profile, bool file) {
  const std::string& name = profile.localhost_profile;
  std::string field = path + ".localhostProfile";
  if (profile.type != ProfileType::kLocalhost) {
    if (name.empty()) return absl::OkStatus();
    return Fault(field, "is for type \"Localhost\" only");
  }
  if (name.empty()) return Fault(field, "is required");
  RETURN_IF_ERROR(CheckNoNul(field, name));
  if (name.size() > kMaxPath || absl::StrContains(name, '\n')) {
    return Fault(field, "is no name of a profile");
  }
  if (!file) return absl::OkStatus();
  if (name[0] == '/') return Fault(field, "\"%s\" is not relative", name);
  for (absl::string_view part : absl::StrSplit(name, '/')) {
    if (part == "..") return Fault(field, "\"%s\" has a \"..\"", name);
  }
  return absl::OkStatus();
}

absl::Status CheckSelinuxWord(const std::string& path, const std::string& word,
                              absl::string_view more) {
  bool good = word.size() <= kMaxSelinuxWord;
  for (char c : word) good = good && (IsAlnum(c) || absl::StrContains(more, c));
  if (good) return absl::OkStatus();
  return Fault(path, "\"%s\" is no word of a security context", word);
}

absl::Status CheckConfinement(const std::string& path,
                              const Confinement& confinement) {
  RETURN_IF_ERROR(
      CheckProfile(path + ".seccompProfile", confinement.seccomp, true));
  RETURN_IF_ERROR(
      CheckProfile(path + ".appArmorProfile", confinement.app_armor, false));
  const SELinuxOptions& options = confinement.se_linux;
  std::string prefix = path + ".seLinuxOptions.";
  RETURN_IF_ERROR(CheckSelinuxWord(prefix + "user", options.user, "_"));
  RETURN_IF_ERROR(CheckSelinuxWord(prefix + "role", options.role, "_"));
  RETURN_IF_ERROR(CheckSelinuxWord(prefix + "type", options.type, "_"));
  return CheckSelinuxWord(prefix + "level", options.level, "_:,.-");
}

absl::Status CheckSecurity(const std::string& path,
                           const SecurityContext& security) {
  RETURN_IF_ERROR(CheckId(path + ".runAsUser", security.run_as_user));
  RETURN_IF_ERROR(CheckId(path + ".runAsGroup", security.run_as_group));
  RETURN_IF_ERROR(CheckConfinement(path, security.confinement));
  if (security.run_as_non_root.value_or(false) && security.run_as_user == 0) {
    return Fault(path + ".runAsUser", "0 contradicts runAsNonRoot");
  }
  if (security.privileged.value_or(false) &&
      !security.allow_privilege_escalation.value_or(true)) {
    return Fault(path + ".allowPrivilegeEscalation",
                 "false contradicts privileged");
  }
  RETURN_IF_ERROR(
      CheckCapabilities(path + ".capabilities.add", security.add_capabilities));
  return CheckCapabilities(path + ".capabilities.drop",
                           security.drop_capabilities);
}

absl::Status CheckContainer(const std::string& path,
                            const ContainerSpec& container) {
  RETURN_IF_ERROR(CheckDnsLabel(path + ".name", container.name));
  if (container.image.empty()) return Fault(path + ".image", "is required");
  RETURN_IF_ERROR(CheckReference(path + ".image", container.image));
  RETURN_IF_ERROR(CheckCommandLine(path, container));
  const std::string& dir = container.working_dir;
  RETURN_IF_ERROR(CheckNoNul(path + ".workingDir", dir));
  if (!dir.empty() && (dir[0] != '/' || dir.size() > kMaxPath)) {
    return Fault(path + ".workingDir", "\"%s\" is not an absolute path", dir);
  }
  RETURN_IF_ERROR(CheckPorts(path + ".ports", container.ports));
  return CheckSecurity(path + ".securityContext", container.security);
}

// setuid(2) refuses what the user namespace does not map.
absl::Status CheckMapped(const std::string& path, std::optional<int64_t> id) {
  if (!id || *id < int64_t{kUsernsIds}) return absl::OkStatus();
  return Fault(path,
               "%d is not between 0 and %d, the ids of a pod with "
               "hostUsers false",
               *id, kUsernsIds - 1);
}

absl::Status CheckOwnUsers(const PodSpec& spec) {
  if (!HasOwnUsers(spec)) return absl::OkStatus();
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const SecurityContext& security = spec.containers[i].security;
    std::string path = Item("spec.containers", i) + ".securityContext.";
    RETURN_IF_ERROR(CheckMapped(path + "runAsUser", security.run_as_user));
    RETURN_IF_ERROR(CheckMapped(path + "runAsGroup", security.run_as_group));
  }
  return absl::OkStatus();
}

absl::Status CheckContainers(const PodSpec& spec) {
  if (spec.containers.empty() && spec.root_image.empty()) {
    return Fault("spec.containers",
                 "at least one is needed when there is no spec.rootImage");
  }
  RETURN_IF_ERROR(
      CheckCount("spec.containers", spec.containers.size(), kMaxContainers));
  std::unordered_set<std::string> names;
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    std::string path = Item("spec.containers", i);
    RETURN_IF_ERROR(CheckContainer(path, spec.containers[i]));
    if (!names.insert(spec.containers[i].name).second) {
      return Fault(path + ".name", "\"%s\" is used twice",
                   spec.containers[i].name);
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsAlnum(char c) { return absl::ascii_isalnum(c); }
bool IsLowerAlnum(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c);
}

bool HasShape(absl::string_view text, size_t max, bool (*edge)(char),
              absl::string_view inner) {
  if (text.empty() || text.size() > max) return false;
  if (!edge(text.front()) || !edge(text.back())) return false;
  for (char c : text) {
    if (!edge(c) && !absl::StrContains(inner, c)) return false;
  }
  return true;
}

absl::Status CheckDnsLabel(const std::string& path, const std::string& text) {
  if (text.empty()) return Fault(path, "is required");
  if (HasShape(text, 63, IsLowerAlnum, "-")) return absl::OkStatus();
  return Fault(path,
               "\"%s\" is not a DNS-1123 label (at most 63 of a-z, 0-9 and "
               "'-', beginning and ending with a letter or digit)",
               text);
}

absl::Status CheckCount(const std::string& path, size_t count, size_t max) {
  if (count <= max) return absl::OkStatus();
  return Fault(path, "%d entries are more than %d", count, max);
}

absl::Status ValidatePodSpec(const PodSpec& spec) {
  RETURN_IF_ERROR(CheckDnsLabel("metadata.name", spec.name));
  RETURN_IF_ERROR(CheckLabels(spec));
  RETURN_IF_ERROR(CheckAnnotations(spec));
  RETURN_IF_ERROR(CheckContainers(spec));
  RETURN_IF_ERROR(CheckOwnUsers(spec));
  RETURN_IF_ERROR(CheckConfinement("spec.securityContext", spec.confinement));
  RETURN_IF_ERROR(CheckResources(spec));
  RETURN_IF_ERROR(CheckDnsLabel("spec.hostname", spec.hostname));
  if (spec.termination_grace < absl::ZeroDuration() ||
      spec.termination_grace > kMaxGrace) {
    return Fault("spec.terminationGracePeriodSeconds",
                 "%d is not between 0 and %d",
                 absl::ToInt64Seconds(spec.termination_grace),
                 absl::ToInt64Seconds(kMaxGrace));
  }
  if (!spec.root_image.empty()) {
    RETURN_IF_ERROR(CheckReference("spec.rootImage", spec.root_image));
  }
  return ValidatePodNetwork(spec);
}

absl::Status ValidateVolumeTarget(const std::string& target) {
  if (target.empty()) return Fault("target", "is required");
  RETURN_IF_ERROR(CheckNoNul("target", target));
  if (target[0] != '/' || target.size() > kMaxPath) {
    return Fault("target", "\"%s\" is not an absolute path", target);
  }
  std::vector<std::string> parts = absl::StrSplit(target.substr(1), '/');
  for (const std::string& part : parts) {
    // One spelling for each place: it is how a volume is named.
    if (part.empty() || part == "." || part == "..") {
      return Fault("target", "\"%s\" has an empty part, \".\" or \"..\"",
                   target);
    }
  }
  return absl::OkStatus();
}

absl::Status ValidateVolume(const PodMount& volume) {
  if (volume.source.empty()) return Fault("source", "is required");
  RETURN_IF_ERROR(CheckNoNul("source", volume.source));
  if (volume.source[0] != '/' || volume.source.size() > kMaxPath) {
    return Fault("source", "\"%s\" is not an absolute path", volume.source);
  }
  return ValidateVolumeTarget(volume.target);
}

}  // namespace davit
