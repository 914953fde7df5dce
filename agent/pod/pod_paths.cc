#include "agent/pod/pod_paths.h"

#include "absl/strings/str_cat.h"
#include "runtime/app/app.h"

namespace davit {

std::string PodPaths::AppUpper(absl::string_view app) const {
  return absl::StrCat(apps, "/", app, "/upper");
}

std::string PodPaths::AppWork(absl::string_view app) const {
  return absl::StrCat(apps, "/", app, "/work");
}

std::string PodPaths::AppRoot(absl::string_view app) const {
  return absl::StrCat(rootfs, AppRootInPod(app));
}

std::string AgentPaths::pods() const { return absl::StrCat(root, "/pods"); }

std::string AgentPaths::trash() const { return absl::StrCat(root, "/trash"); }

std::string AgentPaths::launcher_dir() const {
  return absl::StrCat(root, "/launcher");
}

std::string AgentPaths::runtime_dirs() const {
  return absl::StrCat(state, "/pods");
}

PodPaths AgentPaths::ForPod(absl::string_view id) const {
  PodPaths paths;
  paths.dir = absl::StrCat(pods(), "/", id);
  paths.record = absl::StrCat(paths.dir, "/pod.json");
  paths.upper = absl::StrCat(paths.dir, "/upper");
  paths.work = absl::StrCat(paths.dir, "/work");
  paths.rootfs = absl::StrCat(paths.dir, "/rootfs");
  paths.apps = absl::StrCat(paths.dir, "/apps");
  paths.journal = absl::StrCat(paths.dir, "/logs/journal");
  paths.journal_work = absl::StrCat(paths.dir, "/logs/work");
  paths.journal_mount = absl::StrCat(paths.dir, "/journal");
  paths.launcher_dir = absl::StrCat(paths.dir, "/launcher");
  paths.app_launcher = absl::StrCat(paths.launcher_dir, "/davit-app");
  paths.empty = absl::StrCat(paths.dir, "/empty");
  paths.exit_file = absl::StrCat(paths.dir, "/exit.json");
  paths.console_log = absl::StrCat(paths.dir, "/console.log");
  paths.runtime_dir = absl::StrCat(runtime_dirs(), "/", id);
  return paths;
}

}  // namespace davit
