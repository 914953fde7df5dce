#include "runtime/app/unit_file.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"

namespace davit {
namespace {

// systemd's on-failure takes an end by one of these for a success; an app that
// was killed has failed.
constexpr char kUncleanSignals[] = "SIGHUP SIGINT SIGTERM SIGPIPE";

// `text` for the right side of an assignment: one line, no specifiers.
std::string PlainValue(absl::string_view text) {
  std::string result;
  for (char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) continue;
    result.push_back(c);
    if (c == '%') result.push_back('%');
  }
  return result;
}

std::string RestartLines(RestartPolicy policy) {
  switch (policy) {
    case RestartPolicy::kAlways:
      return "Restart=always\nRestartSec=1s\n";
    case RestartPolicy::kOnFailure:
      return absl::StrCat("Restart=on-failure\nRestartSec=1s\n",
                          "RestartForceExitStatus=", kUncleanSignals, "\n");
    case RestartPolicy::kNever:
      return "Restart=no\n";
  }
  return "";
}

// Without the default dependencies nothing else of the system is pulled in;
// the orderings only say that apps are stopped before what they may use, and
// Conflicts= that they are stopped, not killed, at shutdown.
constexpr char kOrdering[] =
    "DefaultDependencies=no\n"
    "After=systemd-journald.service basic.target network.target\n"
    "Conflicts=shutdown.target\n"
    "Before=shutdown.target\n";

// systemd.resource-control(5).
std::string LimitLines(const AppLimits& limits) {
  std::string lines;
  if (limits.memory_max_bytes != 0) {
    absl::StrAppend(&lines, "MemoryMax=", limits.memory_max_bytes, "\n");
  }
  if (limits.cpu_millis != 0) {
    absl::StrAppendFormat(&lines, "CPUQuota=%d.%d%%\n", limits.cpu_millis / 10,
                          limits.cpu_millis % 10);
  }
  if (limits.cpu_weight != 0) {
    absl::StrAppend(&lines, "CPUWeight=", limits.cpu_weight, "\n");
  }
  return lines;
}

}  // namespace

std::string QuoteExecArgument(absl::string_view argument) {
  std::string result = "\"";
  for (unsigned char c : argument) {
    if (c == '"' || c == '\\') {
      result += {'\\', static_cast<char>(c)};
    } else if (c == '%' || c == '$') {
      result.append(2, static_cast<char>(c));
    } else if (c < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&result, "\\x%02x", c);
    } else {
      result.push_back(static_cast<char>(c));
    }
  }
  return result + "\"";
}

std::string UnitTimeSpan(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return "infinity";
  return absl::StrCat(std::max<int64_t>(1, absl::ToInt64Milliseconds(duration)),
                      "ms");
}

std::string AppServiceText(const AppSpec& app) {
  return absl::StrCat(
      // The journal first: at boot it is left to its sockets, and an app's
      // first lines should not wait in them.
      "[Unit]\nWants=systemd-journald.service\n",             //
      "Description=app ", PlainValue(app.name), "\n",         //
      kOrdering,                                              //
      "StartLimitIntervalSec=0\n",                            //
      "\n[Service]\n",                                        //
      "Type=exec\n",                                          //
      "ExecStart=", kAppLauncherInPod, " run ",               //
      QuoteExecArgument(app.name), "\n",                      //
      RestartLines(app.restart),                              //
      "KillMode=mixed\n",                                     //
      "KillSignal=", PlainValue(app.stop_signal), "\n",       //
      "SendSIGKILL=yes\n",                                    //
      "TimeoutStopSec=", UnitTimeSpan(app.stop_grace), "\n",  //
      "StandardInput=null\n",                                 //
      "StandardOutput=journal\n",                             //
      "StandardError=journal\n",                              //
      "SyslogIdentifier=", PlainValue(app.name), "\n",        //
      // A line that begins with "<3>" is the app's own business.
      "SyslogLevelPrefix=no\n",  //
      // journald multiplies the burst by up to 20/4: this stays in 32 bits.
      "LogRateLimitIntervalSec=1s\n",   //
      "LogRateLimitBurst=100000000\n",  //
      // The pod's limits are the limits.
      "TasksMax=infinity\n",   //
      LimitLines(app.limits),  //
      "OOMPolicy=kill\n",      //
      "IgnoreSIGPIPE=no\n");
}

std::string AppsTargetText(const std::vector<AppSpec>& apps) {
  std::string text =
      absl::StrCat("[Unit]\nDescription=apps of this pod\n", kOrdering);
  if (apps.empty()) return text;
  std::string units =
      absl::StrJoin(apps, " ", [](std::string* out, const AppSpec& app) {
        absl::StrAppend(out, PlainValue(AppUnitName(app.name)));
      });
  absl::StrAppend(&text, "Wants=", units, "\nAfter=", units, "\n");
  return text;
}

}  // namespace davit
