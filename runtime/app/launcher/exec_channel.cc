#include "runtime/app/launcher/exec_channel.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kMaxDescriptors = 4;
constexpr size_t kMaxPlan = 8 << 20;

std::vector<UniqueFd> TakeDescriptors(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

absl::StatusOr<std::vector<UniqueFd>> ReceiveDescriptors(int channel) {
  char byte;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxDescriptors * sizeof(int))];
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t received = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return ErrnoError("recvmsg(exec channel)");
  if (received == 0) return absl::CancelledError("the exec session was closed");
  return TakeDescriptors(message);
}

}  // namespace

absl::StatusOr<ExecJob> ReceiveExecJob(int channel) {
  ASSIGN_OR_RETURN(std::vector<UniqueFd> fds, ReceiveDescriptors(channel));
  if (fds.empty()) return absl::InvalidArgumentError("exec job: no plan");
  ASSIGN_OR_RETURN(std::string bytes, ReadAll(fds[0].get(), kMaxPlan),
                   "read exec plan");
  ExecJob job;
  ASSIGN_OR_RETURN(job.plan, DecodeExecPlan(bytes));
  std::vector<UniqueFd*> streams;
  if (job.plan.tty) {
    streams = {&job.tty_fd};
  } else {
    if (job.plan.stdin_open) streams.push_back(&job.stdin_fd);
    streams.push_back(&job.stdout_fd);
    streams.push_back(&job.stderr_fd);
  }
  if (fds.size() != streams.size() + 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("exec job: ", fds.size(), " descriptors"));
  }
  for (size_t i = 0; i < streams.size(); ++i)
    *streams[i] = std::move(fds[i + 1]);
  return job;
}

absl::Status SendExecReply(int channel, const ExecReply& reply) {
  std::string bytes = EncodeExecReply(reply);
  if (send(channel, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
    return ErrnoError("send(exec channel)");
  }
  return absl::OkStatus();
}

}  // namespace davit
