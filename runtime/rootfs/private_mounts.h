#ifndef DAVIT_RUNTIME_ROOTFS_PRIVATE_MOUNTS_H_
#define DAVIT_RUNTIME_ROOTFS_PRIVATE_MOUNTS_H_

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>

#include <functional>
#include <thread>

namespace davit::testing {

// Runs `body` on a thread with a mount namespace of its own: what it mounts is
// seen by nobody else and is gone when it returns. EXPECT and ASSERT work in
// it. Needs CAP_SYS_ADMIN.
inline void InPrivateMounts(const std::function<void()>& body) {
  std::thread([&body] {
    if (unshare(CLONE_NEWNS) < 0) abort();
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) abort();
    body();
  }).join();
}

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_ROOTFS_PRIVATE_MOUNTS_H_
