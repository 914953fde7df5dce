#ifndef DAVIT_RUNTIME_APP_POD_TREE_H_
#define DAVIT_RUNTIME_APP_POD_TREE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/app/pod_apps.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A running pod's root directory as seen from the node, for the few files that
// we share with it. All that is in there may be hostile: look-ups never leave
// the root (openat2(2) RESOLVE_IN_ROOT), and a file is opened only after its
// type is known, by its O_PATH descriptor. Not thread-safe.
class PodTree {
 public:
  // NotFound if the pod's PID 1 is gone.
  static absl::StatusOr<PodTree> Open(const PodRef& pod);

  // The first `limit` bytes of a regular file. NotFound if it is absent,
  // FailedPrecondition if it is something else.
  absl::StatusOr<std::string> ReadFile(const std::string& path,
                                       size_t limit) const;

  // The names in a directory, without "." and "..", `limit` at most.
  absl::StatusOr<std::vector<std::string>> ListDirectory(
      const std::string& path, size_t limit) const;

  // Makes a fifo anew in an existing directory and opens it for reading,
  // without blocking. What has the name is removed.
  absl::StatusOr<UniqueFd> MakeFifo(const std::string& directory,
                                    const std::string& name) const;
  absl::Status RemoveFile(const std::string& directory,
                          const std::string& name) const;

  // A new pseudoterminal of the pod's /dev/pts. The master is non-blocking and
  // never seen by the pod.
  struct Pty {
    UniqueFd master;
    UniqueFd slave;
  };
  // It belongs to `uid` of the pod.
  absl::StatusOr<Pty> OpenPty(uint32_t uid = 0) const;

  // The id of a user of its /etc/passwd, by name or number. NotFound.
  absl::StatusOr<uint32_t> FindUser(const std::string& user) const;

 private:
  explicit PodTree(UniqueFd root) : root_(std::move(root)) {}
  UniqueFd root_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_POD_TREE_H_
