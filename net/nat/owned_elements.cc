#include "net/nat/owned_elements.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "net/netlink/nl_message.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kTable[] = "davit";

// How often a removal is tried that another process keeps overtaking.
constexpr int kMaxAttempts = 100;

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

// The text of a comment in user data as nft(8) and we write it (libnftnl's
// udata.h): one byte of type, which is 0, one of length, the text with its NUL.
std::string CommentIn(absl::string_view user_data) {
  while (user_data.size() >= 2) {
    size_t size = static_cast<uint8_t>(user_data[1]);
    bool is_comment = user_data[0] == 0;
    user_data.remove_prefix(2);
    if (size > user_data.size()) break;
    if (is_comment) {
      absl::string_view text = user_data.substr(0, size);
      return std::string(text.substr(0, text.find('\0')));
    }
    user_data.remove_prefix(size);
  }
  return "";
}

std::string ValueAt(const NlAttributes& attributes, int attribute) {
  NlAttributes data(attributes.Get(attribute), NFTA_DATA_MAX);
  return std::string(data.Bytes(NFTA_DATA_VALUE).value_or(""));
}

void PutValue(int attribute, const std::string& value, NlMessage* message) {
  if (value.empty()) return;
  NlMessage::Nest data(message, attribute);
  message->Put(NFTA_DATA_VALUE, value.data(), value.size());
}

}  // namespace

absl::StatusOr<OwnedElements> OwnedElements::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_NETFILTER));
  return OwnedElements(std::move(socket));
}

absl::StatusOr<std::vector<std::string>> OwnedElements::ListSets() {
  NlMessage message = NftMessage(NFT_MSG_GETSET, NLM_F_DUMP);
  message.PutString(NFTA_SET_TABLE, kTable);
  std::vector<std::string> names;
  absl::Status status = socket_.Dump(
      message, "NFT_MSG_GETSET davit",
      [&](const NlReply& reply) {
        NlAttributes set(reply, sizeof(nfgenmsg), NFTA_SET_MAX);
        constexpr uint32_t kOfARule = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT;
        bool ours =
            set.String(NFTA_SET_TABLE) == kTable &&
            (set.BigEndian32(NFTA_SET_FLAGS).value_or(0) & kOfARule) == 0;
        if (ours) names.push_back(set.String(NFTA_SET_NAME).value_or(""));
        return true;
      },
      [&] { names.clear(); });
  if (absl::IsNotFound(status)) return std::vector<std::string>();
  RETURN_IF_ERROR(status);
  return names;
}

absl::Status OwnedElements::ListSet(const std::string& set,
                                    std::vector<Element>* elements) {
  NlMessage message = NftMessage(NFT_MSG_GETSETELEM, NLM_F_DUMP);
  message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
  message.PutString(NFTA_SET_ELEM_LIST_SET, set);
  std::vector<Element> found;
  absl::Status status = socket_.Dump(
      message, absl::StrCat("NFT_MSG_GETSETELEM ", set),
      [&](const NlReply& reply) {
        NlAttributes list(reply, sizeof(nfgenmsg), NFTA_SET_ELEM_LIST_MAX);
        for (const nlattr* child : list.Children(NFTA_SET_ELEM_LIST_ELEMENTS)) {
          NlAttributes element(child, NFTA_SET_ELEM_MAX);
          found.push_back(
              {set, ValueAt(element, NFTA_SET_ELEM_KEY),
               ValueAt(element, NFTA_SET_ELEM_KEY_END),
               CommentIn(element.Bytes(NFTA_SET_ELEM_USERDATA).value_or(""))});
        }
        return true;
      },
      [&] { found.clear(); });
  if (absl::IsNotFound(status)) return absl::OkStatus();  // gone meanwhile
  RETURN_IF_ERROR(status);
  elements->insert(elements->end(), found.begin(), found.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<OwnedElements::Element>> OwnedElements::List() {
  ASSIGN_OR_RETURN(std::vector<std::string> sets, ListSets());
  std::vector<Element> elements;
  for (const std::string& set : sets) {
    RETURN_IF_ERROR(ListSet(set, &elements));
  }
  return elements;
}

absl::StatusOr<std::vector<std::string>> OwnedElements::ListComments() {
  ASSIGN_OR_RETURN(std::vector<Element> elements, List());
  std::set<std::string> comments;
  for (const Element& element : elements) {
    if (!element.comment.empty()) comments.insert(element.comment);
  }
  return std::vector<std::string>(comments.begin(), comments.end());
}

absl::Status OwnedElements::Remove(const std::set<std::string>& comments) {
  absl::Status status;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    ASSIGN_OR_RETURN(std::vector<Element> elements, List());
    std::vector<NlMessage> batch;
    batch.push_back(BatchMessage(NFNL_MSG_BATCH_BEGIN));
    for (const Element& element : elements) {
      if (!comments.contains(element.comment)) continue;
      batch.push_back(NftMessage(NFT_MSG_DELSETELEM, 0));
      NlMessage& message = batch.back();
      message.PutString(NFTA_SET_ELEM_LIST_TABLE, kTable);
      message.PutString(NFTA_SET_ELEM_LIST_SET, element.set);
      NlMessage::Nest list(&message, NFTA_SET_ELEM_LIST_ELEMENTS);
      NlMessage::Nest nest(&message, NFTA_LIST_ELEM);
      PutValue(NFTA_SET_ELEM_KEY, element.key, &message);
      PutValue(NFTA_SET_ELEM_KEY_END, element.key_end, &message);
    }
    if (batch.size() == 1) return absl::OkStatus();
    batch.push_back(BatchMessage(NFNL_MSG_BATCH_END));
    status = socket_.ExecuteBatch(
        batch, absl::StrCat("remove nft elements of \"",
                            absl::StrJoin(comments, "\", \""), "\""));
    if (!absl::IsNotFound(status)) return status;
    // Another process has removed one of them meanwhile.
  }
  return status;
}

}  // namespace davit
