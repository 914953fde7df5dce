#ifndef DAVIT_TESTS_BENCH_NSPAWN_PEER_H_
#define DAVIT_TESTS_BENCH_NSPAWN_PEER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit::testing {

struct NspawnRun {
  absl::Duration ready;  // from exec of systemd-nspawn to READY=1
  absl::Duration stop;   // from SIGTERM (a clean shutdown) to its end
};

// Boots the root file system in `root` (which stays as it is) once with
// systemd-nspawn and stops it again. `scratch` is a directory for its socket.
// It runs in cgroups of its own, named `cgroup`, because nspawn --keep-unit
// works on the cgroup that it is started in; they are removed afterwards.
absl::StatusOr<NspawnRun> RunNspawn(const std::string& root,
                                    const std::string& scratch,
                                    const std::string& cgroup);

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_NSPAWN_PEER_H_
