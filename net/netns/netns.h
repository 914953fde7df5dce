#ifndef DAVIT_NET_NETNS_NETNS_H_
#define DAVIT_NET_NETNS_NETNS_H_

#include <functional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A hold on a network namespace that is pinned in the file system: a bind mount
// of its nsfs file, as ip-netns(8) and CNI runtimes make them (namespaces(7),
// network_namespaces(7)). The object owns a descriptor, which keeps the
// namespace alive; the pin has a life of its own and ends by Remove().
//
// Threads: every switch of namespace happens on a thread made for it, the
// caller's namespaces never change. Const methods may be called from several
// threads at once.
//
//   ASSIGN_OR_RETURN(Netns netns, Netns::Create("/run/netns/cni-1234"));
//   RETURN_IF_ERROR(netns.Run([&] { return ConfigureLinks(); }));
class Netns {
 public:
  // Makes a new namespace with "lo" up and pins it at `path`; creates the
  // directory. AlreadyExists if there is a file of any kind at `path`, which
  // then stays as it is. Leaves nothing behind when it fails.
  static absl::StatusOr<Netns> Create(const std::string& path);

  // The same with a namespace that exists: that of the nsfs file `fd`, which
  // stays the caller's.
  static absl::StatusOr<Netns> Adopt(const std::string& path, int fd);

  // Opens a pin, or any other file of a network namespace such as
  // /proc/PID/ns/net. NotFound if it is absent; FailedPrecondition if it is
  // something else, like the plain file that is left of a pin after a reboot.
  static absl::StatusOr<Netns> Open(const std::string& path);

  // Unpins: the namespace ends when nothing else holds it. OK if `path` is
  // absent or only the plain file that a pin was mounted on.
  static absl::Status Remove(const std::string& path);

  const std::string& path() const { return path_; }
  // The nsfs file; stays owned by this object.
  int fd() const { return fd_.get(); }

  // Runs `fn` inside the namespace, on a thread of its own, and returns what it
  // returns. Sockets that `fn` opens stay bound to the namespace.
  absl::Status Run(const std::function<absl::Status()>& fn) const;

 private:
  // Pins a new one if `fd` is negative.
  static absl::StatusOr<Netns> MakePin(const std::string& path, int fd);

  Netns(std::string path, UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}

  std::string path_;
  UniqueFd fd_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETNS_NETNS_H_
