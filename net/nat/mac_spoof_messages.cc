#include "net/nat/mac_spoof_messages.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_bridge.h>
#include <string.h>

#include <functional>
#include <optional>

#include "absl/strings/string_view.h"

namespace davit {
namespace {

constexpr char kTable[] = "davit";
constexpr char kChain[] = "prerouting";
constexpr char kPorts[] = "ports";
constexpr char kAddresses[] = "addresses";

// nft(8)'s numbers of the types ifname and ether_addr, for its own printing; a
// concatenation shifts by six bits.
constexpr uint32_t kTypeIfname = 41;
constexpr uint32_t kTypeEtherAddress = 9;
constexpr uint32_t kTypePair = kTypeIfname << 6 | kTypeEtherAddress;

// Parts of a concatenated key are padded to four bytes.
constexpr size_t kPairSize = IFNAMSIZ + 8;

// As Go's plugin and libvirt have it: before ebtables and everything else.
constexpr int32_t kPriority = -300;

// Where the Ethernet header has the source.
constexpr uint32_t kSourceOffset = 6;
constexpr uint32_t kMacSize = 6;

// The type of a comment in an element's user data (libnftnl's udata.h): one
// byte of type, one of length, the text with its NUL.
constexpr char kUserDataComment = 0;

NlMessage Message(int type, int flags) {
  nfgenmsg header = {};
  header.nfgen_family = NFPROTO_BRIDGE;
  header.version = NFNETLINK_V0;
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | type, flags, header);
}

NlMessage SetMessage(const char* name, uint32_t type, uint32_t size,
                     uint32_t id) {
  NlMessage message = Message(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);
  message.PutString(NFTA_SET_TABLE, kTable);
  message.PutString(NFTA_SET_NAME, name);
  message.PutBigEndian32(NFTA_SET_FLAGS, 0);
  message.PutBigEndian32(NFTA_SET_KEY_TYPE, type);
  message.PutBigEndian32(NFTA_SET_KEY_LEN, size);
  message.PutBigEndian32(NFTA_SET_ID, id);  // unique in the batch
  // For nft(8), which else prints a name that is a whole key as "": user data
  // of libnftnl's type 0, the keys' byte order, four bytes, 1 for the host's.
  const uint32_t host_order = 1;
  std::string user_data{0, sizeof(host_order)};
  user_data.append(reinterpret_cast<const char*>(&host_order),
                   sizeof(host_order));
  message.Put(NFTA_SET_USERDATA, user_data.data(), user_data.size());
  return message;
}

NlMessage ChainMessage() {
  NlMessage message = Message(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);
  message.PutString(NFTA_CHAIN_TABLE, kTable);
  message.PutString(NFTA_CHAIN_NAME, kChain);
  {
    NlMessage::Nest hook(&message, NFTA_CHAIN_HOOK);
    message.PutBigEndian32(NFTA_HOOK_HOOKNUM, NF_BR_PRE_ROUTING);
    message.PutBigEndian32(NFTA_HOOK_PRIORITY,
                           static_cast<uint32_t>(kPriority));
  }
  message.PutBigEndian32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, "filter");
  return message;
}

void Expression(NlMessage* message, absl::string_view name,
                const std::function<void()>& put_options) {
  NlMessage::Nest element(message, NFTA_LIST_ELEM);
  message->PutString(NFTA_EXPR_NAME, name);
  NlMessage::Nest data(message, NFTA_EXPR_DATA);
  put_options();
}

void LookUp(NlMessage* message, const char* set, uint32_t flags) {
  Expression(message, "lookup", [&] {
    message->PutString(NFTA_LOOKUP_SET, set);
    message->PutBigEndian32(NFTA_LOOKUP_SREG, NFT_REG32_00);
    message->PutBigEndian32(NFTA_LOOKUP_FLAGS, flags);
  });
}

// iifname @ports iifname . ether saddr != @addresses drop
NlMessage RuleMessage() {
  NlMessage message = Message(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);
  message.PutString(NFTA_RULE_TABLE, kTable);
  message.PutString(NFTA_RULE_CHAIN, kChain);
  {
    NlMessage::Nest expressions(&message, NFTA_RULE_EXPRESSIONS);
    for (int i = 0; i < 2; ++i) {
      Expression(&message, "meta", [&] {
        message.PutBigEndian32(NFTA_META_DREG, NFT_REG32_00);
        message.PutBigEndian32(NFTA_META_KEY, NFT_META_IIFNAME);
      });
      if (i == 0) LookUp(&message, kPorts, 0);
    }
    Expression(&message, "payload", [&] {
      message.PutBigEndian32(NFTA_PAYLOAD_DREG, NFT_REG32_00 + IFNAMSIZ / 4);
      message.PutBigEndian32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_LL_HEADER);
      message.PutBigEndian32(NFTA_PAYLOAD_OFFSET, kSourceOffset);
      message.PutBigEndian32(NFTA_PAYLOAD_LEN, kMacSize);
    });
    LookUp(&message, kAddresses, NFT_LOOKUP_F_INV);
    Expression(&message, "immediate", [&] {
      message.PutBigEndian32(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
      NlMessage::Nest data(&message, NFTA_IMMEDIATE_DATA);
      NlMessage::Nest verdict(&message, NFTA_DATA_VERDICT);
      message.PutBigEndian32(NFTA_VERDICT_CODE, NF_DROP);
    });
  }
  return message;
}

std::string IfnameKey(const CheckedPort& port) {
  std::string key = port.ifname.substr(0, IFNAMSIZ - 1);
  key.resize(IFNAMSIZ);
  return key;
}

std::string PairKey(const CheckedPort& port) {
  std::string key = IfnameKey(port);
  key.append(reinterpret_cast<const char*>(port.mac.bytes.data()), kMacSize);
  key.resize(kPairSize);
  return key;
}

NlMessage ElementMessage(int type, int flags, const char* set,
                         absl::string_view key, absl::string_view user_data) {
  NlMessage message = Message(type, flags);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, set);
  {
    NlMessage::Nest elements(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
    NlMessage::Nest element(&message, NFTA_LIST_ELEM);
    {
      NlMessage::Nest key_nest(&message, NFTA_SET_ELEM_KEY);
      message.Put(NFTA_DATA_VALUE, key.data(), key.size());
    }
    if (!user_data.empty()) {
      message.Put(NFTA_SET_ELEM_USERDATA, user_data.data(), user_data.size());
    }
  }
  return message;
}

std::vector<NlMessage> PortMessages(int type, int flags,
                                    const CheckedPort& port,
                                    absl::string_view user_data) {
  std::vector<NlMessage> messages;
  messages.push_back(
      ElementMessage(type, flags, kPorts, IfnameKey(port), user_data));
  messages.push_back(
      ElementMessage(type, flags, kAddresses, PairKey(port), user_data));
  return messages;
}

std::string ParseOwner(absl::string_view user_data) {
  // Records of one byte of type, one of length; others may come first.
  while (user_data.size() >= 2) {
    const size_t length = static_cast<uint8_t>(user_data[1]);
    absl::string_view value = user_data.substr(2, length);
    if (value.size() < length) break;
    if (user_data[0] == kUserDataComment) {
      return std::string(value.substr(0, value.find('\0')));
    }
    user_data.remove_prefix(2 + length);
  }
  return "";
}

std::optional<CheckedPort> ParsePort(const nlattr* nest) {
  NlAttributes attributes(nest, NFTA_SET_ELEM_MAX);
  NlAttributes key(attributes.Get(NFTA_SET_ELEM_KEY), NFTA_DATA_MAX);
  absl::string_view value = key.Bytes(NFTA_DATA_VALUE).value_or("");
  if (value.size() != kPairSize) return std::nullopt;
  CheckedPort port;
  absl::string_view name = value.substr(0, IFNAMSIZ);
  port.ifname = std::string(name.substr(0, name.find('\0')));
  memcpy(port.mac.bytes.data(), value.data() + IFNAMSIZ, kMacSize);
  port.owner =
      ParseOwner(attributes.Bytes(NFTA_SET_ELEM_USERDATA).value_or(""));
  return port;
}

}  // namespace

std::vector<NlMessage> CreateSpoofTableMessages() {
  std::vector<NlMessage> messages;
  NlMessage table = Message(NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
  table.PutString(NFTA_TABLE_NAME, kTable);
  messages.push_back(std::move(table));
  messages.push_back(SetMessage(kPorts, kTypeIfname, IFNAMSIZ, 1));
  messages.push_back(SetMessage(kAddresses, kTypePair, kPairSize, 2));
  messages.push_back(ChainMessage());
  messages.push_back(RuleMessage());
  return messages;
}

NlMessage DeleteSpoofTableMessage() {
  NlMessage message = Message(NFT_MSG_DELTABLE, 0);
  message.PutString(NFTA_TABLE_NAME, kTable);
  return message;
}

std::vector<NlMessage> AddPortMessages(const CheckedPort& port) {
  std::string user_data{kUserDataComment,
                        static_cast<char>(port.owner.size() + 1)};
  user_data.append(port.owner).push_back('\0');
  return PortMessages(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, port,
                      user_data);
}

std::vector<NlMessage> DeletePortMessages(const CheckedPort& port) {
  return PortMessages(NFT_MSG_DELSETELEM, 0, port, "");
}

NlMessage ListPortsMessage() {
  NlMessage message = Message(NFT_MSG_GETSETELEM, 0);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, kAddresses);
  return message;
}

std::vector<CheckedPort> ParsePorts(const NlReply& reply) {
  std::vector<CheckedPort> ports;
  if (reply.type() != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM)) {
    return ports;
  }
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_SET_ELEM_LIST_MAX);
  for (const nlattr* nest : attributes.Children(NFTA_SET_ELEM_LIST_ELEMENTS)) {
    std::optional<CheckedPort> port = ParsePort(nest);
    if (port.has_value()) ports.push_back(*std::move(port));
  }
  return ports;
}

}  // namespace davit
