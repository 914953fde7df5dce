#ifndef DAVIT_RUNTIME_BOOT_ROOT_INSPECTOR_H_
#define DAVIT_RUNTIME_BOOT_ROOT_INSPECTOR_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/boot/plan_builder.h"

namespace davit {

// Looks into a root file system, following its symlinks inside it only
// (openat2(2), RESOLVE_IN_ROOT). With `need_init`, finds what to execute:
// FailedPrecondition if there is no systemd or init. `timezone` is the host's,
// "Europe/Berlin" or empty.
absl::StatusOr<GuestFacts> InspectRoot(const std::string& root, bool need_init,
                                       const std::string& timezone = "");

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_ROOT_INSPECTOR_H_
