#ifndef DAVIT_RUNTIME_BASE_UNIQUE_FD_H_
#define DAVIT_RUNTIME_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace davit {

// Owns one file descriptor and closes it. Move-only; -1 means "none". Open
// descriptors with O_CLOEXEC at birth, then hand them to a UniqueFd at once.
// Not thread-safe, like any value.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  explicit operator bool() const { return valid(); }

  // Gives the descriptor away without closing it.
  int Release() { return std::exchange(fd_, -1); }

  // Closes the owned descriptor, if any, and owns `fd` instead. A close error
  // is ignored: on Linux the descriptor is gone whatever close(2) returns.
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_UNIQUE_FD_H_
