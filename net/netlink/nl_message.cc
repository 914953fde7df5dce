#include "net/netlink/nl_message.h"

#include <arpa/inet.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include <new>

namespace davit {

void NlMsgDeleter::operator()(nl_msg* message) const { nlmsg_free(message); }

NlMessage::Nest::Nest(NlMessage* message, int attribute)
    : message_(message),
      start_(nla_nest_start(message->message_.get(), attribute)) {
  if (start_ == nullptr) message->overflow_ = true;
}

NlMessage::Nest::~Nest() {
  // nla_nest_end would drop an empty nest, but an nftables expression without
  // options needs its empty NFTA_EXPR_DATA.
  if (start_ != nullptr) {
    nla_nest_end_keep_empty(message_->message_.get(), start_);
  }
}

NlMessage::NlMessage(int type, int flags)
    : message_(nlmsg_alloc_simple(type, NLM_F_REQUEST | flags)) {
  if (message_ == nullptr) throw std::bad_alloc();
}

nlmsghdr* NlMessage::header() const { return nlmsg_hdr(message_.get()); }

void NlMessage::Put(int attribute, const void* data, size_t size) {
  if (nla_put(message_.get(), attribute, static_cast<int>(size), data) < 0) {
    overflow_ = true;
  }
}

void NlMessage::PutU8(int attribute, uint8_t value) {
  Put(attribute, &value, sizeof(value));
}

void NlMessage::PutU32(int attribute, uint32_t value) {
  Put(attribute, &value, sizeof(value));
}

void NlMessage::PutBigEndian32(int attribute, uint32_t value) {
  PutU32(attribute, htonl(value));
}

void NlMessage::PutString(int attribute, absl::string_view value) {
  std::string terminated(value);
  Put(attribute, terminated.c_str(), terminated.size() + 1);
}

void NlMessage::Append(const void* data, size_t size) {
  // nlmsg_append takes a mutable pointer but only reads.
  if (nlmsg_append(message_.get(), const_cast<void*>(data), size,
                   NLMSG_ALIGNTO) < 0) {
    overflow_ = true;
  }
}

NlReply::NlReply(const nlmsghdr* header)
    : bytes_(reinterpret_cast<const char*>(header),
             reinterpret_cast<const char*>(header) + header->nlmsg_len) {}

NlAttributes::NlAttributes(const NlReply& reply, size_t header_size, int max)
    : table_(static_cast<size_t>(max) + 1) {
  // Malformed attributes end the parse; those before stay.
  nlmsg_parse(reply.header(), static_cast<int>(header_size), table_.data(), max,
              nullptr);
}

NlAttributes::NlAttributes(const nlattr* nest, int max)
    : table_(static_cast<size_t>(max) + 1) {
  if (nest == nullptr) return;
  nla_parse_nested(table_.data(), max, const_cast<nlattr*>(nest), nullptr);
}

const nlattr* NlAttributes::Get(int attribute) const {
  return static_cast<size_t>(attribute) < table_.size() ? table_[attribute]
                                                        : nullptr;
}

std::vector<const nlattr*> NlAttributes::Children(int attribute) const {
  std::vector<const nlattr*> children;
  const nlattr* parent = Get(attribute);
  if (parent == nullptr) return children;
  const nlattr* child;
  int left;
  nla_for_each_nested(child, const_cast<nlattr*>(parent), left) {
    children.push_back(child);
  }
  return children;
}

std::optional<absl::string_view> NlAttributes::Bytes(int attribute) const {
  const nlattr* found = Get(attribute);
  if (found == nullptr) return std::nullopt;
  return absl::string_view(static_cast<const char*>(nla_data(found)),
                           static_cast<size_t>(nla_len(found)));
}

std::optional<uint32_t> NlAttributes::U32(int attribute) const {
  std::optional<absl::string_view> bytes = Bytes(attribute);
  uint32_t value;
  if (!bytes.has_value() || bytes->size() < sizeof(value)) return std::nullopt;
  memcpy(&value, bytes->data(), sizeof(value));
  return value;
}

std::optional<uint32_t> NlAttributes::BigEndian32(int attribute) const {
  std::optional<uint32_t> value = U32(attribute);
  if (value.has_value()) value = ntohl(*value);
  return value;
}

std::optional<std::string> NlAttributes::String(int attribute) const {
  std::optional<absl::string_view> bytes = Bytes(attribute);
  if (!bytes.has_value()) return std::nullopt;
  return std::string(bytes->substr(0, bytes->find('\0')));
}

}  // namespace davit
