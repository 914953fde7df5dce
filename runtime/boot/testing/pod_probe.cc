// pod-probe: one system call that shells cannot make, and what the kernel says
// to it. Bound into pods by tests; static, without our libraries.
//
//   pod-probe audit             a NETLINK_AUDIT socket
//   pod-probe handle PATH       open_by_handle_at(2) of PATH
//   pod-probe root-handle PATH  the same of inode 2 of PATH's file system
//   pod-probe keyring           the user keyring, and a key in it
//   pod-probe ptrace PID        PTRACE_ATTACH
//   pod-probe notify TEXT       a datagram to /run/host/notify
//   pod-probe bpf               BPF_PROG_GET_NEXT_ID
//
// Prints "ok" or the name of the error; exits with 0 in both cases, with 2 if
// it is called wrongly.

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

union Handle {
  file_handle header;
  char bytes[sizeof(file_handle) + MAX_HANDLE_SZ];
};

long AuditSocket(const char*) {
  return socket(AF_NETLINK, SOCK_RAW, NETLINK_AUDIT);
}

long OpenHandle(const char* path) {
  Handle handle = {};
  handle.header.handle_bytes = MAX_HANDLE_SZ;
  int mount_id = 0;
  if (name_to_handle_at(AT_FDCWD, path, &handle.header, &mount_id, 0) < 0) {
    return -1;
  }
  int mount = open(path, O_RDONLY);
  return mount < 0 ? -1 : open_by_handle_at(mount, &handle.header, O_RDONLY);
}

// The root directory of the disk below PATH: out of the pod's own tree. The
// shape is that of ext4 and xfs: inode number and generation.
long OpenRootHandle(const char* path) {
  Handle handle = {};
  handle.header.handle_bytes = 8;
  handle.header.handle_type = 1;  // FILEID_INO32_GEN
  const unsigned inode_and_generation[2] = {2, 0};
  memcpy(handle.header.f_handle, inode_and_generation, 8);
  int mount = open(path, O_RDONLY);
  return mount < 0 ? -1 : open_by_handle_at(mount, &handle.header, O_RDONLY);
}

long Keyring(const char*) {
  if (syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 1) >=
      0) {
    return 0;
  }
  return syscall(SYS_add_key, "user", "davit", "x", 1, KEY_SPEC_USER_KEYRING);
}

long Trace(const char* pid) {
  return ptrace(PTRACE_ATTACH, atoi(pid), nullptr, nullptr);
}

long Notify(const char* text) {
  sockaddr_un address = {AF_UNIX, "/run/host/notify"};
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  return sendto(fd, text, strlen(text), MSG_DONTWAIT,
                reinterpret_cast<sockaddr*>(&address), sizeof(address));
}

long Bpf(const char*) {
  bpf_attr attr = {};
  return syscall(SYS_bpf, BPF_PROG_GET_NEXT_ID, &attr, sizeof(attr));
}

constexpr struct {
  const char* name;
  bool argument;
  long (*call)(const char*);
} kProbes[] = {
    {"audit", false, AuditSocket},
    {"handle", true, OpenHandle},
    {"root-handle", true, OpenRootHandle},
    {"keyring", false, Keyring},
    {"ptrace", true, Trace},
    {"notify", true, Notify},
    {"bpf", false, Bpf},
};

}  // namespace

int main(int argc, char** argv) {
  for (const auto& probe : kProbes) {
    if (argc < 2 || strcmp(argv[1], probe.name) != 0) continue;
    if (argc != (probe.argument ? 3 : 2)) return 2;
    bool ok = probe.call(probe.argument ? argv[2] : nullptr) >= 0;
    printf("%s\n", ok ? "ok" : strerrorname_np(errno));
    return 0;
  }
  return 2;
}
