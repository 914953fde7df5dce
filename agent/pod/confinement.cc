#include "agent/pod/confinement.h"

#include <fcntl.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/openat2.h"
#include "runtime/sandbox/oci_seccomp.h"

namespace davit {
namespace {

constexpr size_t kMaxProfile = 1 << 20;

std::string OrElse(const std::string& text, const char* otherwise) {
  return text.empty() ? otherwise : text;
}

absl::StatusOr<std::string> CompileProfile(const std::string& directory,
                                           const std::string& name) {
  UniqueFd top(open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!top) return ErrnoError("open(%s)", directory);
  // Not of a FIFO, which would wait.
  UniqueFd file =
      OpenBelow(top.get(), name, O_RDONLY | O_NONBLOCK, Lookup::kBeneath);
  if (!file) return ErrnoError("open(%s/%s)", directory, name);
  ASSIGN_OR_RETURN(std::string json, ReadAll(file.get(), kMaxProfile));
  ASSIGN_OR_RETURN(OciSeccomp profile, ParseOciSeccomp(json), name);
  ASSIGN_OR_RETURN(std::string program, CompileOciSeccomp(profile), name);
  return program;
}

absl::Status ResolveSeccomp(const ConfinementProfile& profile,
                            const std::string& directory,
                            ProcessConfinement& out) {
  out.no_filter = profile.type == ProfileType::kUnconfined;
  if (profile.type != ProfileType::kLocalhost) return absl::OkStatus();
  ASSIGN_OR_RETURN(out.seccomp_program,
                   CompileProfile(directory, profile.localhost_profile));
  return absl::OkStatus();
}

absl::Status ResolveAppArmor(const ConfinementProfile& profile,
                             const std::string& sys, ProcessConfinement& out) {
  if (profile.type != ProfileType::kLocalhost) return absl::OkStatus();
  out.apparmor_profile = profile.localhost_profile;
  return CheckAppArmor(profile.localhost_profile, sys);
}

absl::Status ResolveSelinux(const SELinuxOptions& options,
                            const std::string& sys, ProcessConfinement& out) {
  if (options == SELinuxOptions()) return absl::OkStatus();
  out.selinux_context = absl::StrCat(
      OrElse(options.user, "system_u"), ":", OrElse(options.role, "system_r"),
      ":", options.type, ":", OrElse(options.level, "s0"));
  return CheckSelinux(sys);
}

// `own` wins over `pods`, each with the path of its security context.
struct Said {
  const Confinement& confinement;
  std::string path;
};

absl::StatusOr<ProcessConfinement> Resolve(const Said& own, const Said& pods,
                                           const std::string& seccomp_dir,
                                           const std::string& sys) {
  ProcessConfinement out;
  auto said = [&](bool is_own) -> const Said& { return is_own ? own : pods; };
  const Said& seccomp =
      said(own.confinement.seccomp.type != ProfileType::kUnset);
  RETURN_IF_ERROR(ResolveSeccomp(seccomp.confinement.seccomp, seccomp_dir, out),
                  seccomp.path + ".seccompProfile.localhostProfile");
  const Said& app_armor =
      said(own.confinement.app_armor.type != ProfileType::kUnset);
  RETURN_IF_ERROR(ResolveAppArmor(app_armor.confinement.app_armor, sys, out),
                  app_armor.path + ".appArmorProfile");
  const Said& se_linux = said(!(own.confinement.se_linux == SELinuxOptions()));
  RETURN_IF_ERROR(ResolveSelinux(se_linux.confinement.se_linux, sys, out),
                  se_linux.path + ".seLinuxOptions");
  return out;
}

}  // namespace

absl::StatusOr<PodConfinement> ResolveConfinement(
    const PodSpec& spec, const std::string& seccomp_dir,
    const std::string& sys) {
  PodConfinement out;
  Said pods{spec.confinement, "spec.securityContext"};
  if (spec.containers.empty()) {
    ASSIGN_OR_RETURN(out.machine, Resolve(pods, pods, seccomp_dir, sys));
  }
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    const SecurityContext& security = spec.containers[i].security;
    out.apps.emplace_back();
    if (security.privileged.value_or(false)) continue;
    Said own{security.confinement,
             absl::StrCat("spec.containers[", i, "].securityContext")};
    ASSIGN_OR_RETURN(out.apps.back(), Resolve(own, pods, seccomp_dir, sys));
  }
  return out;
}

}  // namespace davit
