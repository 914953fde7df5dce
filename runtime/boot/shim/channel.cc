#include "runtime/boot/shim/channel.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kLongestMessage = 8192;

union FdControl {
  cmsghdr header;
  char buffer[CMSG_SPACE(sizeof(int))];
};

UniqueFd FdOf(msghdr& message) {
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_level != SOL_SOCKET ||
      header->cmsg_type != SCM_RIGHTS) {
    return UniqueFd();
  }
  int fd;
  memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return UniqueFd(fd);
}

// The first byte of an error's text is its code.
absl::Status DecodeError(absl::string_view text) {
  if (text.empty() || text[0] == 0) {
    return absl::InternalError("error message without a code");
  }
  return absl::Status(static_cast<absl::StatusCode>(text[0]), text.substr(1));
}

}  // namespace

absl::StatusOr<std::pair<Channel, Channel>> Channel::MakePair() {
  int fds[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0) {
    return ErrnoError("socketpair(AF_UNIX, SOCK_SEQPACKET)");
  }
  return std::make_pair(Channel(UniqueFd(fds[0])), Channel(UniqueFd(fds[1])));
}

absl::Status Channel::MoveAbove(int lowest) {
  UniqueFd moved(fcntl(socket_.get(), F_DUPFD_CLOEXEC, lowest));
  if (!moved) return ErrnoError("fcntl(F_DUPFD_CLOEXEC, %d)", lowest);
  socket_ = std::move(moved);
  return absl::OkStatus();
}

absl::Status Channel::Send(ChannelTag tag, absl::string_view text, int fd) {
  std::string packet(1, static_cast<char>(tag));
  packet.append(text.data(), std::min(text.size(), kLongestMessage - 1));
  iovec data = {packet.data(), packet.size()};
  FdControl control = {};
  msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = &control;
    message.msg_controllen = sizeof(control);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
  }
  if (sendmsg(socket_.get(), &message, MSG_NOSIGNAL) < 0) {
    return ErrnoError("sendmsg('%c')", static_cast<char>(tag));
  }
  return absl::OkStatus();
}

void Channel::SendError(const absl::Status& error) {
  std::string text(1, static_cast<char>(error.code()));
  absl::StrAppend(&text, error.message());
  // Nobody is left to tell if this fails.
  Send(ChannelTag::kError, text).IgnoreError();
}

absl::StatusOr<ChannelMessage> Channel::Receive() {
  std::string packet(kLongestMessage, '\0');
  iovec data = {packet.data(), packet.size()};
  FdControl control = {};
  msghdr message = {.msg_iov = &data,
                    .msg_iovlen = 1,
                    .msg_control = &control,
                    .msg_controllen = sizeof(control)};
  ssize_t n;
  do {
    n = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
  } while (n < 0 && errno == EINTR);
  if (n < 0) return ErrnoError("recvmsg");
  if (n == 0) return absl::OutOfRangeError("the other side has closed");
  ChannelMessage result;
  result.fd = FdOf(message);
  result.tag = static_cast<ChannelTag>(packet[0]);
  result.text = packet.substr(1, static_cast<size_t>(n) - 1);
  if (result.tag == ChannelTag::kError) return DecodeError(result.text);
  return result;
}

absl::StatusOr<ChannelMessage> Channel::Expect(ChannelTag tag) {
  ASSIGN_OR_RETURN(ChannelMessage message, Receive());
  if (message.tag != tag) {
    return absl::InternalError(absl::StrCat(
        "got message '", std::string(1, static_cast<char>(message.tag)),
        "' instead of '", std::string(1, static_cast<char>(tag)), "'"));
  }
  return message;
}

}  // namespace davit
