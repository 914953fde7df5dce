#include "runtime/sandbox/confinement.h"

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::Status CheckAppArmor(const std::string& profile, const std::string& sys) {
  absl::StatusOr<std::string> enabled =
      ReadFile(sys + "/module/apparmor/parameters/enabled");
  if (!enabled.ok() || !absl::StartsWith(*enabled, "Y")) {
    return absl::FailedPreconditionError("the node has no AppArmor");
  }
  absl::StatusOr<std::string> loaded =
      ReadFile(sys + "/kernel/security/apparmor/profiles");
  // Without securityfs nobody can tell; the exec fails then.
  if (absl::IsNotFound(loaded.status())) return absl::OkStatus();
  RETURN_IF_ERROR(loaded.status());
  // "name (enforce)"; the name may have spaces.
  for (absl::string_view line : absl::StrSplit(*loaded, '\n')) {
    if (line.substr(0, line.rfind(" (")) == profile) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("AppArmor has not loaded a profile \"", profile, "\""));
}

absl::Status CheckSelinux(const std::string& sys) {
  if (PathExists(sys + "/fs/selinux/enforce")) return absl::OkStatus();
  return absl::FailedPreconditionError("the node has no SELinux");
}

absl::Status LabelNextExec(const ProcessConfinement& confinement,
                           const std::string& attributes) {
  if (!confinement.apparmor_profile.empty()) {
    // Since Linux 5.8, and the only one that is AppArmor's where another LSM
    // owns the old file.
    std::string own = attributes + "/apparmor/exec";
    RETURN_IF_ERROR(
        WriteKernelFile(PathExists(own) ? own : attributes + "/exec",
                        absl::StrCat("exec ", confinement.apparmor_profile)),
        "AppArmor profile");
  }
  if (confinement.selinux_context.empty()) return absl::OkStatus();
  return Annotate(
      WriteKernelFile(attributes + "/exec", confinement.selinux_context),
      "SELinux context");
}

}  // namespace davit
