#include "runtime/boot/epoll.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "runtime/base/errno_error.h"

namespace davit {

absl::StatusOr<Epoll> Epoll::Create() {
  UniqueFd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd) return ErrnoError("epoll_create1");
  return Epoll(std::move(fd));
}

absl::Status Epoll::Add(int fd, uint32_t events, Callback callback) {
  uint64_t token = next_token_++;
  epoll_event event = {.events = events, .data = {.u64 = token}};
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) < 0) {
    return ErrnoError("epoll_ctl(EPOLL_CTL_ADD, %d)", fd);
  }
  entries_[fd] = {token, std::make_shared<Callback>(std::move(callback))};
  fds_[token] = fd;
  return absl::OkStatus();
}

void Epoll::Remove(int fd) {
  auto entry = entries_.find(fd);
  if (entry == entries_.end()) return;
  epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr);
  fds_.erase(entry->second.token);
  entries_.erase(entry);
}

absl::Status Epoll::Wait(absl::Duration timeout) {
  int timeout_ms = -1;
  if (timeout < absl::InfiniteDuration()) {
    // Rounded up: a timer must be due when we return.
    int64_t ms = absl::ToInt64Milliseconds(timeout + absl::Milliseconds(1) -
                                           absl::Nanoseconds(1));
    timeout_ms = static_cast<int>(std::clamp<int64_t>(ms, 0, 1 << 30));
  }
  epoll_event events[16];
  int n = epoll_wait(fd_.get(), events, 16, timeout_ms);
  if (n < 0 && errno != EINTR) return ErrnoError("epoll_wait");
  for (int i = 0; i < n; ++i) {
    auto fd = fds_.find(events[i].data.u64);
    if (fd == fds_.end()) continue;  // removed by an earlier callback
    // A copy keeps the function alive while it removes itself.
    std::shared_ptr<Callback> callback = entries_[fd->second].callback;
    (*callback)(events[i].events);
  }
  return absl::OkStatus();
}

}  // namespace davit
