#ifndef DAVIT_TESTS_BENCH_NSPAWN_PEER_H_
#define DAVIT_TESTS_BENCH_NSPAWN_PEER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace davit::testing {

// A machine that systemd-nspawn runs, without a network of its own to set up.
// It runs in cgroups named `name`, because nspawn --keep-unit works on the
// cgroup that it is started in. Killed, and its cgroups removed, by the
// destructor. Machines of different names may be used by different threads.
class NspawnMachine {
 public:
  // Boots the root file system in `root`, which stays as it is (nspawn locks
  // it: one machine at a time for each directory), and waits for READY=1.
  // `scratch` is a directory for its socket.
  static absl::StatusOr<std::unique_ptr<NspawnMachine>> Boot(
      const std::string& root, const std::string& scratch,
      const std::string& name);
  NspawnMachine(const NspawnMachine&) = delete;
  ~NspawnMachine();

  // From exec of systemd-nspawn to READY=1.
  absl::Duration ready_after() const { return ready_after_; }
  // When that was.
  absl::Time ready_at() const { return ready_at_; }
  // Shuts it down cleanly: SIGTERM to nspawn, then waits for its end. How long
  // that took. Once.
  absl::Duration Stop();

 private:
  NspawnMachine(std::string name, pid_t pid) : name_(name), pid_(pid) {}

  std::string name_;
  pid_t pid_;
  absl::Time ready_at_;
  absl::Duration ready_after_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_NSPAWN_PEER_H_
