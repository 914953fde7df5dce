#ifndef DAVIT_RUNTIME_BOOT_RECORD_READER_H_
#define DAVIT_RUNTIME_BOOT_RECORD_READER_H_

#include <string>

#include "absl/status/statusor.h"
#include "runtime/boot/launcher.h"
#include "runtime/boot/shim_state.h"

namespace davit {

// What FormatShimRecord has written: identities and phases. NotFound; DataLoss
// if the file is damaged. A record of an earlier boot of the host is NotFound
// too: its processes are gone.
absl::StatusOr<ShimState> ReadShimRecord(const std::string& path,
                                         const std::string& host_boot_id);

// What FormatExitRecord has written. NotFound; DataLoss.
absl::StatusOr<PodExit> ReadExitRecord(const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_RECORD_READER_H_
