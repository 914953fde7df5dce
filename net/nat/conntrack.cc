#include "net/nat/conntrack.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <string.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Bits of CTA_FILTER_ORIG_FLAGS (the kernel's nf_internals.h), which name the
// attributes to compare. Linux before 5.8 ignores them and sends all.
constexpr uint32_t kFilterProtocol = 1 << 3;
constexpr uint32_t kFilterDestinationPort = 1 << 5;

NlMessage ConntrackMessage(int type, bool v6) {
  nfgenmsg header = {};
  header.nfgen_family = v6 ? AF_INET6 : AF_INET;
  header.version = NFNETLINK_V0;
  return NlMessage(NFNL_SUBSYS_CTNETLINK << 8 | type, 0, header);
}

NlMessage ListUdpMessage(bool v6, uint16_t port) {
  NlMessage message = ConntrackMessage(IPCTNL_MSG_CT_GET, v6);
  {
    NlMessage::Nest tuple(&message, CTA_TUPLE_ORIG | NLA_F_NESTED);
    NlMessage::Nest protocol(&message, CTA_TUPLE_PROTO | NLA_F_NESTED);
    const uint16_t big_endian = htons(port);
    message.PutU8(CTA_PROTO_NUM, IPPROTO_UDP);
    message.Put(CTA_PROTO_DST_PORT, &big_endian, sizeof(big_endian));
  }
  {
    NlMessage::Nest filter(&message, CTA_FILTER | NLA_F_NESTED);
    message.PutU32(CTA_FILTER_ORIG_FLAGS,
                   kFilterProtocol | kFilterDestinationPort);
  }
  return message;
}

// One direction of a flow.
struct Tuple {
  uint8_t protocol = 0;
  std::optional<IpAddress> source, destination;
  uint16_t source_port = 0, destination_port = 0;
};

std::optional<IpAddress> AddressOf(const NlAttributes& ip, int v4, int v6) {
  for (int attribute : {v4, v6}) {
    std::optional<absl::string_view> bytes = ip.Bytes(attribute);
    if (!bytes.has_value()) continue;
    absl::StatusOr<IpAddress> address =
        IpAddress::FromBytes(bytes->data(), bytes->size());
    if (address.ok()) return *address;
  }
  return std::nullopt;
}

uint16_t PortOf(const NlAttributes& protocol, int attribute) {
  std::optional<absl::string_view> bytes = protocol.Bytes(attribute);
  uint16_t port = 0;
  if (bytes.has_value() && bytes->size() == sizeof(port)) {
    memcpy(&port, bytes->data(), sizeof(port));
  }
  return ntohs(port);
}

Tuple ParseTuple(const nlattr* nest) {
  NlAttributes tuple(nest, CTA_TUPLE_MAX);
  NlAttributes ip(tuple.Get(CTA_TUPLE_IP), CTA_IP_MAX);
  NlAttributes protocol(tuple.Get(CTA_TUPLE_PROTO), CTA_PROTO_MAX);
  Tuple result;
  result.source = AddressOf(ip, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
  result.destination = AddressOf(ip, CTA_IP_V4_DST, CTA_IP_V6_DST);
  std::optional<absl::string_view> number = protocol.Bytes(CTA_PROTO_NUM);
  if (number.has_value() && !number->empty()) {
    result.protocol = static_cast<uint8_t>((*number)[0]);
  }
  result.source_port = PortOf(protocol, CTA_PROTO_SRC_PORT);
  result.destination_port = PortOf(protocol, CTA_PROTO_DST_PORT);
  return result;
}

// The request that deletes the entry of `reply`, if that is a UDP flow to
// `port` and stale.
std::optional<NlMessage> DeletionOf(
    const NlReply& reply, bool v6, uint16_t port,
    const std::function<bool(const UdpFlow&)>& stale) {
  NlAttributes entry(reply, sizeof(nfgenmsg), CTA_MAX);
  Tuple original = ParseTuple(entry.Get(CTA_TUPLE_ORIG));
  Tuple answer = ParseTuple(entry.Get(CTA_TUPLE_REPLY));
  if (original.protocol != IPPROTO_UDP || original.destination_port != port ||
      !original.destination.has_value() || !answer.source.has_value() ||
      !stale({*original.destination, *answer.source, answer.source_port})) {
    return std::nullopt;
  }
  NlMessage message = ConntrackMessage(IPCTNL_MSG_CT_DELETE, v6);
  // The identity makes sure that no successor of the same tuple is deleted.
  for (int attribute : {CTA_TUPLE_ORIG, CTA_ID, CTA_ZONE}) {
    std::optional<absl::string_view> bytes = entry.Bytes(attribute);
    const int flags = attribute == CTA_TUPLE_ORIG ? NLA_F_NESTED : 0;
    if (bytes) message.Put(attribute | flags, bytes->data(), bytes->size());
  }
  return message;
}

}  // namespace

absl::StatusOr<Conntrack> Conntrack::Open() {
  ASSIGN_OR_RETURN(NlSocket socket, NlSocket::Open(NETLINK_NETFILTER));
  return Conntrack(std::move(socket));
}

absl::StatusOr<int> Conntrack::DeleteUdpFlows(
    bool v6, uint16_t port, const std::function<bool(const UdpFlow&)>& stale) {
  NlMessage message = ListUdpMessage(v6, port);
  std::vector<NlMessage> deletions;
  const std::string what = absl::StrCat("IPCTNL_MSG_CT_GET udp port ", port);
  RETURN_IF_ERROR(socket_.Dump(
      message, what,
      [&](const NlReply& reply) {
        std::optional<NlMessage> deletion = DeletionOf(reply, v6, port, stale);
        if (deletion) deletions.push_back(*std::move(deletion));
        return true;
      },
      [&] { deletions.clear(); }));
  int deleted = 0;
  for (NlMessage& deletion : deletions) {
    absl::Status status = socket_.Execute(
        deletion, absl::StrCat("IPCTNL_MSG_CT_DELETE udp port ", port));
    if (absl::IsNotFound(status)) continue;  // it has ended by itself
    RETURN_IF_ERROR(status);
    ++deleted;
  }
  return deleted;
}

}  // namespace davit
