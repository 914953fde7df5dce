#include "net/plugins/cni_version.h"

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

absl::StatusOr<std::array<uint32_t, 3>> ParseVersion(absl::string_view text) {
  std::vector<absl::string_view> parts = absl::StrSplit(text, '.');
  std::array<uint32_t, 3> version = {};
  bool ok = parts.size() == version.size();
  for (size_t i = 0; ok && i < version.size(); ++i) {
    ok = absl::SimpleAtoi(parts[i], &version[i]);
  }
  if (!ok) {
    return absl::InvalidArgumentError(
        absl::StrFormat("invalid version \"%s\"", text));
  }
  return version;
}

}  // namespace

const std::vector<std::string>& SupportedCniVersions() {
  static const auto& versions = *new std::vector<std::string>{
      "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"};
  return versions;
}

bool IsSupportedCniVersion(absl::string_view version) {
  const std::vector<std::string>& versions = SupportedCniVersions();
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

absl::StatusOr<bool> VersionAtLeast(absl::string_view version,
                                    absl::string_view other) {
  ASSIGN_OR_RETURN(auto left, ParseVersion(version));
  ASSIGN_OR_RETURN(auto right, ParseVersion(other));
  return left >= right;
}

}  // namespace davit
