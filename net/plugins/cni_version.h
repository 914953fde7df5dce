#ifndef DAVIT_NET_PLUGINS_CNI_VERSION_H_
#define DAVIT_NET_PLUGINS_CNI_VERSION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit {

// The versions of the specification that our plugins speak, oldest first.
const std::vector<std::string>& SupportedCniVersions();

// What a configuration without cniVersion means, by the specification's
// history and Go's code.
inline constexpr char kImplicitCniVersion[] = "0.1.0";

bool IsSupportedCniVersion(absl::string_view version);

// Whether `version` is `other` or later. InvalidArgument if one is not
// "MAJOR.MINOR.PATCH".
absl::StatusOr<bool> VersionAtLeast(absl::string_view version,
                                    absl::string_view other);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_CNI_VERSION_H_
