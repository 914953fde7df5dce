#ifndef DAVIT_RUNTIME_BOOT_POD_FILE_H_
#define DAVIT_RUNTIME_BOOT_POD_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// A file (or symlink) that is made inside a pod before its PID 1 starts, with
// all missing parent directories. Paths are looked up inside the pod's root
// (openat2 RESOLVE_IN_ROOT). A symlink at `path` itself is replaced, never
// followed.
struct PodFile {
  std::string path;  // absolute, in the pod
  std::string content;
  mode_t mode = 0644;
  std::string symlink_target;   // non-empty: make a symlink instead
  bool only_if_absent = false;  // keep what the image has
};

// A drop-in (systemd.unit(5)) by which the pod's systemd leaves the mounts of
// `unit` alone as it shuts down, instead of starting an umount(8) for each
// (systemd.mount(5), DefaultDependencies=): for those that go by themselves. A
// name like "run-credentials-.mount" is that of all that begin so.
PodFile LeaveMounted(absl::string_view unit);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_POD_FILE_H_
