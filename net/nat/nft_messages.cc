#include "net/nat/nft_messages.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace davit {
namespace {

// An element with the longest key, data and comment takes some 230 bytes, and
// a message one page.
constexpr size_t kElementsPerMessage = 16;

// The type of a comment in user data (libnftnl's udata.h): one byte of type,
// one of length, the text with its NUL.
constexpr char kUserDataComment = 0;

nfgenmsg Header(int family) {
  nfgenmsg header = {};
  header.nfgen_family = static_cast<uint8_t>(family);
  header.version = NFNETLINK_V0;
  return header;
}

NlMessage NftMessage(int type, int flags, const NftTable& table) {
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | type, flags,
                   Header(table.family));
}

NlMessage BatchMessage(int type) {
  nfgenmsg header = Header(AF_UNSPEC);
  header.res_id = htons(NFNL_SUBSYS_NFTABLES);
  return NlMessage(type, 0, header);
}

NlMessage ElementsMessage(int type, int flags, const NftTable& table,
                          absl::string_view set_name) {
  NlMessage message = NftMessage(type, flags, table);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, table.name);
  message.PutString(NFTA_SET_ELEM_LIST_SET, set_name);
  return message;
}

void PutValue(int attribute, absl::string_view value, NlMessage* message) {
  NlMessage::Nest nest(message, attribute);
  message->Put(NFTA_DATA_VALUE, value.data(), value.size());
}

void PutData(const NftSet& set, const std::string& data, NlMessage* message) {
  if (set.data_type == 0) return;
  if (set.data_type != kNftVerdict) {
    return PutValue(NFTA_SET_ELEM_DATA, data, message);
  }
  NlMessage::Nest nest(message, NFTA_SET_ELEM_DATA);
  NlMessage::Nest verdict(message, NFTA_DATA_VERDICT);
  message->PutBigEndian32(NFTA_VERDICT_CODE, static_cast<uint32_t>(NFT_GOTO));
  message->PutString(NFTA_VERDICT_CHAIN, data);
}

void PutElement(int type, const NftSet& set, const NftElement& element,
                NlMessage* message) {
  NlMessage::Nest nest(message, NFTA_LIST_ELEM);
  PutValue(NFTA_SET_ELEM_KEY, element.key, message);
  if (type != NFT_MSG_NEWSETELEM) return;
  PutData(set, element.data, message);
  std::string comment = FormatNftComment(element.comment);
  message->Put(NFTA_SET_ELEM_USERDATA, comment.data(), comment.size());
}

void AppendElements(int type, int flags, const NftTable& table,
                    const NftSet& set, const std::vector<NftElement>& elements,
                    std::vector<NlMessage>* batch) {
  for (size_t i = 0; i < elements.size(); i += kElementsPerMessage) {
    NlMessage message = ElementsMessage(type, flags, table, set.name);
    const size_t end = std::min(elements.size(), i + kElementsPerMessage);
    {
      NlMessage::Nest list(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
      for (size_t j = i; j < end; ++j) {
        PutElement(type, set, elements[j], &message);
      }
    }
    batch->push_back(std::move(message));
  }
}

// A set's user data in libnftnl's form (udata.h), without which nft(8) takes
// the key for big-endian and prints names backwards: the record
// NFTNL_UDATA_SET_KEYBYTEORDER with nft's BYTEORDER_HOST_ENDIAN.
void PutHostByteOrder(NlMessage* message) {
  struct {
    uint8_t type = 0;
    uint8_t size = sizeof(uint32_t);
    uint8_t value[sizeof(uint32_t)];
  } record;
  const uint32_t host_endian = 1;
  memcpy(record.value, &host_endian, sizeof(host_endian));
  message->Put(NFTA_SET_USERDATA, &record, sizeof(record));
}

std::string ParseData(const nlattr* nest) {
  NlAttributes data(nest, NFTA_DATA_MAX);
  if (auto value = data.Bytes(NFTA_DATA_VALUE)) return std::string(*value);
  NlAttributes verdict(data.Get(NFTA_DATA_VERDICT), NFTA_VERDICT_MAX);
  return verdict.String(NFTA_VERDICT_CHAIN).value_or("");
}

std::optional<NftElement> ParseElement(const nlattr* nest) {
  NlAttributes attributes(nest, NFTA_SET_ELEM_MAX);
  NlAttributes key(attributes.Get(NFTA_SET_ELEM_KEY), NFTA_DATA_MAX);
  std::optional<absl::string_view> value = key.Bytes(NFTA_DATA_VALUE);
  if (!value.has_value()) return std::nullopt;
  return NftElement{
      std::string(*value),
      ParseNftComment(attributes.Bytes(NFTA_SET_ELEM_USERDATA).value_or("")),
      ParseData(attributes.Get(NFTA_SET_ELEM_DATA))};
}

}  // namespace

const NftTable kDavitTable = {NFPROTO_INET, "davit"};

std::vector<NlMessage> NftBatch(std::vector<NlMessage> messages,
                                uint32_t generation) {
  NlMessage begin = BatchMessage(NFNL_MSG_BATCH_BEGIN);
  if (generation != 0) begin.PutBigEndian32(NFNL_BATCH_GENID, generation);
  messages.insert(messages.begin(), std::move(begin));
  messages.push_back(BatchMessage(NFNL_MSG_BATCH_END));
  return messages;
}

NlMessage CreateTableMessage(const NftTable& table) {
  NlMessage message = NftMessage(NFT_MSG_NEWTABLE, NLM_F_CREATE, table);
  message.PutString(NFTA_TABLE_NAME, table.name);
  return message;
}

NlMessage DeleteTableMessage(const NftTable& table) {
  NlMessage message = NftMessage(NFT_MSG_DELTABLE, 0, table);
  message.PutString(NFTA_TABLE_NAME, table.name);
  return message;
}

NlMessage CreateSetMessage(const NftTable& table, const NftSet& set,
                           uint32_t id) {
  NlMessage message =
      NftMessage(NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, table);
  message.PutString(NFTA_SET_TABLE, table.name);
  message.PutString(NFTA_SET_NAME, set.name);
  message.PutBigEndian32(NFTA_SET_FLAGS, set.data_type == 0 ? 0 : NFT_SET_MAP);
  message.PutBigEndian32(NFTA_SET_KEY_TYPE, set.key_type);
  message.PutBigEndian32(NFTA_SET_KEY_LEN, set.key_size);
  if (set.data_type != 0) {
    message.PutBigEndian32(NFTA_SET_DATA_TYPE, set.data_type);
    message.PutBigEndian32(NFTA_SET_DATA_LEN, set.data_size);
  }
  message.PutBigEndian32(NFTA_SET_ID, id);
  if (set.key_type == kNftInterfaceName) PutHostByteOrder(&message);
  return message;
}

NlMessage CreateChainMessage(const NftTable& table, absl::string_view chain) {
  NlMessage message =
      NftMessage(NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, table);
  message.PutString(NFTA_CHAIN_TABLE, table.name);
  message.PutString(NFTA_CHAIN_NAME, chain);
  return message;
}

NlMessage CreateBaseChainMessage(const NftTable& table, absl::string_view chain,
                                 const NftHook& hook) {
  NlMessage message = CreateChainMessage(table, chain);
  {
    NlMessage::Nest nest(&message, NFTA_CHAIN_HOOK);
    message.PutBigEndian32(NFTA_HOOK_HOOKNUM, hook.number);
    message.PutBigEndian32(NFTA_HOOK_PRIORITY,
                           static_cast<uint32_t>(hook.priority));
  }
  message.PutBigEndian32(NFTA_CHAIN_POLICY, NF_ACCEPT);
  message.PutString(NFTA_CHAIN_TYPE, hook.type);
  return message;
}

void AppendAddElements(const NftTable& table, const NftSet& set,
                       const std::vector<NftElement>& elements,
                       std::vector<NlMessage>* batch) {
  AppendElements(NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, table, set,
                 elements, batch);
}

void AppendDeleteElements(const NftTable& table, const NftSet& set,
                          const std::vector<NftElement>& elements,
                          std::vector<NlMessage>* batch) {
  AppendElements(NFT_MSG_DELSETELEM, 0, table, set, elements, batch);
}

NlMessage GetElementMessage(const NftTable& table, const NftSet& set,
                            absl::string_view key) {
  NlMessage message = ElementsMessage(NFT_MSG_GETSETELEM, 0, table, set.name);
  {
    NlMessage::Nest list(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
    NlMessage::Nest nest(&message, NFTA_LIST_ELEM);
    PutValue(NFTA_SET_ELEM_KEY, key, &message);
  }
  return message;
}

NlMessage ListElementsMessage(const NftTable& table,
                              absl::string_view set_name) {
  return ElementsMessage(NFT_MSG_GETSETELEM, 0, table, set_name);
}

std::vector<NftElement> ParseElements(const NlReply& reply) {
  std::vector<NftElement> elements;
  if (reply.type() != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM)) {
    return elements;
  }
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_SET_ELEM_LIST_MAX);
  for (const nlattr* nest : attributes.Children(NFTA_SET_ELEM_LIST_ELEMENTS)) {
    std::optional<NftElement> element = ParseElement(nest);
    if (element.has_value()) elements.push_back(*std::move(element));
  }
  return elements;
}

NlMessage ListSetsMessage(const NftTable& table) {
  NlMessage message = NftMessage(NFT_MSG_GETSET, 0, table);
  message.PutString(NFTA_SET_TABLE, table.name);
  return message;
}

std::string ParseSetName(const NlReply& reply) {
  if (reply.type() != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET)) return "";
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_SET_MAX);
  uint32_t flags = attributes.BigEndian32(NFTA_SET_FLAGS).value_or(0);
  if ((flags & (NFT_SET_ANONYMOUS | NFT_SET_CONSTANT)) != 0) return "";
  return attributes.String(NFTA_SET_NAME).value_or("");
}

NlMessage GetGenerationMessage() {
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0,
                   Header(AF_UNSPEC));
}

uint32_t ParseGeneration(const NlReply& reply) {
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_GEN_MAX);
  return attributes.BigEndian32(NFTA_GEN_ID).value_or(0);
}

std::string FormatNftComment(absl::string_view comment) {
  std::string user_data{kUserDataComment,
                        static_cast<char>(comment.size() + 1)};
  user_data.append(comment.data(), comment.size()).push_back('\0');
  return user_data;
}

std::string ParseNftComment(absl::string_view user_data) {
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

std::string NftBytes(const IpAddress& address) {
  return std::string(reinterpret_cast<const char*>(address.data()),
                     address.size());
}

}  // namespace davit
