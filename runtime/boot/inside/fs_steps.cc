#include "runtime/boot/inside/fs_steps.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/boot/inside/mount_api.h"
#include "runtime/userns/id_mapped_mount.h"

namespace davit {
namespace {

using Kind = FsStep::Kind;

constexpr char kConsolePtmx[] = "/dev/pts/ptmx";

absl::string_view NameOf(Kind kind) {
  switch (kind) {
    case Kind::kDirectory:
      return "make directory";
    case Kind::kFile:
      return "write file";
    case Kind::kSymlink:
      return "make symlink";
    case Kind::kNode:
      return "make node";
    case Kind::kMount:
      return "mount";
    case Kind::kBind:
      return "bind";
    case Kind::kHostBind:
      return "bind from host";
    case Kind::kHostMount:
      return "mount from host";
    case Kind::kReadOnly:
      return "make read-only";
    case Kind::kRemove:
      return "remove";
    case Kind::kConsole:
      return "make console";
    case Kind::kNotifySocket:
      return "make notify socket";
    case Kind::kHeldFifo:
      return "make fifo";
    case Kind::kTty:
      return "make pty";
  }
  return "unknown step";
}

bool Present(int directory, const std::string& name) {
  return faccessat(directory, name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

absl::Status RemoveAt(int directory, const std::string& name) {
  if (unlinkat(directory, name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s)", name);
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(const FsStep& step, const PodRoot& root) {
  return root.MakeDirectory(step.target, step.mode).status();
}

absl::Status MakeFile(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd parent, root.MakeParent(step.target));
  std::string name = BaseName(step.target);
  if (step.only_if_absent && Present(parent.get(), name)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(RemoveAt(parent.get(), name));
  UniqueFd file(openat(parent.get(), name.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, step.mode));
  if (!file) return ErrnoError("open(%s, O_CREAT|O_EXCL)", name);
  return WriteAll(file.get(), step.source);
}

absl::Status MakeSymlink(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd parent, root.MakeParent(step.target));
  std::string name = BaseName(step.target);
  if (step.only_if_absent && Present(parent.get(), name)) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(RemoveAt(parent.get(), name));
  if (symlinkat(step.source.c_str(), parent.get(), name.c_str()) < 0) {
    return ErrnoError("symlink(%s)", step.source);
  }
  return absl::OkStatus();
}

absl::Status MakeNode(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd parent, root.MakeParent(step.target));
  if (mknodat(parent.get(), BaseName(step.target).c_str(), step.mode,
              step.device) < 0) {
    return ErrnoError("mknod(%#o, %#x)", step.mode, step.device);
  }
  return absl::OkStatus();
}

absl::Status MountNew(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd target, root.MakeMountPoint(step.target, true));
  ASSIGN_OR_RETURN(UniqueFd mount,
                   NewMount(step.source, step.options, step.attributes));
  return AttachMount(mount.get(), target.get());
}

absl::Status BindInside(const FsStep& step, const PodRoot& root) {
  absl::StatusOr<UniqueFd> target = root.OpenAt(step.target, O_PATH);
  if (step.if_present && absl::IsNotFound(target.status())) {
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(target.status());
  ASSIGN_OR_RETURN(UniqueFd source, root.OpenAt(step.source, O_PATH));
  ASSIGN_OR_RETURN(UniqueFd mount, CloneMount(source.get(), "", false));
  RETURN_IF_ERROR(SetMountAttributes(mount.get(), step.attributes, false));
  return AttachMount(mount.get(), target->get());
}

absl::Status BindFromHost(const FsStep& step, int mount, const PodRoot& root) {
  struct stat st;
  if (fstat(mount, &st) < 0) return ErrnoError("fstat(%s)", step.source);
  ASSIGN_OR_RETURN(UniqueFd target,
                   root.MakeMountPoint(step.target, S_ISDIR(st.st_mode)));
  RETURN_IF_ERROR(SetMountAttributes(mount, step.attributes, step.recursive));
  return AttachMount(mount, target.get());
}

absl::Status AttachFromHost(const FsStep& step, int mount,
                            const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd target, root.MakeMountPoint(step.target, true));
  return AttachMount(mount, target.get());
}

absl::Status MakeReadOnly(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd target, root.OpenAt(step.target, O_PATH));
  return SetMountAttributes(target.get(), MOUNT_ATTR_RDONLY, false);
}

absl::Status Remove(const FsStep& step, const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd parent, root.MakeParent(step.target));
  return RemoveAt(parent.get(), BaseName(step.target));
}

struct Pty {
  UniqueFd master;
  std::string slave;  // "/dev/pts/0"
};

// The next pty of the pod's own devpts. Only the shim keeps the master: with a
// second holder the slave would never hang up.
absl::StatusOr<Pty> OpenPty(const PodRoot& root) {
  ASSIGN_OR_RETURN(UniqueFd master,
                   root.OpenAt(kConsolePtmx, O_RDWR | O_NOCTTY));
  int unlock = 0;
  unsigned number = 0;
  if (ioctl(master.get(), TIOCSPTLCK, &unlock) < 0) {
    return ErrnoError("ioctl(TIOCSPTLCK)");
  }
  if (ioctl(master.get(), TIOCGPTN, &number) < 0) {
    return ErrnoError("ioctl(TIOCGPTN)");
  }
  return Pty{std::move(master), absl::StrCat("/dev/pts/", number)};
}

absl::Status MakeConsole(const FsStep& step, const PodRoot& root,
                         Channel& shim) {
  ASSIGN_OR_RETURN(Pty pty, OpenPty(root));
  ASSIGN_OR_RETURN(UniqueFd target, root.MakeMountPoint(step.target, false));
  ASSIGN_OR_RETURN(UniqueFd slave, root.OpenAt(pty.slave, O_PATH));
  ASSIGN_OR_RETURN(UniqueFd mount, CloneMount(slave.get(), "", false));
  RETURN_IF_ERROR(AttachMount(mount.get(), target.get()));
  return shim.Send(ChannelTag::kConsole, "", pty.master.get());
}

absl::Status MakeTty(const FsStep& step, const PodRoot& root, Channel& shim) {
  ASSIGN_OR_RETURN(Pty pty, OpenPty(root));
  if (pty.slave != step.target) {
    return absl::InternalError(absl::StrCat("the next pty is ", pty.slave));
  }
  return shim.Send(ChannelTag::kTty, "", pty.master.get());
}

absl::Status MakeNotifySocket(const FsStep& step, Channel& shim) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return ErrnoError("socket(AF_UNIX, SOCK_DGRAM)");
  int on = 1;
  if (setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0) {
    return ErrnoError("setsockopt(SO_PASSCRED)");
  }
  sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s",
           step.target.c_str());
  // Our umask is 0: any process of the pod may connect, as under systemd.
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) <
      0) {
    return ErrnoError("bind(%s)", address.sun_path);
  }
  return shim.Send(ChannelTag::kNotify, "", fd.get());
}

absl::Status MakeHeldFifo(const FsStep& step, const PodRoot& root,
                          Channel& shim) {
  ASSIGN_OR_RETURN(UniqueFd parent, root.MakeParent(step.target));
  std::string name = BaseName(step.target);
  if (mkfifoat(parent.get(), name.c_str(), step.mode) < 0) {
    return ErrnoError("mkfifo(%#o)", step.mode);
  }
  UniqueFd fifo(
      openat(parent.get(), name.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (!fifo) return ErrnoError("open(%s, O_RDWR)", name);
  return shim.Send(ChannelTag::kFifo, "", fifo.get());
}

absl::Status Apply(const FsStep& step, const PodRoot& root, int host_mount,
                   Channel& shim) {
  switch (step.kind) {
    case Kind::kDirectory:
      return MakeDirectory(step, root);
    case Kind::kFile:
      return MakeFile(step, root);
    case Kind::kSymlink:
      return MakeSymlink(step, root);
    case Kind::kNode:
      return MakeNode(step, root);
    case Kind::kMount:
      return MountNew(step, root);
    case Kind::kBind:
      return BindInside(step, root);
    case Kind::kHostBind:
      return BindFromHost(step, host_mount, root);
    case Kind::kHostMount:
      return AttachFromHost(step, host_mount, root);
    case Kind::kReadOnly:
      return MakeReadOnly(step, root);
    case Kind::kRemove:
      return Remove(step, root);
    case Kind::kConsole:
      return MakeConsole(step, root, shim);
    case Kind::kNotifySocket:
      return MakeNotifySocket(step, shim);
    case Kind::kHeldFifo:
      return MakeHeldFifo(step, root, shim);
    case Kind::kTty:
      return MakeTty(step, root, shim);
  }
  return absl::InternalError("unknown kind of step");
}

absl::StatusOr<UniqueFd> OpenHostBind(const FsStep& step, int userns) {
  ASSIGN_OR_RETURN(UniqueFd mount,
                   CloneMount(AT_FDCWD, step.source, step.recursive));
  // What is mounted there later stays on its side.
  RETURN_IF_ERROR(MakeMountPrivate(mount.get()));
  if (userns < 0 || step.keep_ids) return mount;
  absl::Status mapped = MapMountIds(mount.get(), userns, step.recursive);
  bool read_only = (step.attributes & MOUNT_ATTR_RDONLY) != 0;
  if (read_only && absl::IsFailedPrecondition(mapped)) return mount;
  RETURN_IF_ERROR(mapped);
  return mount;
}

}  // namespace

absl::StatusOr<HostMounts> OpenHostMounts(const std::vector<FsStep>& steps,
                                          int userns) {
  HostMounts mounts;
  for (size_t i = 0; i < steps.size(); ++i) {
    const FsStep& step = steps[i];
    if (step.kind == Kind::kHostBind) {
      ASSIGN_OR_RETURN(mounts[i], OpenHostBind(step, userns),
                       absl::StrCat("bind ", step.source, " to ", step.target));
    } else if (step.kind == Kind::kHostMount) {
      ASSIGN_OR_RETURN(mounts[i],
                       NewMount(step.source, step.options, step.attributes),
                       absl::StrCat("mount for ", step.target));
    }
  }
  return mounts;
}

absl::Status ApplyFsSteps(const std::vector<FsStep>& steps, const PodRoot& root,
                          const HostMounts& host_mounts, Channel& shim) {
  for (size_t i = 0; i < steps.size(); ++i) {
    auto found = host_mounts.find(i);
    int host_mount = found == host_mounts.end() ? -1 : found->second.get();
    absl::Status status = Apply(steps[i], root, host_mount, shim);
    if (status.ok()) continue;
    return Annotate(status,
                    absl::StrCat(NameOf(steps[i].kind), " ", steps[i].target));
  }
  return absl::OkStatus();
}

}  // namespace davit
