#include "runtime/boot/shim/notify.h"

#include <string.h>
#include <sys/socket.h>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace davit {
namespace {

constexpr size_t kLongestStatus = 1024;

std::string Printable(absl::string_view text) {
  std::string result(text.substr(0, kLongestStatus));
  for (char& c : result) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return result;
}

pid_t SenderOf(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET &&
        header->cmsg_type == SCM_CREDENTIALS) {
      ucred credentials;
      memcpy(&credentials, CMSG_DATA(header), sizeof(credentials));
      return credentials.pid;
    }
  }
  return 0;
}

}  // namespace

NotifyMessage ParseNotify(absl::string_view datagram) {
  NotifyMessage message;
  for (absl::string_view line : absl::StrSplit(datagram, '\n')) {
    if (line == "READY=1") message.ready = true;
    if (line == "STOPPING=1") message.stopping = true;
    if (absl::ConsumePrefix(&line, "STATUS=")) {
      message.status = Printable(line);
    } else if (absl::ConsumePrefix(&line, "X_SYSTEMD_SIGNALS_LEVEL=")) {
      int level = 0;
      if (absl::SimpleAtoi(line, &level)) message.signals_level = level;
    }
  }
  return message;
}

void NotifySocket::Drain(
    const std::function<void(const NotifyMessage&)>& sink) {
  while (true) {
    char buffer[4096];
    iovec data = {buffer, sizeof(buffer)};
    // No room for SCM_RIGHTS: the kernel drops descriptors that are sent along.
    union {
      cmsghdr header;
      char buffer[CMSG_SPACE(sizeof(ucred))];
    } control = {};
    msghdr message = {.msg_iov = &data,
                      .msg_iovlen = 1,
                      .msg_control = &control,
                      .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return;
    if (SenderOf(message) != init_) continue;
    sink(ParseNotify(absl::string_view(buffer, static_cast<size_t>(n))));
  }
}

}  // namespace davit
