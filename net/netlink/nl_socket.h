#ifndef DAVIT_NET_NETLINK_NL_SOCKET_H_
#define DAVIT_NET_NETLINK_NL_SOCKET_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "net/netlink/nl_message.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// One netlink socket (netlink(7)), bound for its life to the network namespace
// in which it was opened, whatever namespace its users are in later. Errors say
// the caller's words for the request, the errno, and the kernel's extended
// acknowledgement if it sent one: "RTM_NEWLINK veth0: Device or resource busy
// (Invalid peer)". One thread at a time.
class NlSocket {
 public:
  // `protocol` is NETLINK_ROUTE, NETLINK_NETFILTER or NETLINK_SOCK_DIAG. In the
  // calling thread's network namespace.
  static absl::StatusOr<NlSocket> Open(int protocol);

  NlSocket(NlSocket&&) = default;
  NlSocket& operator=(NlSocket&&) = default;

  // Sends a request and waits for its acknowledgement. `what` names the request
  // in errors.
  absl::Status Execute(NlMessage& message, absl::string_view what);

  // Sends a request that has one reply. NotFound and so on as the kernel says;
  // NotFound too if it was flagged NLM_F_ACK and there is only that.
  absl::StatusOr<NlReply> Get(NlMessage& message, absl::string_view what);

  // Asks for a dump and gives every message to `visit` until it returns false.
  // A dump that changed under way is begun again after `restart` has been
  // called, at most 16 times, then Unavailable.
  absl::Status Dump(NlMessage& message, absl::string_view what,
                    const std::function<bool(const NlReply&)>& visit,
                    const std::function<void()>& restart);

  // Sends messages as one nfnetlink transaction, between the `begin` and `end`
  // given among them (they get no acknowledgement). All or nothing is done; the
  // first error is returned. Aborted if `begin` names a generation of the
  // ruleset (NFNL_BATCH_GENID) that has passed: begin again.
  absl::Status ExecuteBatch(std::vector<NlMessage>& messages,
                            absl::string_view what);

 private:
  explicit NlSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  absl::Status MakeRoomFor(size_t size, absl::string_view what);
  absl::Status Send(const void* bytes, size_t size, absl::string_view what);
  // Receives one datagram: buffer_.
  absl::Status Receive(absl::string_view what);
  void NoteEndOfDump();
  absl::Status DrainUnfinishedDump(absl::string_view what);
  absl::Status DumpOnce(NlMessage& message, absl::string_view what,
                        const std::function<bool(const NlReply&)>& visit,
                        bool* interrupted);
  uint32_t Stamp(NlMessage& message, int flags);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
  // The sequence number of a dump whose reader stopped early; 0 for none. The
  // kernel refuses (EBUSY) the next dump until it has been read to its end.
  uint32_t unfinished_dump_ = 0;
  std::unique_ptr<char[]> space_;
  absl::string_view buffer_;  // the last datagram, in space_
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_NL_SOCKET_H_
