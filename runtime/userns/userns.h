#ifndef DAVIT_RUNTIME_USERNS_USERNS_H_
#define DAVIT_RUNTIME_USERNS_USERNS_H_

#include <cstdint>
#include <string>

namespace davit {

constexpr uint32_t kUsernsIds = 65536;  // of users and of groups, each

// The user namespace of a pod. Empty path: none, the pod has the host's users.
struct PodUserns {
  std::string path;   // where it is pinned
  uint32_t base = 0;  // the host's id of its root
  bool operator==(const PodUserns&) const = default;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_USERNS_H_
