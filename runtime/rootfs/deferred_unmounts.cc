#include "runtime/rootfs/deferred_unmounts.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "runtime/rootfs/rootfs.h"

namespace davit {

DeferredUnmounts::~DeferredUnmounts() {
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    ending_ = true;
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

absl::Status DeferredUnmounts::UnmountTree(const std::string& directory) {
  return davit::UnmountTree(
      directory, [this](const std::string& target) { return Detach(target); });
}

bool DeferredUnmounts::Detach(const std::string& target) {
  UniqueFd mount(open(target.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!mount) return false;
  if (umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) < 0) {
    const int error = errno;
    mount.Reset();
    errno = error;
    return false;
  }
  Enqueue({target, std::move(mount)});
  return true;
}

void DeferredUnmounts::Enqueue(Detached detached) {
  absl::MutexLock lock(&mutex_);
  if (!thread_.joinable()) {
    try {
      thread_ = std::thread([this] { DropReferences(); });
    } catch (const std::system_error&) {
      return;  // no thread: `detached` is dropped here, and waited for
    }
  }
  detached_.push_back(std::move(detached));
}

void DeferredUnmounts::DropReferences() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    mutex_.Await(absl::Condition(
        +[](DeferredUnmounts* self)
             ABSL_EXCLUSIVE_LOCKS_REQUIRED(self->mutex_) {
               return self->ending_ || !self->detached_.empty();
             },
        this));
    if (detached_.empty()) return;
    // Stays in the list, without its descriptor, until it has come to its end.
    UniqueFd mount = std::move(detached_.front().mount);
    mutex_.Unlock();
    mount.Reset();
    mutex_.Lock();
    detached_.pop_front();
  }
}

void DeferredUnmounts::Await(const std::string& target) {
  const auto is_gone = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return std::none_of(
        detached_.begin(), detached_.end(),
        [&](const Detached& each) { return each.target == target; });
  };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&is_gone));
}

}  // namespace davit
