#include "runtime/app/launcher/restrictions.h"

#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/sandbox/capabilities.h"
#include "runtime/sandbox/confinement.h"
#include "runtime/sandbox/seccomp.h"
#include "runtime/sandbox/seccomp_program.h"

namespace davit {
namespace {

constexpr size_t kMaxPasswd = 1 << 20;

absl::StatusOr<uint64_t> AppCapabilities(const AppSpec& app) {
  uint64_t limit = BoundingSet();
  if (app.privileged) return limit;
  ASSIGN_OR_RETURN(uint64_t wanted,
                   CapabilitySet(DefaultAppCapabilities(), app.add_capabilities,
                                 app.drop_capabilities));
  return wanted & limit;
}

absl::Status LoadFilter(const AppSpec& app, uint64_t capabilities) {
  if (app.privileged || app.confinement.no_filter) return absl::OkStatus();
  if (!app.confinement.seccomp_program.empty()) {
    return LoadSeccompProgram(app.confinement.seccomp_program);
  }
  ASSIGN_OR_RETURN(SeccompFilter filter,
                   SeccompFilter::Create(AppSeccompProfile(capabilities)));
  return filter.Load();
}

absl::Status BecomeUser(const AppSpec& app) {
  std::vector<gid_t> groups(app.supplementary_gids.begin(),
                            app.supplementary_gids.end());
  if (setgroups(groups.size(), groups.data()) < 0) {
    return ErrnoError("setgroups(%d groups)", groups.size());
  }
  if (setresgid(app.gid, app.gid, app.gid) < 0) {
    return ErrnoError("setresgid(%d)", app.gid);
  }
  if (setresuid(app.uid, app.uid, app.uid) < 0) {
    return ErrnoError("setresuid(%d)", app.uid);
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t BoundingSet() {
  uint64_t bits = 0;
  for (int number = 0; number < 64; ++number) {
    int has = prctl(PR_CAPBSET_READ, number);
    if (has < 0) break;
    if (has == 1) bits |= uint64_t{1} << number;
  }
  return bits;
}

absl::Status ResetProcess() {
  umask(022);
  for (int number = 1; number <= SIGRTMAX; ++number) {
    if (number == SIGKILL || number == SIGSTOP) continue;
    // Fails for the two numbers that the C library keeps to itself.
    signal(number, SIG_DFL);
  }
  sigset_t none;
  sigemptyset(&none);
  if (sigprocmask(SIG_SETMASK, &none, nullptr) < 0) {
    return ErrnoError("sigprocmask");
  }
  return absl::OkStatus();
}

absl::Status ApplyRestrictions(const AppSpec& app) {
  ASSIGN_OR_RETURN(uint64_t capabilities, AppCapabilities(app), "capabilities");
  if (!app.privileged) RETURN_IF_ERROR(LabelNextExec(app.confinement));
  RETURN_IF_ERROR(LimitCapabilities(capabilities));
  // Loading a filter without no_new_privs takes the SYS_ADMIN that the next
  // steps give up, so the filter must let those pass: ours does. A profile may
  // not, and with no_new_privs it is loaded after them.
  bool late = app.no_new_privileges && !app.confinement.seccomp_program.empty();
  if (!late) RETURN_IF_ERROR(LoadFilter(app, capabilities), "seccomp filter");
  RETURN_IF_ERROR(BecomeUser(app));
  // A change to another uid has emptied the sets already (capabilities(7)).
  if (app.uid == 0) {
    RETURN_IF_ERROR(SetProcessCapabilities(capabilities, capabilities, 0));
  }
  if (app.no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
    return ErrnoError("prctl(PR_SET_NO_NEW_PRIVS)");
  }
  if (late) RETURN_IF_ERROR(LoadFilter(app, capabilities), "seccomp filter");
  return absl::OkStatus();
}

void AddHome(unsigned uid, std::vector<std::string>& env) {
  if (std::any_of(env.begin(), env.end(), [](const std::string& entry) {
        return absl::StartsWith(entry, "HOME=");
      })) {
    return;
  }
  std::string home = "/";
  absl::StatusOr<std::string> passwd = ReadFile("/etc/passwd", kMaxPasswd);
  if (passwd.ok()) {
    for (absl::string_view line : absl::StrSplit(*passwd, '\n')) {
      std::vector<absl::string_view> field = absl::StrSplit(line, ':');
      if (field.size() < 7 || field[2] != absl::StrCat(uid)) continue;
      if (!field[5].empty()) home = std::string(field[5]);
      break;
    }
  }
  env.push_back("HOME=" + home);
}

std::string EnvironmentValue(const std::vector<std::string>& env,
                             absl::string_view name) {
  std::string value;
  for (absl::string_view entry : env) {
    std::pair<absl::string_view, absl::string_view> pair =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    if (pair.first == name) value = std::string(pair.second);
  }
  return value;
}

}  // namespace davit
