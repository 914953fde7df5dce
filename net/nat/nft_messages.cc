#include "net/nat/nft_messages.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>

#include <functional>
#include <optional>
#include <utility>

namespace davit {
namespace {

constexpr char kTable[] = "davit";
constexpr char kChain[] = "postrouting";

// nft(8)'s numbers of the types ipv4_addr and ipv6_addr, for its own printing.
constexpr uint32_t kTypeIpv4Address = 7;
constexpr uint32_t kTypeIpv6Address = 8;

// The priority that nft calls "srcnat" (NF_IP_PRI_NAT_SRC).
constexpr uint32_t kSourceNatPriority = 100;

// The type of a comment in an element's user data (libnftnl's udata.h): one
// byte of type, one of length, the text with its NUL.
constexpr char kUserDataComment = 0;

nfgenmsg Header(int family) {
  nfgenmsg header = {};
  header.nfgen_family = static_cast<uint8_t>(family);
  header.version = NFNETLINK_V0;
  return header;
}

NlMessage NftMessage(int type, int flags) {
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | type, flags,
                   Header(NFPROTO_INET));
}

NlMessage BatchMessage(int type) {
  nfgenmsg header = Header(AF_UNSPEC);
  header.res_id = htons(NFNL_SUBSYS_NFTABLES);
  return NlMessage(type, 0, header);
}

NlMessage CreateTableMessage() {
  NlMessage message = NftMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  message.PutString(NFTA_TABLE_NAME, kTable);
  return message;
}

NlMessage CreateSetMessage(bool v6) {
  NlMessage message = NftMessage(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
  message.PutString(NFTA_SET_TABLE, kTable);
  message.PutString(NFTA_SET_NAME, MasqueradeSetName(v6));
  message.PutBigEndian32(NFTA_SET_FLAGS, 0);
  message.PutBigEndian32(NFTA_SET_KEY_TYPE,
                         v6 ? kTypeIpv6Address : kTypeIpv4Address);
  message.PutBigEndian32(NFTA_SET_KEY_LEN, v6 ? 16 : 4);
  message.PutBigEndian32(NFTA_SET_ID, v6 ? 2 : 1);  // unique in the batch
  return message;
}

NlMessage CreateChainMessage() {
  NlMessage message = NftMessage(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
  message.PutString(NFTA_CHAIN_TABLE, kTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  {
    NlMessage::Nest hook(&message, NFTA_CHAIN_HOOK);
    message.PutBigEndian32(NFTA_HOOK_HOOKNUM, NF_INET_POST_ROUTING);
    message.PutBigEndian32(NFTA_HOOK_PRIORITY, kSourceNatPriority);
  }
  message.PutBigEndian32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, "nat");
  return message;
}

// Writes the expressions of one rule: a small program over register 1.
class RuleWriter {
 public:
  explicit RuleWriter(NlMessage* message) : message_(*message) {}

  void LoadFamily() {
    Expression("meta", [this] {
      message_.PutBigEndian32(NFTA_META_DREG, NFT_REG_1);
      message_.PutBigEndian32(NFTA_META_KEY, NFT_META_NFPROTO);
    });
  }
  void LoadNetworkHeader(uint32_t offset, uint32_t length) {
    Expression("payload", [&] {
      message_.PutBigEndian32(NFTA_PAYLOAD_DREG, NFT_REG_1);
      message_.PutBigEndian32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
      message_.PutBigEndian32(NFTA_PAYLOAD_OFFSET, offset);
      message_.PutBigEndian32(NFTA_PAYLOAD_LEN, length);
    });
  }
  void MaskFirstByte(uint8_t mask) {
    Expression("bitwise", [&] {
      message_.PutBigEndian32(NFTA_BITWISE_SREG, NFT_REG_1);
      message_.PutBigEndian32(NFTA_BITWISE_DREG, NFT_REG_1);
      message_.PutBigEndian32(NFTA_BITWISE_LEN, 4);
      const uint8_t and_mask[4] = {mask, 0, 0, 0};
      const uint8_t xor_bits[4] = {};
      PutData(NFTA_BITWISE_MASK, and_mask, sizeof(and_mask));
      PutData(NFTA_BITWISE_XOR, xor_bits, sizeof(xor_bits));
    });
  }
  void Compare(nft_cmp_ops operation, const void* value, size_t size) {
    Expression("cmp", [&] {
      message_.PutBigEndian32(NFTA_CMP_SREG, NFT_REG_1);
      message_.PutBigEndian32(NFTA_CMP_OP, operation);
      PutData(NFTA_CMP_DATA, value, size);
    });
  }
  void LookUp(bool v6, bool invert) {
    Expression("lookup", [&] {
      message_.PutString(NFTA_LOOKUP_SET, MasqueradeSetName(v6));
      message_.PutBigEndian32(NFTA_LOOKUP_SREG, NFT_REG_1);
      if (invert) message_.PutBigEndian32(NFTA_LOOKUP_FLAGS, NFT_LOOKUP_F_INV);
    });
  }
  void Masquerade() {
    Expression("masq", [] {});
  }

 private:
  void Expression(absl::string_view name,
                  const std::function<void()>& put_options) {
    NlMessage::Nest element(&message_, NFTA_LIST_ELEM);
    message_.PutString(NFTA_EXPR_NAME, name);
    NlMessage::Nest data(&message_, NFTA_EXPR_DATA);
    put_options();
  }
  void PutData(int attribute, const void* value, size_t size) {
    NlMessage::Nest data(&message_, attribute);
    message_.Put(NFTA_DATA_VALUE, value, size);
  }

  NlMessage& message_;
};

// "not multicast": ip daddr != 224.0.0.0/4, ip6 daddr != ff00::/8.
void MatchUnicastDestination(bool v6, uint32_t offset, RuleWriter* rule) {
  if (v6) {
    const uint8_t multicast = 0xff;
    rule->LoadNetworkHeader(offset, 1);
    rule->Compare(NFT_CMP_NEQ, &multicast, 1);
    return;
  }
  const uint8_t multicast[4] = {0xe0, 0, 0, 0};
  rule->LoadNetworkHeader(offset, 4);
  rule->MaskFirstByte(0xf0);
  rule->Compare(NFT_CMP_NEQ, multicast, sizeof(multicast));
}

NlMessage CreateRuleMessage(bool v6) {
  // Where the headers (RFC 791, RFC 8200) have their addresses.
  const uint32_t length = v6 ? 16 : 4;
  const uint32_t source = v6 ? 8 : 12;
  const uint32_t destination = source + length;
  const uint8_t family = v6 ? NFPROTO_IPV6 : NFPROTO_IPV4;

  NlMessage message = NftMessage(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.PutString(NFTA_RULE_TABLE, kTable);
  message.PutString(NFTA_RULE_CHAIN, kChain);
  NlMessage::Nest expressions(&message, NFTA_RULE_EXPRESSIONS);
  RuleWriter rule(&message);
  rule.LoadFamily();
  rule.Compare(NFT_CMP_EQ, &family, sizeof(family));
  rule.LoadNetworkHeader(source, length);
  rule.LookUp(v6, /*invert=*/false);
  rule.LoadNetworkHeader(destination, length);
  rule.LookUp(v6, /*invert=*/true);
  MatchUnicastDestination(v6, destination, &rule);
  rule.Masquerade();
  return message;
}

void PutKey(const IpAddress& address, NlMessage* message) {
  NlMessage::Nest key(message, NFTA_SET_ELEM_KEY);
  message->Put(NFTA_DATA_VALUE, address.data(), address.size());
}

NlMessage ElementMessage(int type, int flags, const IpAddress& address,
                         absl::string_view user_data) {
  NlMessage message = NftMessage(type, flags);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, MasqueradeSetName(address.is_v6()));
  NlMessage::Nest elements(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
  NlMessage::Nest element(&message, NFTA_LIST_ELEM);
  PutKey(address, &message);
  if (!user_data.empty()) {
    message.Put(NFTA_SET_ELEM_USERDATA, user_data.data(), user_data.size());
  }
  return message;
}

std::string ParseComment(absl::string_view user_data) {
  // Comment of at most 255 bytes, NUL included; other records may come first.
  while (user_data.size() >= 2) {
    char type = user_data[0];
    size_t length = static_cast<uint8_t>(user_data[1]);
    absl::string_view value = user_data.substr(2, length);
    if (value.size() < length) break;
    if (type == kUserDataComment) {
      return std::string(value.substr(0, value.find('\0')));
    }
    user_data.remove_prefix(2 + length);
  }
  return "";
}

std::optional<MasqueradeElement> ParseElement(const nlattr* nest) {
  NlAttributes attributes(nest, NFTA_SET_ELEM_MAX);
  NlAttributes key(attributes.Get(NFTA_SET_ELEM_KEY), NFTA_DATA_MAX);
  std::optional<absl::string_view> value = key.Bytes(NFTA_DATA_VALUE);
  if (!value.has_value()) return std::nullopt;
  auto address = IpAddress::FromBytes(value->data(), value->size());
  if (!address.ok()) return std::nullopt;
  return MasqueradeElement{
      *address,
      ParseComment(attributes.Bytes(NFTA_SET_ELEM_USERDATA).value_or(""))};
}

}  // namespace

std::string MasqueradeSetName(bool v6) { return v6 ? "masq6" : "masq4"; }

std::vector<NlMessage> NftBatch(std::vector<NlMessage> messages,
                                uint32_t generation) {
  NlMessage begin = BatchMessage(NFNL_MSG_BATCH_BEGIN);
  if (generation != 0) begin.PutBigEndian32(NFNL_BATCH_GENID, generation);
  messages.insert(messages.begin(), std::move(begin));
  messages.push_back(BatchMessage(NFNL_MSG_BATCH_END));
  return messages;
}

std::vector<NlMessage> CreateTableMessages() {
  std::vector<NlMessage> messages;
  messages.push_back(CreateTableMessage());
  messages.push_back(CreateSetMessage(/*v6=*/false));
  messages.push_back(CreateSetMessage(/*v6=*/true));
  messages.push_back(CreateChainMessage());
  messages.push_back(CreateRuleMessage(/*v6=*/false));
  messages.push_back(CreateRuleMessage(/*v6=*/true));
  return messages;
}

NlMessage DeleteTableMessage() {
  NlMessage message = NftMessage(NFT_MSG_DELTABLE, 0);
  message.PutString(NFTA_TABLE_NAME, kTable);
  return message;
}

NlMessage AddElementMessage(const MasqueradeElement& element) {
  std::string user_data{kUserDataComment,
                        static_cast<char>(element.comment.size() + 1)};
  user_data.append(element.comment).push_back('\0');
  return ElementMessage(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL,
                        element.address, user_data);
}

NlMessage DeleteElementMessage(const IpAddress& address) {
  return ElementMessage(NFT_MSG_DELSETELEM, 0, address, "");
}

NlMessage GetElementMessage(const IpAddress& address) {
  return ElementMessage(NFT_MSG_GETSETELEM, 0, address, "");
}

NlMessage ListElementsMessage(bool v6) {
  NlMessage message = NftMessage(NFT_MSG_GETSETELEM, 0);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, MasqueradeSetName(v6));
  return message;
}

std::vector<MasqueradeElement> ParseElements(const NlReply& reply) {
  std::vector<MasqueradeElement> elements;
  if (reply.type() != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM)) {
    return elements;
  }
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_SET_ELEM_LIST_MAX);
  for (const nlattr* nest : attributes.Children(NFTA_SET_ELEM_LIST_ELEMENTS)) {
    std::optional<MasqueradeElement> element = ParseElement(nest);
    if (element.has_value()) elements.push_back(*std::move(element));
  }
  return elements;
}

NlMessage GetGenerationMessage() {
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0,
                   Header(AF_UNSPEC));
}

uint32_t ParseGeneration(const NlReply& reply) {
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_GEN_MAX);
  return attributes.BigEndian32(NFTA_GEN_ID).value_or(0);
}

}  // namespace davit
