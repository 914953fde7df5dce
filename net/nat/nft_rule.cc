#include "net/nat/nft_rule.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#include <utility>

namespace davit {
namespace {

// Where the headers (RFC 791, RFC 8200) have their addresses.
constexpr uint32_t AddressSize(bool v6) { return v6 ? 16 : 4; }
constexpr uint32_t SourceOffset(bool v6) { return v6 ? 8 : 12; }
constexpr uint32_t DestinationOffset(bool v6) {
  return SourceOffset(v6) + AddressSize(v6);
}

constexpr uint32_t Register(int reg) {
  return NFT_REG32_00 + static_cast<uint32_t>(reg);
}

absl::string_view BytesOf(const uint32_t& value) {
  return absl::string_view(reinterpret_cast<const char*>(&value),
                           sizeof(value));
}

NlMessage RuleMessage(const NftTable& table, NftRule::Place place) {
  nfgenmsg header = {};
  header.nfgen_family = static_cast<uint8_t>(table.family);
  // Without NLM_F_APPEND the kernel puts a rule first.
  int flags = NLM_F_CREATE;
  if (place == NftRule::Place::kLast) flags |= NLM_F_APPEND;
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE, flags, header);
}

}  // namespace

NftRule::NftRule(const NftTable& table, absl::string_view chain, Place place,
                 absl::string_view comment)
    : message_(RuleMessage(table, place)) {
  message_.PutString(NFTA_RULE_TABLE, table.name);
  message_.PutString(NFTA_RULE_CHAIN, chain);
  if (!comment.empty()) {
    std::string user_data = FormatNftComment(comment);
    message_.Put(NFTA_RULE_USERDATA, user_data.data(), user_data.size());
  }
  expressions_.emplace(&message_, NFTA_RULE_EXPRESSIONS);
}

void NftRule::Expression(absl::string_view name,
                         const std::function<void()>& put_options) {
  NlMessage::Nest element(&message_, NFTA_LIST_ELEM);
  message_.PutString(NFTA_EXPR_NAME, name);
  NlMessage::Nest data(&message_, NFTA_EXPR_DATA);
  put_options();
}

void NftRule::PutValue(int attribute, absl::string_view value) {
  NlMessage::Nest data(&message_, attribute);
  message_.Put(NFTA_DATA_VALUE, value.data(), value.size());
}

void NftRule::LoadMeta(uint32_t key, int reg) {
  Expression("meta", [&] {
    message_.PutBigEndian32(NFTA_META_DREG, Register(reg));
    message_.PutBigEndian32(NFTA_META_KEY, key);
  });
}

void NftRule::LoadPayload(uint32_t base, uint32_t offset, uint32_t length,
                          int reg) {
  Expression("payload", [&] {
    message_.PutBigEndian32(NFTA_PAYLOAD_DREG, Register(reg));
    message_.PutBigEndian32(NFTA_PAYLOAD_BASE, base);
    message_.PutBigEndian32(NFTA_PAYLOAD_OFFSET, offset);
    message_.PutBigEndian32(NFTA_PAYLOAD_LEN, length);
  });
}

void NftRule::LoadSource(bool v6, int reg) {
  LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, SourceOffset(v6), AddressSize(v6),
              reg);
}

void NftRule::LoadDestination(bool v6, int reg) {
  LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, DestinationOffset(v6),
              AddressSize(v6), reg);
}

void NftRule::LoadDestinationPort(int reg) {
  LoadPayload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg);
}

void NftRule::LoadDestinationFirstByte(bool v6) {
  LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, DestinationOffset(v6), 1, 0);
}

void NftRule::LoadSourceFirstByte(bool v6) {
  LoadPayload(NFT_PAYLOAD_NETWORK_HEADER, SourceOffset(v6), 1, 0);
}

void NftRule::LoadCtStatus() {
  Expression("ct", [&] {
    message_.PutBigEndian32(NFTA_CT_KEY, NFT_CT_STATUS);
    message_.PutBigEndian32(NFTA_CT_DREG, Register(0));
  });
}

void NftRule::LoadDestinationType() {
  Expression("fib", [&] {
    message_.PutBigEndian32(NFTA_FIB_DREG, Register(0));
    message_.PutBigEndian32(NFTA_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    message_.PutBigEndian32(NFTA_FIB_FLAGS, NFTA_FIB_F_DADDR);
  });
}

void NftRule::Mask(absl::string_view mask) {
  Expression("bitwise", [&] {
    message_.PutBigEndian32(NFTA_BITWISE_SREG, Register(0));
    message_.PutBigEndian32(NFTA_BITWISE_DREG, Register(0));
    message_.PutBigEndian32(NFTA_BITWISE_LEN,
                            static_cast<uint32_t>(mask.size()));
    PutValue(NFTA_BITWISE_MASK, mask);
    PutValue(NFTA_BITWISE_XOR, std::string(mask.size(), '\0'));
  });
}

void NftRule::Compare(uint32_t operation, absl::string_view value) {
  Expression("cmp", [&] {
    message_.PutBigEndian32(NFTA_CMP_SREG, Register(0));
    message_.PutBigEndian32(NFTA_CMP_OP, operation);
    PutValue(NFTA_CMP_DATA, value);
  });
}

void NftRule::Equal(absl::string_view value) { Compare(NFT_CMP_EQ, value); }

void NftRule::NotEqual(absl::string_view value) { Compare(NFT_CMP_NEQ, value); }

void NftRule::Equal32(uint32_t value) { Equal(BytesOf(value)); }

void NftRule::NotEqual32(uint32_t value) { NotEqual(BytesOf(value)); }

void NftRule::LookUp(absl::string_view set, bool invert) {
  Expression("lookup", [&] {
    message_.PutString(NFTA_LOOKUP_SET, set);
    message_.PutBigEndian32(NFTA_LOOKUP_SREG, Register(0));
    if (invert) message_.PutBigEndian32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
  });
}

void NftRule::LookUpMap(absl::string_view map) {
  Expression("lookup", [&] {
    message_.PutString(NFTA_LOOKUP_SET, map);
    message_.PutBigEndian32(NFTA_LOOKUP_SREG, Register(0));
    message_.PutBigEndian32(NFTA_LOOKUP_DREG, Register(0));
  });
}

void NftRule::LookUpVerdict(absl::string_view map) {
  Expression("lookup", [&] {
    message_.PutString(NFTA_LOOKUP_SET, map);
    message_.PutBigEndian32(NFTA_LOOKUP_SREG, Register(0));
    message_.PutBigEndian32(NFTA_LOOKUP_DREG, NFT_REG_VERDICT);
  });
}

void NftRule::MatchFamily(bool v6) {
  const char family = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;
  LoadMeta(NFT_META_NFPROTO);
  Equal(absl::string_view(&family, 1));
}

void NftRule::XtMatch(absl::string_view name, uint32_t revision,
                      absl::string_view info) {
  Expression("match", [&] {
    message_.PutString(NFTA_MATCH_NAME, name);
    message_.PutBigEndian32(NFTA_MATCH_REV, revision);
    message_.Put(NFTA_MATCH_INFO, info.data(), info.size());
  });
}

void NftRule::Masquerade() {
  Expression("masq", [] {});
}

void NftRule::DestinationNat(bool v6, int port_register) {
  Expression("nat", [&] {
    message_.PutBigEndian32(NFTA_NAT_TYPE, NFT_NAT_DNAT);
    message_.PutBigEndian32(NFTA_NAT_FAMILY, v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
    message_.PutBigEndian32(NFTA_NAT_REG_ADDR_MIN, Register(0));
    message_.PutBigEndian32(NFTA_NAT_REG_PROTO_MIN, Register(port_register));
  });
}

void NftRule::Verdict(int32_t code, absl::string_view chain) {
  Expression("immediate", [&] {
    message_.PutBigEndian32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
    NlMessage::Nest data(&message_, NFTA_IMMEDIATE_DATA);
    NlMessage::Nest verdict(&message_, NFTA_DATA_VERDICT);
    message_.PutBigEndian32(NFTA_VERDICT_CODE, static_cast<uint32_t>(code));
    if (!chain.empty()) message_.PutString(NFTA_VERDICT_CHAIN, chain);
  });
}

void NftRule::Counter() {
  Expression("counter", [] {});
}

NlMessage NftRule::Build() {
  expressions_.reset();
  return std::move(message_);
}

}  // namespace davit
