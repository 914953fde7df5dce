#ifndef DAVIT_RUNTIME_ROOTFS_DEFERRED_UNMOUNTS_H_
#define DAVIT_RUNTIME_ROOTFS_DEFERRED_UNMOUNTS_H_

#include <deque>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// Unmounts without waiting for the disk. When the last reference to an overlay
// goes, the kernel writes all of the file system below that has its upper
// directory (10 ms and more); who unmounts waits for that. Here umount2(2) with
// MNT_DETACH frees the mount point, and a thread drops that reference: with it
// the kernel writes as before, only later. Nothing depends on the thread: the
// kernel does its work if the program dies.
//
// Thread-safe. The destructor waits for what is under way.
class DeferredUnmounts {
 public:
  DeferredUnmounts() = default;
  ~DeferredUnmounts();
  DeferredUnmounts(const DeferredUnmounts&) = delete;
  DeferredUnmounts& operator=(const DeferredUnmounts&) = delete;

  // As UnmountTree in rootfs.h. Afterwards the mount points can be removed or
  // mounted on again.
  absl::Status UnmountTree(const std::string& directory);

  // Waits until what was mounted on `target` has come to its end, as it must
  // have before another overlay uses the same upper directory.
  void Await(const std::string& target);

 private:
  struct Detached {
    std::string target;
    UniqueFd mount;  // the last reference, as far as we know
  };

  bool Detach(const std::string& target);
  void Enqueue(Detached detached);
  void DropReferences();

  absl::Mutex mutex_;
  std::deque<Detached> detached_ ABSL_GUARDED_BY(mutex_);  // oldest first
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);  // from the first one on
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_ROOTFS_DEFERRED_UNMOUNTS_H_
