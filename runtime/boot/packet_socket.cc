#include "runtime/boot/packet_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kLongestPacket = 64 << 10;
constexpr int kBacklog = 16;

absl::StatusOr<UniqueFd> NewSocket() {
  UniqueFd fd(
      socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return ErrnoError("socket(AF_UNIX, SOCK_SEQPACKET)");
  return fd;
}

// sun_path holds 107 bytes; through the directory's descriptor any path fits.
struct Address {
  UniqueFd directory;
  sockaddr_un address = {.sun_family = AF_UNIX};
  const sockaddr* get() const {
    return reinterpret_cast<const sockaddr*>(&address);
  }
};

absl::StatusOr<Address> AddressOf(const std::string& path) {
  size_t slash = path.rfind('/');
  std::string directory = path.substr(0, slash);
  Address result;
  result.directory.Reset(
      open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!result.directory) return ErrnoError("open(%s, O_PATH)", directory);
  snprintf(result.address.sun_path, sizeof(result.address.sun_path),
           "/proc/self/fd/%d/%s", result.directory.get(),
           path.c_str() + slash + 1);
  return result;
}

UniqueFd TakeDescriptor(msghdr& message) {
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  if (part == nullptr || part->cmsg_level != SOL_SOCKET ||
      part->cmsg_type != SCM_RIGHTS || part->cmsg_len < CMSG_LEN(sizeof(int))) {
    return UniqueFd();
  }
  // The kernel closes what has no room.
  int fd;
  memcpy(&fd, CMSG_DATA(part), sizeof(int));
  return UniqueFd(fd);
}

}  // namespace

absl::StatusOr<UniqueFd> ListenForPackets(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  ASSIGN_OR_RETURN(Address address, AddressOf(path));
  if (unlink(path.c_str()) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s)", path);
  }
  // The mode of a socket file is that of the socket at bind(2), less the umask.
  if (fchmod(fd.get(), 0600) < 0) return ErrnoError("fchmod(%s)", path);
  if (bind(fd.get(), address.get(), sizeof(sockaddr_un)) < 0) {
    return ErrnoError("bind(%s)", path);
  }
  if (listen(fd.get(), kBacklog) < 0) return ErrnoError("listen(%s)", path);
  return fd;
}

absl::StatusOr<UniqueFd> ConnectForPackets(const std::string& path) {
  ASSIGN_OR_RETURN(UniqueFd fd, NewSocket());
  ASSIGN_OR_RETURN(Address address, AddressOf(path));
  if (connect(fd.get(), address.get(), sizeof(sockaddr_un)) == 0) return fd;
  if (errno == ECONNREFUSED || errno == EAGAIN) {
    return absl::UnavailableError(
        absl::StrCat("connect(", path, "): nobody answers"));
  }
  return ErrnoError("connect(%s)", path);
}

absl::Status AwaitPacket(int fd) {
  pollfd event = {fd, POLLIN, 0};
  while (poll(&event, 1, -1) < 0) {
    if (errno != EINTR) return ErrnoError("poll");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePacketPair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                 fds) < 0) {
    return ErrnoError("socketpair(AF_UNIX, SOCK_SEQPACKET)");
  }
  return std::make_pair(UniqueFd(fds[0]), UniqueFd(fds[1]));
}

namespace {

absl::Status Send(int fd, absl::string_view packet, msghdr message) {
  iovec data = {const_cast<char*>(packet.data()), packet.size()};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  ssize_t n;
  do {
    n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return absl::OkStatus();
  if (errno == EAGAIN) return absl::UnavailableError("send: queue is full");
  if (errno == EPIPE || errno == ECONNRESET) {
    return absl::UnavailableError("send: the other side has closed");
  }
  return ErrnoError("send(%d bytes)", packet.size());
}

}  // namespace

absl::Status SendPacket(int fd, absl::string_view packet) {
  return Send(fd, packet, {});
}

absl::Status SendPacketWithFd(int fd, absl::string_view packet, int passed) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(part), &passed, sizeof(int));
  return Send(fd, packet, message);
}

absl::StatusOr<std::string> ReceivePacket(int fd, UniqueFd* passed) {
  std::string packet(kLongestPacket, '\0');
  iovec data = {packet.data(), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (passed != nullptr) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
  }
  ssize_t n;
  do {
    n = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n >= 0 && passed != nullptr) *passed = TakeDescriptor(message);
  if (n < 0 && errno == EAGAIN) {
    return absl::UnavailableError("nothing to receive");
  }
  if (n == 0 || (n < 0 && errno == ECONNRESET)) {
    return absl::OutOfRangeError("the other side has closed");
  }
  if (n < 0) return ErrnoError("recv");
  packet.resize(static_cast<size_t>(n));
  return packet;
}

}  // namespace davit
