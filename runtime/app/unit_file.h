#ifndef DAVIT_RUNTIME_APP_UNIT_FILE_H_
#define DAVIT_RUNTIME_APP_UNIT_FILE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "runtime/app/app.h"

namespace davit {

// One argument of an Exec… line, quoted and escaped so that systemd passes
// exactly `argument` (systemd.service(5) "Command lines", systemd.syntax(7)
// "Quoting"): no specifier, variable, escape or new line comes out of it.
std::string QuoteExecArgument(absl::string_view argument);

// A time span of systemd.time(7): "1500ms", "infinity". Zero becomes one
// millisecond, as 0 means "never" to systemd's timeouts.
std::string UnitTimeSpan(absl::Duration duration);

// The text of "app-<name>.service".
std::string AppServiceText(const AppSpec& app);

// The text of "davit-apps.target".
std::string AppsTargetText(const std::vector<AppSpec>& apps);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_UNIT_FILE_H_
