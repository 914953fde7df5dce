#ifndef DAVIT_AGENT_UNIX_LISTENER_H_
#define DAVIT_AGENT_UNIX_LISTENER_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "agent/file_lock.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// A listening unix stream socket (unix(7)) in the file system:
//
//   <path>       the socket, 0660, of our user and of `group` if there is one
//   <path>.lock  held while we listen
//
// The lock tells a socket that a crash has left, which is replaced, from one
// that another agent serves, which is not. The socket is removed with its
// owner.
class UnixListener {
 public:
  // Makes the directory if needed. FailedPrecondition if another agent listens
  // there, or something that is no socket is in the way.
  static absl::StatusOr<UnixListener> Listen(const std::string& path,
                                             const std::string& group);

  UnixListener(UnixListener&&) = default;
  UnixListener& operator=(UnixListener&&) = delete;
  ~UnixListener();

  // Non-blocking, close-on-exec.
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

 private:
  UnixListener(std::string path, FileLock lock, UniqueFd fd)
      : path_(std::move(path)), lock_(std::move(lock)), fd_(std::move(fd)) {}

  std::string path_;
  FileLock lock_;  // let go of after the destructor's unlink
  UniqueFd fd_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_UNIX_LISTENER_H_
