#include "absl/strings/str_cat.h"
#include "runtime/app/app.h"

namespace davit {

std::string AppUnitName(absl::string_view app) {
  return absl::StrCat("app-", app, ".service");
}

std::string AppRootInPod(absl::string_view app) {
  return absl::StrCat("/opt/stage2/", app, "/rootfs");
}

}  // namespace davit
