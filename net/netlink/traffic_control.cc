#include "net/netlink/traffic_control.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <string.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr uint32_t kRootHandle = TC_H_MAKE(1u << 16, 0u);         // 1:
constexpr uint32_t kIngressHandle = TC_H_MAKE(TC_H_INGRESS, 0u);  // ffff:
constexpr uint32_t kMatchedClass = TC_H_MAKE(1u << 16, 1u);       // 1:1
constexpr uint32_t kFilterPriority = 1;

tcmsg Header(int index, uint32_t handle, uint32_t parent) {
  tcmsg header = {};
  header.tcm_family = AF_UNSPEC;
  header.tcm_ifindex = index;
  header.tcm_handle = handle;
  header.tcm_parent = parent;
  return header;
}

// TC_ACT_STOLEN: the packet is the other link's now.
void PutRedirect(int to_index, NlMessage* message) {
  NlMessage::Nest actions(message, TCA_U32_ACT);
  NlMessage::Nest first(message, 1);
  message->PutString(TCA_ACT_KIND, "mirred");
  NlMessage::Nest options(message, TCA_ACT_OPTIONS);
  tc_mirred redirect = {};
  redirect.action = TC_ACT_STOLEN;
  redirect.eaction = TCA_EGRESS_REDIR;
  redirect.ifindex = static_cast<uint32_t>(to_index);
  message->Put(TCA_MIRRED_PARMS, &redirect, sizeof(redirect));
}

// A selector with one key, of which no bit counts.
void PutMatchAll(NlMessage* message) {
  alignas(tc_u32_sel) char all[sizeof(tc_u32_sel) + sizeof(tc_u32_key)] = {};
  auto* selector = reinterpret_cast<tc_u32_sel*>(all);
  selector->flags = TC_U32_TERMINAL;
  selector->nkeys = 1;
  message->Put(TCA_U32_SEL, all, sizeof(all));
}

std::optional<TokenBucket> ParseTokenBucket(const NlAttributes& attributes) {
  if (attributes.String(TCA_KIND) != "tbf") return std::nullopt;
  NlAttributes options(attributes.Get(TCA_OPTIONS), TCA_TBF_MAX);
  std::optional<absl::string_view> bytes = options.Bytes(TCA_TBF_PARMS);
  tc_tbf_qopt parameters;
  if (!bytes.has_value() || bytes->size() < sizeof(parameters)) {
    return std::nullopt;
  }
  memcpy(&parameters, bytes->data(), sizeof(parameters));
  TokenBucket bucket{.rate = parameters.rate.rate,
                     .buffer = parameters.buffer,
                     .limit = parameters.limit};
  std::optional<absl::string_view> rate64 = options.Bytes(TCA_TBF_RATE64);
  if (rate64.has_value() && rate64->size() == sizeof(bucket.rate)) {
    memcpy(&bucket.rate, rate64->data(), sizeof(bucket.rate));
  }
  return bucket;
}

}  // namespace

absl::StatusOr<TrafficControl> TrafficControl::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_ROUTE));
  return TrafficControl(std::move(socket));
}

absl::Status TrafficControl::AddIfb(const std::string& name, uint32_t mtu) {
  ifinfomsg header = {};
  header.ifi_flags = header.ifi_change = IFF_UP;
  NlMessage message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, header);
  message.PutString(IFLA_IFNAME, name);
  message.PutU32(IFLA_MTU, mtu);
  {
    NlMessage::Nest info(&message, IFLA_LINKINFO);
    message.PutString(IFLA_INFO_KIND, "ifb");
  }
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWLINK ifb \"%s\" mtu %u", name, mtu));
}

absl::Status TrafficControl::AddTokenBucket(int index,
                                            const TokenBucket& bucket) {
  NlMessage message(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                    Header(index, kRootHandle, TC_H_ROOT));
  message.PutString(TCA_KIND, "tbf");
  {
    NlMessage::Nest options(&message, TCA_OPTIONS);
    constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();
    tc_tbf_qopt parameters = {};
    parameters.rate.rate = static_cast<uint32_t>(std::min(bucket.rate, kMax32));
    parameters.buffer = bucket.buffer;
    parameters.limit = bucket.limit;
    message.Put(TCA_TBF_PARMS, &parameters, sizeof(parameters));
    if (bucket.rate > kMax32) {
      message.Put(TCA_TBF_RATE64, &bucket.rate, sizeof(bucket.rate));
    }
  }
  return socket_.Execute(
      message, absl::StrFormat("RTM_NEWQDISC tbf dev %d rate %d limit %u",
                               index, bucket.rate, bucket.limit));
}

absl::Status TrafficControl::RemoveTokenBucket(int index) {
  NlMessage message(RTM_DELQDISC, 0, Header(index, kRootHandle, TC_H_ROOT));
  absl::Status status = socket_.Execute(
      message, absl::StrFormat("RTM_DELQDISC dev %d root", index));
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<TokenBucket> TrafficControl::GetTokenBucket(int index) {
  // The kernel sends its answer to those who listen for changes, and to who
  // asks only if he says NLM_F_ECHO. About a default qdisc it says nothing at
  // all (or EINVAL, by its version): the acknowledgement ends the wait.
  NlMessage message(RTM_GETQDISC, NLM_F_ACK | NLM_F_ECHO,
                    Header(index, 0, TC_H_ROOT));
  const std::string what = absl::StrFormat("RTM_GETQDISC dev %d root", index);
  absl::StatusOr<NlReply> answer = socket_.Get(message, what);
  if (absl::IsInvalidArgument(answer.status())) {
    return absl::NotFoundError(what + ": not a tbf");
  }
  RETURN_IF_ERROR(answer);
  const NlReply& reply = *answer;
  std::optional<TokenBucket> bucket;
  if (reply.type() == RTM_NEWQDISC && reply.FamilyHeader<tcmsg>() != nullptr) {
    bucket = ParseTokenBucket(NlAttributes(reply, sizeof(tcmsg), TCA_MAX));
  }
  if (bucket.has_value()) return *bucket;
  return absl::NotFoundError(what + ": not a tbf");
}

absl::Status TrafficControl::RedirectIngress(int from_index, int to_index) {
  NlMessage qdisc(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL,
                  Header(from_index, kIngressHandle, TC_H_INGRESS));
  qdisc.PutString(TCA_KIND, "ingress");
  RETURN_IF_ERROR(socket_.Execute(
      qdisc, absl::StrFormat("RTM_NEWQDISC ingress dev %d", from_index)));
  tcmsg header = Header(from_index, 0, kIngressHandle);
  header.tcm_info = TC_H_MAKE(kFilterPriority << 16, htons(ETH_P_ALL));
  NlMessage filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, header);
  filter.PutString(TCA_KIND, "u32");
  {
    NlMessage::Nest options(&filter, TCA_OPTIONS);
    PutMatchAll(&filter);
    filter.PutU32(TCA_U32_CLASSID, kMatchedClass);
    PutRedirect(to_index, &filter);
  }
  absl::Status status = socket_.Execute(
      filter, absl::StrFormat("RTM_NEWTFILTER u32 dev %d redirect to %d",
                              from_index, to_index));
  if (!status.ok()) {
    NlMessage removal(RTM_DELQDISC, 0,
                      Header(from_index, kIngressHandle, TC_H_INGRESS));
    socket_.Execute(removal, "RTM_DELQDISC ingress").IgnoreError();
  }
  return status;
}

}  // namespace davit
