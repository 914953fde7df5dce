#include "net/nat/filter_forward.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/xt_conntrack.h>
#include <string.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/nat/nft_messages.h"
#include "net/nat/nft_rule.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kForwardChain[] = "FORWARD";
constexpr char kPrivateChain[] = "CNI-FORWARD";
constexpr char kPrivateComment[] = "CNI firewall plugin rules";
constexpr char kAdminComment[] = "CNI firewall plugin admin overrides";

// xt_comment.h's size, and the alignment of all of xtables (XT_ALIGN).
constexpr size_t kXtCommentSize = 256;
constexpr size_t kXtAlign = 8;

NftTable FilterTable(bool v6) {
  return {v6 ? NFPROTO_IPV6 : NFPROTO_IPV4, "filter"};
}

NlMessage Message(int type, const NftTable& table) {
  nfgenmsg header = {};
  header.nfgen_family = static_cast<uint8_t>(table.family);
  return NlMessage(NFNL_SUBSYS_NFTABLES << 8 | type, 0, header);
}

// --- Reading -----------------------------------------------------------------

absl::StatusOr<bool> HasChain(NlSocket& socket, const NftTable& table,
                              const std::string& chain) {
  NlMessage message = Message(NFT_MSG_GETCHAIN, table);
  message.PutString(NFTA_CHAIN_TABLE, table.name);
  message.PutString(NFTA_CHAIN_NAME, chain);
  absl::Status status =
      socket.Get(message, absl::StrCat("NFT_MSG_GETCHAIN ", chain)).status();
  if (absl::IsNotFound(status)) return false;
  RETURN_IF_ERROR(status);
  return true;
}

// The parts of a rule by which ours are known.
struct ParsedRule {
  uint64_t handle = 0;
  std::optional<IpAddress> address;
  bool is_source = false;
  int32_t verdict = 0;
  std::string jump;  // "" for none
};

void ParseExpression(const std::string& name, const NlAttributes& data, bool v6,
                     uint32_t* offset, ParsedRule* rule) {
  if (name == "payload") {
    *offset = data.BigEndian32(NFTA_PAYLOAD_OFFSET).value_or(0);
  } else if (name == "cmp") {
    NlAttributes value(data.Get(NFTA_CMP_DATA), NFTA_DATA_MAX);
    std::optional<absl::string_view> bytes = value.Bytes(NFTA_DATA_VALUE);
    const size_t size = v6 ? 16 : 4;
    if (!bytes.has_value() || bytes->size() != size) return;
    rule->is_source = *offset == (v6 ? 8u : 12u);
    absl::StatusOr<IpAddress> address =
        IpAddress::FromBytes(bytes->data(), bytes->size());
    if (address.ok()) rule->address = *address;
  } else if (name == "immediate") {
    NlAttributes value(data.Get(NFTA_IMMEDIATE_DATA), NFTA_DATA_MAX);
    NlAttributes verdict(value.Get(NFTA_DATA_VERDICT), NFTA_VERDICT_MAX);
    rule->verdict = static_cast<int32_t>(
        verdict.BigEndian32(NFTA_VERDICT_CODE).value_or(0));
    rule->jump = verdict.String(NFTA_VERDICT_CHAIN).value_or("");
  }
}

ParsedRule ParseRule(const NlReply& reply, bool v6) {
  ParsedRule rule;
  NlAttributes attributes(reply, sizeof(nfgenmsg), NFTA_RULE_MAX);
  std::optional<absl::string_view> handle = attributes.Bytes(NFTA_RULE_HANDLE);
  if (handle.has_value() && handle->size() == sizeof(rule.handle)) {
    memcpy(&rule.handle, handle->data(), sizeof(rule.handle));
    rule.handle = be64toh(rule.handle);
  }
  uint32_t offset = 0;
  for (const nlattr* nest : attributes.Children(NFTA_RULE_EXPRESSIONS)) {
    NlAttributes expression(nest, NFTA_EXPR_MAX);
    ParseExpression(expression.String(NFTA_EXPR_NAME).value_or(""),
                    NlAttributes(expression.Get(NFTA_EXPR_DATA), 32), v6,
                    &offset, &rule);
  }
  return rule;
}

absl::StatusOr<std::vector<ParsedRule>> ReadChain(NlSocket& socket, bool v6,
                                                  const char* chain) {
  const NftTable table = FilterTable(v6);
  NlMessage message = Message(NFT_MSG_GETRULE, table);
  message.PutString(NFTA_RULE_TABLE, table.name);
  message.PutString(NFTA_RULE_CHAIN, chain);
  std::vector<ParsedRule> rules;
  absl::Status status = socket.Dump(
      message, absl::StrCat("NFT_MSG_GETRULE ", chain),
      [&](const NlReply& reply) {
        if (reply.type() == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE)) {
          rules.push_back(ParseRule(reply, v6));
        }
        return true;
      },
      [&] { rules.clear(); });
  if (!status.ok() && !absl::IsNotFound(status)) return status;
  return rules;
}

bool HasJump(const std::vector<ParsedRule>& rules, const std::string& chain) {
  return std::any_of(rules.begin(), rules.end(), [&](const ParsedRule& rule) {
    return rule.jump == chain;
  });
}

// --- Writing -----------------------------------------------------------------

NlMessage JumpRule(const NftTable& table, const char* from,
                   const std::string& to, const std::string& comment) {
  NftRule rule(table, from, NftRule::Place::kFirst);
  std::string info = comment;
  info.resize(kXtCommentSize);
  rule.XtMatch("comment", 0, info);
  rule.Counter();
  rule.Verdict(NFT_JUMP, to);
  return rule.Build();
}

// -m conntrack --ctstate RELATED,ESTABLISHED
std::string EstablishedMatch() {
  xt_conntrack_mtinfo3 info = {};
  info.match_flags = XT_CONNTRACK_STATE;
  info.state_mask = XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) |
                    XT_CONNTRACK_STATE_BIT(IP_CT_RELATED);
  std::string bytes(reinterpret_cast<const char*>(&info), sizeof(info));
  bytes.resize((bytes.size() + kXtAlign - 1) / kXtAlign * kXtAlign);
  return bytes;
}

NlMessage AcceptRule(const NftTable& table, const IpAddress& address,
                     bool is_source) {
  NftRule rule(table, kPrivateChain);
  if (is_source) {
    rule.LoadSource(address.is_v6());
  } else {
    rule.LoadDestination(address.is_v6());
  }
  rule.Equal(NftBytes(address));
  if (!is_source) rule.XtMatch("conntrack", 3, EstablishedMatch());
  rule.Counter();
  rule.Verdict(NF_ACCEPT);
  return rule.Build();
}

NlMessage DeleteRuleMessage(const NftTable& table, uint64_t handle) {
  NlMessage message = Message(NFT_MSG_DELRULE, table);
  message.PutString(NFTA_RULE_TABLE, table.name);
  message.PutString(NFTA_RULE_CHAIN, kPrivateChain);
  const uint64_t big_endian = htobe64(handle);
  message.Put(NFTA_RULE_HANDLE, &big_endian, sizeof(big_endian));
  return message;
}

}  // namespace

absl::StatusOr<FilterForward> FilterForward::Read(
    NlSocket& socket, bool v6, const std::string& admin_chain) {
  const NftTable table = FilterTable(v6);
  FilterForward forward;
  forward.v6 = v6;
  ASSIGN_OR_RETURN(forward.present, HasChain(socket, table, kForwardChain));
  if (!forward.present) return forward;
  ASSIGN_OR_RETURN(forward.has_private_chain,
                   HasChain(socket, table, kPrivateChain));
  ASSIGN_OR_RETURN(forward.has_admin_chain,
                   HasChain(socket, table, admin_chain));
  ASSIGN_OR_RETURN(std::vector<ParsedRule> rules,
                   ReadChain(socket, v6, kForwardChain));
  forward.jumps_to_private = HasJump(rules, kPrivateChain);
  if (!forward.has_private_chain) return forward;
  ASSIGN_OR_RETURN(rules, ReadChain(socket, v6, kPrivateChain));
  forward.jumps_to_admin = HasJump(rules, admin_chain);
  for (const ParsedRule& rule : rules) {
    if (rule.address.has_value() && rule.verdict == NF_ACCEPT) {
      forward.rules.push_back({*rule.address, rule.is_source, rule.handle});
    }
  }
  return forward;
}

bool FilterForward::HasRules(const IpAddress& address) const {
  bool found[2] = {};
  for (const PodRule& rule : rules) {
    if (rule.address == address) found[rule.is_source] = true;
  }
  return found[0] && found[1];
}

void FilterForward::AppendAdditions(const std::string& admin_chain,
                                    const std::vector<IpAddress>& addresses,
                                    std::vector<NlMessage>* batch) const {
  if (!present) return;
  const NftTable table = FilterTable(v6);
  if (!has_private_chain) {
    batch->push_back(CreateChainMessage(table, kPrivateChain));
  }
  if (!has_admin_chain) {
    batch->push_back(CreateChainMessage(table, admin_chain));
  }
  if (!jumps_to_private) {
    batch->push_back(
        JumpRule(table, kForwardChain, kPrivateChain, kPrivateComment));
  }
  if (!jumps_to_admin) {
    batch->push_back(
        JumpRule(table, kPrivateChain, admin_chain, kAdminComment));
  }
  for (const IpAddress& address : addresses) {
    if (address.is_v6() != v6 || HasRules(address)) continue;
    batch->push_back(AcceptRule(table, address, /*is_source=*/false));
    batch->push_back(AcceptRule(table, address, /*is_source=*/true));
  }
}

void FilterForward::AppendDeletions(const std::vector<IpAddress>& addresses,
                                    std::vector<NlMessage>* batch) const {
  for (const PodRule& rule : rules) {
    if (std::find(addresses.begin(), addresses.end(), rule.address) !=
        addresses.end()) {
      batch->push_back(DeleteRuleMessage(FilterTable(v6), rule.handle));
    }
  }
}

}  // namespace davit
