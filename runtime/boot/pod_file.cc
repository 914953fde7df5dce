#include "runtime/boot/pod_file.h"

#include "absl/strings/str_cat.h"

namespace davit {

PodFile LeaveMounted(absl::string_view unit) {
  PodFile file;
  file.path = absl::StrCat("/run/systemd/system/", unit, ".d/davit.conf");
  file.content = "[Unit]\nDefaultDependencies=no\n";
  return file;
}

}  // namespace davit
