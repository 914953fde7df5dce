#include "net/netlink/nl_socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr int kMaxDumpRestarts = 16;

// A batch of this size fits into any socket's buffer.
constexpr size_t kAlwaysFits = 64 << 10;

// The kernel's are at most 32 KiB (netlink_dump() in af_netlink.c), but for the
// single answer about a card with hundreds of virtual functions.
constexpr size_t kMaxDatagram = 256 << 10;

// NLMSGERR_ATTR_MSG of an acknowledgement, or nothing. With NETLINK_CAP_ACK the
// attributes follow the request's header directly (netlink(7)).
std::string ExtendedAck(const nlmsghdr* header) {
  if ((header->nlmsg_flags & NLM_F_ACK_TLVS) == 0) return "";
  NlReply reply(header);
  const auto* error = reply.FamilyHeader<nlmsgerr>();
  size_t offset = sizeof(nlmsgerr);
  if ((header->nlmsg_flags & NLM_F_CAPPED) == 0) {
    offset += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(nlmsghdr);
  }
  NlAttributes attributes(reply, offset, NLMSGERR_ATTR_MAX);
  return attributes.String(NLMSGERR_ATTR_MSG).value_or("");
}

// The status of an NLMSG_ERROR message: OK for an acknowledgement.
absl::Status StatusOfAck(const nlmsghdr* header, absl::string_view what) {
  if (header->nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) {
    return absl::InternalError(
        absl::StrCat(what, ": short netlink acknowledgement"));
  }
  const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
  if (error->error == 0) return absl::OkStatus();
  // nfnetlink's "not the generation that NFNL_BATCH_GENID names".
  if (error->error == -ERESTART) {
    return absl::AbortedError(absl::StrCat(what, ": the ruleset has changed"));
  }
  absl::Status status = ErrorNumber(error->error, "%s", what);
  std::string text = ExtendedAck(header);
  if (text.empty()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(status.message(), " (", text, ")"));
}

// The status at the end of a dump: an error if it broke off under way.
absl::Status StatusOfDone(const nlmsghdr* header, absl::string_view what) {
  int error = 0;
  if (header->nlmsg_len >= NLMSG_LENGTH(sizeof(error))) {
    memcpy(&error, NLMSG_DATA(header), sizeof(error));
  }
  if (error >= 0) return absl::OkStatus();
  return ErrorNumber(error, "%s", what);
}

// Calls `visit` for each message of a received datagram until it says stop.
template <typename Visit>
void ForEachMessage(absl::string_view buffer, Visit visit) {
  const auto* header = reinterpret_cast<const nlmsghdr*>(buffer.data());
  auto left = static_cast<ssize_t>(buffer.size());
  for (; NLMSG_OK(header, left); header = NLMSG_NEXT(header, left)) {
    if (!visit(header)) return;
  }
}

}  // namespace

absl::StatusOr<NlSocket> NlSocket::Open(int protocol) {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return ErrnoError("socket(AF_NETLINK, %d)", protocol);
  int one = 1;
  for (int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    if (setsockopt(fd.get(), SOL_NETLINK, option, &one, sizeof(one)) < 0) {
      return ErrnoError("setsockopt(SOL_NETLINK, %d)", option);
    }
  }
  // Lets the kernel filter dumps by interface; a courtesy, so old kernels that
  // lack it may refuse.
  setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &one, sizeof(one));
  return NlSocket(std::move(fd));
}

uint32_t NlSocket::Stamp(NlMessage& message, int flags) {
  if (++sequence_ == 0) ++sequence_;
  message.header()->nlmsg_seq = sequence_;
  message.header()->nlmsg_flags |= static_cast<uint16_t>(flags);
  return sequence_;
}

absl::Status NlSocket::Send(const void* bytes, size_t size,
                            absl::string_view what) {
  while (send(fd_.get(), bytes, size, 0) < 0) {
    if (errno != EINTR) return ErrnoError("%s: send(netlink)", what);
  }
  return absl::OkStatus();
}

absl::Status NlSocket::Receive(absl::string_view what) {
  // Uninitialised, so that only what is received costs memory.
  if (space_ == nullptr) space_.reset(new char[kMaxDatagram]);
  for (;;) {
    // With MSG_TRUNC the size is the datagram's, even if the buffer is shorter.
    ssize_t size = recv(fd_.get(), space_.get(), kMaxDatagram, MSG_TRUNC);
    if (size > static_cast<ssize_t>(kMaxDatagram)) {
      return absl::InternalError(absl::StrCat(what, ": netlink datagram of ",
                                              size, " bytes, more than ",
                                              kMaxDatagram));
    }
    if (size >= 0) {
      buffer_ = absl::string_view(space_.get(), static_cast<size_t>(size));
      NoteEndOfDump();
      return absl::OkStatus();
    }
    if (errno != EINTR) return ErrnoError("%s: recv(netlink)", what);
  }
}

void NlSocket::NoteEndOfDump() {
  ForEachMessage(buffer_, [this](const nlmsghdr* header) {
    if (header->nlmsg_seq == unfinished_dump_ &&
        (header->nlmsg_type == NLMSG_DONE ||
         header->nlmsg_type == NLMSG_ERROR)) {
      unfinished_dump_ = 0;
    }
    return true;
  });
}

absl::Status NlSocket::Execute(NlMessage& message, absl::string_view what) {
  if (message.overflow()) {
    return absl::InternalError(absl::StrCat(what, ": message too long"));
  }
  uint32_t sequence = Stamp(message, NLM_F_ACK);
  RETURN_IF_ERROR(Send(message.header(), message.header()->nlmsg_len, what));
  for (;;) {
    RETURN_IF_ERROR(Receive(what));
    std::optional<absl::Status> outcome;
    ForEachMessage(buffer_, [&](const nlmsghdr* header) {
      if (header->nlmsg_seq != sequence || header->nlmsg_type != NLMSG_ERROR) {
        return true;
      }
      outcome = StatusOfAck(header, what);
      return false;
    });
    if (outcome.has_value()) return *outcome;
  }
}

absl::StatusOr<NlReply> NlSocket::Get(NlMessage& message,
                                      absl::string_view what) {
  if (message.overflow()) {
    return absl::InternalError(absl::StrCat(what, ": message too long"));
  }
  uint32_t sequence = Stamp(message, 0);
  RETURN_IF_ERROR(Send(message.header(), message.header()->nlmsg_len, what));
  for (;;) {
    RETURN_IF_ERROR(Receive(what));
    std::optional<absl::StatusOr<NlReply>> outcome;
    ForEachMessage(buffer_, [&](const nlmsghdr* header) {
      if (header->nlmsg_seq != sequence) return true;
      if (header->nlmsg_type != NLMSG_ERROR) {
        outcome = NlReply(header);
        return false;
      }
      absl::Status status = StatusOfAck(header, what);
      outcome = status.ok() ? absl::NotFoundError(absl::StrCat(
                                  what, ": acknowledged without a reply"))
                            : status;
      return false;
    });
    if (outcome.has_value()) return *std::move(outcome);
  }
}

absl::Status NlSocket::DumpOnce(
    NlMessage& message, absl::string_view what,
    const std::function<bool(const NlReply&)>& visit, bool* interrupted) {
  uint32_t sequence = Stamp(message, NLM_F_DUMP);
  RETURN_IF_ERROR(Send(message.header(), message.header()->nlmsg_len, what));
  *interrupted = false;
  unfinished_dump_ = sequence;
  for (bool wanted = true; wanted;) {
    RETURN_IF_ERROR(Receive(what));
    absl::Status status;
    ForEachMessage(buffer_, [&](const nlmsghdr* header) {
      if (header->nlmsg_seq != sequence) return true;
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) *interrupted = true;
      if (header->nlmsg_type == NLMSG_ERROR) {
        status = StatusOfAck(header, what);
        return wanted = false;
      }
      if (header->nlmsg_type == NLMSG_DONE) {
        status = StatusOfDone(header, what);
        return wanted = false;
      }
      return wanted = visit(NlReply(header));
    });
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status NlSocket::DrainUnfinishedDump(absl::string_view what) {
  while (unfinished_dump_ != 0) {
    RETURN_IF_ERROR(Receive(what), "end an earlier dump");
  }
  return absl::OkStatus();
}

absl::Status NlSocket::Dump(NlMessage& message, absl::string_view what,
                            const std::function<bool(const NlReply&)>& visit,
                            const std::function<void()>& restart) {
  if (message.overflow()) {
    return absl::InternalError(absl::StrCat(what, ": message too long"));
  }
  for (int attempt = 0; attempt < kMaxDumpRestarts; ++attempt) {
    RETURN_IF_ERROR(DrainUnfinishedDump(what));
    bool interrupted = false;
    RETURN_IF_ERROR(DumpOnce(message, what, visit, &interrupted));
    if (!interrupted) return absl::OkStatus();
    restart();
  }
  return absl::UnavailableError(absl::StrCat(what, ": interrupted by changes ",
                                             kMaxDumpRestarts, " times"));
}

// The kernel takes a request in one piece, and refuses (EMSGSIZE) one that is
// longer than the socket's send buffer, 208 KiB by default. Its answers, which
// are shorter, must find room as well (ENOBUFS).
absl::Status NlSocket::MakeRoomFor(size_t size, absl::string_view what) {
  if (size <= kAlwaysFits) return absl::OkStatus();
  const int wanted = static_cast<int>(size * 2);
  for (int option : {SO_SNDBUFFORCE, SO_RCVBUFFORCE}) {
    if (setsockopt(fd_.get(), SOL_SOCKET, option, &wanted, sizeof(wanted)) <
        0) {
      return ErrnoError("%s: setsockopt(%d, %d)", what, option, wanted);
    }
  }
  return absl::OkStatus();
}

absl::Status NlSocket::ExecuteBatch(std::vector<NlMessage>& messages,
                                    absl::string_view what) {
  std::vector<char> bytes;
  for (size_t i = 0; i < messages.size(); ++i) {
    bool last_inner = i + 2 == messages.size();
    if (messages[i].overflow()) {
      return absl::InternalError(absl::StrCat(what, ": message too long"));
    }
    Stamp(messages[i], last_inner ? NLM_F_ACK : 0);
    const nlmsghdr* header = messages[i].header();
    const char* data = reinterpret_cast<const char*>(header);
    bytes.insert(bytes.end(), data, data + header->nlmsg_len);
    bytes.resize(NLMSG_ALIGN(bytes.size()));
  }
  uint32_t begin = messages.front().header()->nlmsg_seq;
  uint32_t last = messages.back().header()->nlmsg_seq - 1;
  RETURN_IF_ERROR(MakeRoomFor(bytes.size(), what));
  RETURN_IF_ERROR(Send(bytes.data(), bytes.size(), what));
  // Errors of inner messages come whether asked for or not, and all messages
  // are read also after one has failed, so the acknowledgement of the last one
  // ends the exchange. Only an error that concerns the whole batch is addressed
  // to its beginning, and is alone.
  absl::Status first_error;
  for (bool done = false; !done;) {
    RETURN_IF_ERROR(Receive(what));
    ForEachMessage(buffer_, [&](const nlmsghdr* header) {
      uint32_t sequence = header->nlmsg_seq;
      if (header->nlmsg_type != NLMSG_ERROR || sequence < begin ||
          sequence > last) {
        return true;
      }
      if (first_error.ok()) first_error = StatusOfAck(header, what);
      done = sequence == last || sequence == begin;
      return !done;
    });
  }
  return first_error;
}

}  // namespace davit
