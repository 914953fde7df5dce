#ifndef DAVIT_NET_NETLINK_NETNS_FIXTURE_H_
#define DAVIT_NET_NETLINK_NETNS_FIXTURE_H_

#include <functional>

#include "absl/status/status.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {

// A fresh network namespace for a test, with lo up; it lives as long as the
// object (and whatever else holds it). Aborts the test program if the kernel
// refuses one: kernel tests need root.
class TestNetns {
 public:
  TestNetns();

  int fd() const { return fd_.get(); }

  // Runs `work` inside, on a thread of its own.
  absl::Status Run(const std::function<absl::Status()>& work) const;

 private:
  UniqueFd fd_;
};

}  // namespace davit::testing

#endif  // DAVIT_NET_NETLINK_NETNS_FIXTURE_H_
