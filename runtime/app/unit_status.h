#ifndef DAVIT_RUNTIME_APP_UNIT_STATUS_H_
#define DAVIT_RUNTIME_APP_UNIT_STATUS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "runtime/app/app.h"

namespace davit {

// What a pod's systemd says of a service (org.freedesktop.systemd1(5)), read in
// one reply, so that the values belong together.
struct UnitProperties {
  std::string load_state;
  std::string active_state;
  std::string sub_state;
  std::string result;
  int32_t exec_main_code = 0;  // CLD_EXITED, CLD_KILLED, … of siginfo; 0: none
  int32_t exec_main_status = 0;
  uint64_t exec_main_start_usec = 0;  // CLOCK_REALTIME
  uint64_t exec_main_exit_usec = 0;
  uint32_t restarts = 0;
  uint32_t main_pid = 0;
};

// True if the last run ended as davit-app's failures do, with 125, 126 or 127:
// then NAME.error tells whether it was one.
bool MayBeStartError(const UnitProperties& unit);

// What that means for the app. `start_error` is the content of NAME.error, to
// be read if MayBeStartError. Pure.
AppStatus StatusOfUnit(const UnitProperties& unit,
                       absl::string_view start_error);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_UNIT_STATUS_H_
