#ifndef DAVIT_NET_NETLINK_NL_MESSAGE_H_
#define DAVIT_NET_NETLINK_NL_MESSAGE_H_

#include <linux/netlink.h>
#include <stdint.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

struct nl_msg;  // libnl's; its headers stay out of ours

namespace davit {

struct NlMsgDeleter {
  void operator()(nl_msg* message) const;
};
using NlMsgPtr = std::unique_ptr<nl_msg, NlMsgDeleter>;

// One netlink message under construction (libnl's nl_msg with an owner). The
// whole fits in a page; an attribute that does not is remembered, and the
// socket then refuses the message. A value; one thread at a time.
//
//   NlMessage message(RTM_NEWADDR, NLM_F_CREATE, header);
//   message.Put(IFA_LOCAL, address.data(), address.size());
//   {
//     NlMessage::Nest nest(&message, IFLA_LINKINFO);
//     message.PutString(IFLA_INFO_KIND, "veth");
//   }
class NlMessage {
 public:
  // `header` is the family's fixed header (ifinfomsg, nfgenmsg, …).
  template <typename Header>
  NlMessage(int type, int flags, const Header& header)
      : NlMessage(type, flags) {
    Append(&header, sizeof(header));
  }

  // Attributes of the innermost open nest.
  void Put(int attribute, const void* data, size_t size);
  void PutU8(int attribute, uint8_t value);
  void PutU32(int attribute, uint32_t value);              // host order
  void PutBigEndian32(int attribute, uint32_t value);      // nfnetlink's order
  void PutString(int attribute, absl::string_view value);  // NUL is added
  // Raw bytes in the middle of a nest (VETH_INFO_PEER starts with a header).
  void Append(const void* data, size_t size);

  // Opens a nested attribute and closes it at the end of its scope.
  class Nest {
   public:
    Nest(NlMessage* message, int attribute);
    Nest(const Nest&) = delete;
    ~Nest();

   private:
    NlMessage* message_;
    nlattr* start_;
  };

  bool overflow() const { return overflow_; }
  nlmsghdr* header() const;

 private:
  NlMessage(int type, int flags);

  NlMsgPtr message_;
  bool overflow_ = false;
};

// A received message, with its own copy of the bytes.
class NlReply {
 public:
  explicit NlReply(const nlmsghdr* header);

  int type() const { return header()->nlmsg_type; }
  // The fixed header, or null if the message is too short for one.
  template <typename Header>
  const Header* FamilyHeader() const {
    if (header()->nlmsg_len < NLMSG_LENGTH(sizeof(Header))) return nullptr;
    return static_cast<const Header*>(NLMSG_DATA(header()));
  }
  nlmsghdr* header() const {
    return reinterpret_cast<nlmsghdr*>(const_cast<char*>(bytes_.data()));
  }

 private:
  std::vector<char> bytes_;
};

// The attributes of a message or of a nest, by number; absent, malformed or
// too short ones read as nullopt. Points into the reply, which must live on.
class NlAttributes {
 public:
  // `header_size` bytes after the netlink header come before the attributes.
  NlAttributes(const NlReply& reply, size_t header_size, int max);
  NlAttributes(const nlattr* nest, int max);

  const nlattr* Get(int attribute) const;
  // The attributes inside a nested one, in order, whatever their numbers.
  std::vector<const nlattr*> Children(int attribute) const;
  std::optional<uint32_t> U32(int attribute) const;
  std::optional<uint32_t> BigEndian32(int attribute) const;
  std::optional<std::string> String(int attribute) const;
  // The payload as it is.
  std::optional<absl::string_view> Bytes(int attribute) const;

 private:
  std::vector<nlattr*> table_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETLINK_NL_MESSAGE_H_
