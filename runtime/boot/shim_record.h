#ifndef DAVIT_RUNTIME_BOOT_SHIM_RECORD_H_
#define DAVIT_RUNTIME_BOOT_SHIM_RECORD_H_

#include <string>

#include "runtime/boot/launcher.h"
#include "runtime/boot/shim_state.h"

// The files around a pod's shim:
//
//   <runtime_dir>/cgroups.json   intent: its cgroup directories
//   <runtime_dir>/shim.sock      control socket; gone when the shim has ended
//   <runtime_dir>/shim.json      who runs: shim and PID 1, phases
//   <runtime_dir>/unix-export/   /run/host/unix-export of the pod, read-only
//   <runtime_dir>/journal-link   intent: a link to the link to its journal
//   <state_dir>/exit.json        how PID 1 ended; the last thing a shim writes
//   <state_dir>/console.log      what the pod printed on its console, 1 MiB …
//   <state_dir>/console.log.1    … and the 1 MiB before
//
// The writing half, which needs no JSON library.

namespace davit {

inline std::string CgroupRecordPath(const std::string& runtime_dir) {
  return runtime_dir + "/cgroups.json";
}
inline std::string ShimSocketPath(const std::string& runtime_dir) {
  return runtime_dir + "/shim.sock";
}
inline std::string ShimRecordPath(const std::string& runtime_dir) {
  return runtime_dir + "/shim.json";
}
inline std::string UnixExportPath(const std::string& runtime_dir) {
  return runtime_dir + "/unix-export";
}
inline std::string JournalLinkPath(const std::string& runtime_dir) {
  return runtime_dir + "/journal-link";
}
inline std::string ExitRecordPath(const std::string& state_dir) {
  return state_dir + "/exit.json";
}
inline std::string ConsoleLogPath(const std::string& state_dir) {
  return state_dir + "/console.log";
}

std::string FormatShimRecord(const std::string& pod_id,
                             const std::string& host_boot_id,
                             const ShimState& state);
std::string FormatExitRecord(const PodExit& exit);

// "exited", "power_off", …: the names in exit.json.
const char* ExitKindName(PodExit::Kind kind);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_RECORD_H_
