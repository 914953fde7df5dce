#ifndef DAVIT_NET_NAT_NFT_RULE_H_
#define DAVIT_NET_NAT_NFT_RULE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "net/nat/nft_messages.h"
#include "net/netlink/nl_message.h"

namespace davit {

// Writes one NFT_MSG_NEWRULE: a small program of expressions over sixteen
// registers of four bytes, which run in order until one does not match. A
// concatenated key lies in consecutive registers. Pure.
//
//   NftRule rule(kDavitTable, "postrouting");
//   rule.MatchFamily(/*v6=*/false);
//   rule.LoadSource(/*v6=*/false);
//   rule.LookUp("masq4");
//   rule.Masquerade();
//   batch.push_back(rule.Build());
class NftRule {
 public:
  // At the end of the chain, or at its beginning.
  enum class Place { kLast, kFirst };
  NftRule(const NftTable& table, absl::string_view chain,
          Place place = Place::kLast, absl::string_view comment = "");

  // What to load, into a register.
  void LoadMeta(uint32_t key, int reg = 0);    // NFT_META_*
  void LoadSource(bool v6, int reg = 0);       // address, of the IP header
  void LoadDestination(bool v6, int reg = 0);  // likewise
  void LoadDestinationPort(int reg = 0);       // TCP's, UDP's, SCTP's
  void LoadDestinationFirstByte(bool v6);      // into register 0
  void LoadSourceFirstByte(bool v6);           // into register 0
  void LoadCtStatus();                         // into register 0
  void LoadDestinationType();                  // RTN_*, into register 0
  void Mask(absl::string_view mask);           // register 0 &= mask

  // Tests of register 0.
  void Equal(absl::string_view value);
  void NotEqual(absl::string_view value);
  void Equal32(uint32_t value);  // host order
  void NotEqual32(uint32_t value);
  void LookUp(absl::string_view set, bool invert = false);
  // Map's data go to register 0 onwards.
  void LookUpMap(absl::string_view map);
  void LookUpVerdict(absl::string_view map);
  // LoadMeta and Equal.
  void MatchFamily(bool v6);
  // An iptables match; `info` is its kernel structure.
  void XtMatch(absl::string_view name, uint32_t revision,
               absl::string_view info);

  // What to do.
  void Masquerade();
  // To the address in register 0 and the port in `port_register`.
  void DestinationNat(bool v6, int port_register);
  void Verdict(int32_t code, absl::string_view chain = "");  // NF_*, NFT_*
  void Counter();

  NlMessage Build();

 private:
  void Expression(absl::string_view name,
                  const std::function<void()>& put_options);
  void LoadPayload(uint32_t base, uint32_t offset, uint32_t length, int reg);
  void Compare(uint32_t operation, absl::string_view value);
  void PutValue(int attribute, absl::string_view value);

  NlMessage message_;
  std::optional<NlMessage::Nest> expressions_;
};

}  // namespace davit

#endif  // DAVIT_NET_NAT_NFT_RULE_H_
