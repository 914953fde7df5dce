#ifndef DAVIT_AGENT_POD_CONFINEMENT_H_
#define DAVIT_AGENT_POD_CONFINEMENT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/pod/pod.h"
#include "runtime/sandbox/confinement.h"

namespace davit {

struct PodConfinement {
  ProcessConfinement machine;            // of PID 1 and all below it
  std::vector<ProcessConfinement> apps;  // in order of containers
};

// What a spec's profiles and labels come to on this node: reads the files in
// `seccomp_dir`, asks the kernel at `sys`. An app has its own or the pod's; the
// pod's are the machine's if there is no app. Errors name the field, and in a
// file the field there: NotFound: no such file; InvalidArgument: a bad one;
// FailedPrecondition: the node lacks what is asked for.
absl::StatusOr<PodConfinement> ResolveConfinement(
    const PodSpec& spec, const std::string& seccomp_dir,
    const std::string& sys = "/sys");

}  // namespace davit

#endif  // DAVIT_AGENT_POD_CONFINEMENT_H_
