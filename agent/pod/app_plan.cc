#include "agent/pod/app_plan.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/pod/expansion.h"
#include "agent/pod/resources.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// What container runtimes use when an image sets no PATH.
constexpr char kDefaultPath[] =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// An environment in order of first appearance.
class Environment {
 public:
  void Set(const std::string& name, const std::string& value) {
    for (EnvVar& var : vars_) {
      if (var.name != name) continue;
      var.value = value;
      return;
    }
    vars_.push_back({name, value});
  }

  const std::string* Find(absl::string_view name) const {
    for (const EnvVar& var : vars_) {
      if (var.name == name) return &var.value;
    }
    return nullptr;
  }

  std::vector<std::string> Lines() const {
    std::vector<std::string> lines;
    for (const EnvVar& var : vars_) {
      lines.push_back(absl::StrCat(var.name, "=", var.value));
    }
    return lines;
  }

 private:
  std::vector<EnvVar> vars_;
};

// The container's own variables, expanded in order.
Environment OwnEnvironment(const ContainerSpec& container,
                           std::map<std::string, std::string>& values) {
  Environment own;
  for (const EnvVar& var : container.env) {
    std::string value = ExpandVariables(var.value, values);
    own.Set(var.name, value);
    values[var.name] = std::move(value);
  }
  return own;
}

Environment MergeEnvironment(const PodSpec& pod, const Image& image,
                             const ContainerSpec& container,
                             const Environment& own) {
  Environment merged;
  merged.Set("PATH", kDefaultPath);
  merged.Set("HOSTNAME", pod.hostname);
  for (const std::string& line : image.config.env) {
    size_t equals = line.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    merged.Set(line.substr(0, equals), line.substr(equals + 1));
  }
  for (const EnvVar& var : container.env) {
    merged.Set(var.name, *own.Find(var.name));
  }
  return merged;
}

std::vector<std::string> MergeCommand(
    const ContainerSpec& container, const ImageConfig& image,
    const std::map<std::string, std::string>& values) {
  std::vector<std::string> argv;
  for (const std::string& word : container.command) {
    argv.push_back(ExpandVariables(word, values));
  }
  if (container.command.empty()) argv = image.entrypoint;
  for (const std::string& word : container.args) {
    argv.push_back(ExpandVariables(word, values));
  }
  if (container.command.empty() && container.args.empty()) {
    argv.insert(argv.end(), image.cmd.begin(), image.cmd.end());
  }
  return argv;
}

std::string MergeUser(const SecurityContext& security,
                      const std::string& image_user) {
  if (!security.run_as_user && !security.run_as_group) return image_user;
  std::string user = security.run_as_user
                         ? absl::StrCat(*security.run_as_user)
                         : image_user.substr(0, image_user.find(':'));
  if (!security.run_as_group) return user;
  return absl::StrCat(user.empty() ? "0" : user, ":", *security.run_as_group);
}

// "net_admin" and "CAP_NET_ADMIN" → "CAP_NET_ADMIN"; "ALL" stays.
std::vector<std::string> CapabilityNames(
    const std::vector<std::string>& words) {
  std::vector<std::string> names;
  for (const std::string& word : words) {
    std::string name = absl::AsciiStrToUpper(word);
    if (name != "ALL" && !absl::StartsWith(name, "CAP_")) {
      name = absl::StrCat("CAP_", name);
    }
    names.push_back(std::move(name));
  }
  return names;
}

void ApplySecurity(const SecurityContext& security, AppPlan& plan) {
  plan.run_as_non_root = security.run_as_non_root.value_or(false);
  plan.spec.read_only_root = security.read_only_root_filesystem.value_or(false);
  plan.spec.privileged = security.privileged.value_or(false);
  plan.spec.no_new_privileges =
      !security.allow_privilege_escalation.value_or(true);
  plan.spec.add_capabilities = CapabilityNames(security.add_capabilities);
  plan.spec.drop_capabilities = CapabilityNames(security.drop_capabilities);
}

bool HasVariable(const std::vector<std::string>& env, absl::string_view name) {
  for (const std::string& line : env) {
    if (absl::StartsWith(line, absl::StrCat(name, "="))) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<AppPlan> PlanApp(const PodSpec& pod, size_t index,
                                const Image& image) {
  const ContainerSpec& container = pod.containers[index];
  std::map<std::string, std::string> values;
  Environment own = OwnEnvironment(container, values);
  Environment env = MergeEnvironment(pod, image, container, own);

  AppPlan plan;
  plan.spec.name = container.name;
  plan.spec.argv = MergeCommand(container, image.config, values);
  if (plan.spec.argv.empty() || plan.spec.argv[0].empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "spec.containers[", index, "].command: app \"", container.name,
        "\" names no command, and neither does image \"", container.image,
        "\""));
  }
  plan.spec.env = env.Lines();
  plan.path_variable = *env.Find("PATH");
  plan.spec.working_dir = container.working_dir;
  if (plan.spec.working_dir.empty()) {
    plan.spec.working_dir = image.config.working_dir;
  }
  if (plan.spec.working_dir.empty()) plan.spec.working_dir = std::string("/");
  if (!image.config.stop_signal.empty()) {
    plan.spec.stop_signal = image.config.stop_signal;
  }
  plan.spec.stop_grace = pod.termination_grace;
  plan.spec.restart = pod.restart_policy;
  plan.spec.limits = LimitsOfApp(container.resources);
  plan.user = MergeUser(container.security, image.config.user);
  ApplySecurity(container.security, plan);
  return plan;
}

absl::StatusOr<AppSpec> ResolveApp(const AppPlan& plan,
                                   const std::string& command,
                                   const ResolvedUser& user) {
  if (plan.run_as_non_root && user.uid == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("app \"", plan.spec.name,
                     "\" has runAsNonRoot and would run as root (user \"",
                     plan.user, "\")"));
  }
  AppSpec spec = plan.spec;
  spec.argv[0] = command;
  spec.uid = user.uid;
  spec.gid = user.gid;
  spec.supplementary_gids = user.supplementary_gids;
  if (!HasVariable(spec.env, "HOME")) {
    spec.env.push_back(absl::StrCat("HOME=", user.home));
  }
  return spec;
}

}  // namespace davit
