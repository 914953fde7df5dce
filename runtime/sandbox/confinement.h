#ifndef DAVIT_RUNTIME_SANDBOX_CONFINEMENT_H_
#define DAVIT_RUNTIME_SANDBOX_CONFINEMENT_H_

#include <string>

#include "absl/status/status.h"

namespace davit {

// What a spec says beyond the default about how a process is confined.
struct ProcessConfinement {
  bool no_filter = false;        // no system call filter of its own
  std::string seccomp_program;   // LoadSeccompProgram; empty: the default
  std::string apparmor_profile;  // empty: none
  std::string selinux_context;   // "user:role:type:level"; empty: none
  bool operator==(const ProcessConfinement&) const = default;
};

// FailedPrecondition if this kernel has no AppArmor, or has not loaded the
// profile; likewise of SELinux. `sys` is where sysfs is.
absl::Status CheckAppArmor(const std::string& profile,
                           const std::string& sys = "/sys");
absl::Status CheckSelinux(const std::string& sys = "/sys");

// From its next execve(2) on the calling thread has the labels of
// `confinement` (apparmor(7); selinux: proc(5), /proc/PID/attr/exec). Needs
// /proc. `attributes` is the thread's directory.
absl::Status LabelNextExec(
    const ProcessConfinement& confinement,
    const std::string& attributes = "/proc/thread-self/attr");

}  // namespace davit

#endif  // DAVIT_RUNTIME_SANDBOX_CONFINEMENT_H_
