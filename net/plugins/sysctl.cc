#include "net/plugins/sysctl.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::Status SetSysctl(absl::string_view name, absl::string_view value) {
  const std::string path = absl::StrCat("/proc/sys/net/", name);
  ASSIGN_OR_RETURN(std::string current, ReadFile(path));
  if (absl::StripAsciiWhitespace(current) == value) return absl::OkStatus();
  return WriteKernelFile(path, std::string(value));
}

}  // namespace davit
