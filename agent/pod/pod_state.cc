#include "agent/pod/pod_state.h"

#include <cstddef>

namespace davit {
namespace {

// Rows and columns in the order of enum PodState.
constexpr bool kWays[7][7] = {
    /*Created*/ {false, true, false, false, false, false, true},
    /*Starting*/ {false, false, true, false, false, true, true},
    /*Running*/ {false, false, false, true, true, false, true},
    /*Stopping*/ {false, false, false, false, true, false, true},
    /*Exited*/ {false, true, false, false, false, false, true},
    /*Failed*/ {false, true, false, false, false, false, true},
    /*Removing*/ {false, false, false, false, false, false, false},
};

}  // namespace

bool CanTransition(PodState from, PodState to) {
  return kWays[static_cast<size_t>(from)][static_cast<size_t>(to)];
}

bool MayHaveProcesses(PodState state) {
  return state == PodState::kStarting || state == PodState::kRunning ||
         state == PodState::kStopping;
}

}  // namespace davit
