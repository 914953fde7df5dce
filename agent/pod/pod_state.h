#ifndef DAVIT_AGENT_POD_POD_STATE_H_
#define DAVIT_AGENT_POD_POD_STATE_H_

#include "agent/pod/pod.h"

namespace davit {

// The ways between the states of a pod (proto/davit/v1/pod.proto, PodState):
//
//   from \ to   Created Starting Running Stopping Exited Failed Removing
//   Created                x                                       x
//   Starting                        x                      x       x
//   Running                                 x       x              x
//   Stopping                                        x              x
//   Exited                 x                                       x
//   Failed                 x                                       x
//   Removing
//
// A state is no way to itself, and nothing leads out of Removing.
bool CanTransition(PodState from, PodState to);

// True while processes of the pod may exist.
bool MayHaveProcesses(PodState state);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_POD_STATE_H_
