#include "net/ipam/allocator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "net/ipam/fake_lease_store.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

RangeSpec Spec(absl::string_view subnet, absl::string_view start = "",
               absl::string_view end = "") {
  RangeSpec spec{*IpPrefix::Parse(subnet), {}, {}, {}};
  if (!start.empty()) spec.start = Ip(start);
  if (!end.empty()) spec.end = Ip(end);
  return spec;
}

RangeSet Set(const std::vector<RangeSpec>& specs) {
  std::vector<Range> ranges;
  for (const RangeSpec& spec : specs) ranges.push_back(*Range::Create(spec));
  return *RangeSet::Create(std::move(ranges));
}

class AllocatorTest : public ::testing::Test {
 protected:
  // The addresses that a new owner gets of these sets, or "error: …".
  std::vector<std::string> Get(const std::vector<RangeSet>& sets,
                               std::vector<IpAddress> requested = {}) {
    Allocator allocator(&store_, sets);
    auto result = allocator.Allocate({absl::StrCat("pod-", ++pods_), "eth0"},
                                     std::move(requested));
    if (!result.ok())
      return {absl::StrCat("error: ", result.status().message())};
    std::vector<std::string> texts;
    for (const Allocation& allocation : *result) {
      texts.push_back(allocation.address.ToString());
    }
    return texts;
  }
  absl::Status GetError(const std::vector<RangeSet>& sets,
                        const LeaseOwner& owner,
                        std::vector<IpAddress> requested = {}) {
    Allocator allocator(&store_, sets);
    return allocator.Allocate(owner, std::move(requested)).status();
  }
  std::vector<Lease> Leases() {
    auto lock = *store_.Lock();
    return *store_.List();
  }

  FakeLeaseStore store_;
  int pods_ = 0;
};

TEST_F(AllocatorTest, RoundRobinSkipsTheGatewayAndWraps) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/29")})};
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.2/29"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.3/29"));
  ASSERT_THAT(ReleaseLeases(&store_, {"pod-1", "eth0"}), IsOk());
  ASSERT_THAT(ReleaseLeases(&store_, {"pod-2", "eth0"}), IsOk());
  // Not the addresses just given back, …
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.4/29"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.5/29"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.6/29"));
  // … until the range is through.
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.2/29"));
}

TEST_F(AllocatorTest, ReportsTheGateway) {
  RangeSpec spec = Spec("10.0.0.0/24");
  spec.gateway = Ip("10.0.0.3");
  Allocator allocator(&store_, {Set({spec})});
  ASSERT_OK_AND_ASSIGN(auto first, allocator.Allocate({"a", "e"}, {}));
  ASSERT_OK_AND_ASSIGN(auto second, allocator.Allocate({"b", "e"}, {}));
  ASSERT_OK_AND_ASSIGN(auto third, allocator.Allocate({"c", "e"}, {}));
  EXPECT_EQ(first[0].gateway, Ip("10.0.0.3"));
  EXPECT_EQ(first[0].address.ToString(), "10.0.0.1/24");
  EXPECT_EQ(second[0].address.ToString(), "10.0.0.2/24");
  EXPECT_EQ(third[0].address.ToString(), "10.0.0.4/24");
}

TEST_F(AllocatorTest, GoesOnInTheNextRangeOfTheSet) {
  std::vector<RangeSet> sets = {
      Set({Spec("10.0.0.0/24", "10.0.0.5", "10.0.0.6"), Spec("10.0.2.0/30")})};
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.5/24"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.6/24"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.2.2/30"));
  EXPECT_THAT(Get(sets),
              ElementsAre("error: failed to allocate for range 0: no IP "
                          "addresses available in range set: "
                          "10.0.0.5-10.0.0.6,10.0.2.1-10.0.2.2"));
}

TEST_F(AllocatorTest, OneAddressOfEachSetOrNone) {
  std::vector<RangeSet> sets = {
      Set({Spec("10.0.0.0/24")}),
      Set({Spec("fd00::/126", "fd00::2", "fd00::3")})};
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.2/24", "fd00::2/126"));
  EXPECT_THAT(Get(sets), ElementsAre("10.0.0.3/24", "fd00::3/126"));
  EXPECT_THAT(GetError(sets, {"pod-x", "eth0"}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("failed to allocate for range 1")));
  EXPECT_THAT(LeasesOf(Leases(), {"pod-x", "eth0"}), IsEmpty());
}

TEST_F(AllocatorTest, StoreErrorsUndoTheWhole) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")}),
                                Set({Spec("10.1.0.0/24")})};
  store_.FailReserveAfter(1, absl::ResourceExhaustedError("disk full"));
  EXPECT_THAT(GetError(sets, {"pod-x", "eth0"}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr("range 1: disk full")));
  EXPECT_THAT(Leases(), IsEmpty());
}

TEST_F(AllocatorTest, RefusesASecondAllocationAndKeepsTheFirst) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")})};
  const LeaseOwner owner{"pod-x", "eth0"};
  ASSERT_THAT(GetError(sets, owner), IsOk());
  EXPECT_THAT(GetError(sets, owner),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("10.0.0.2 has been allocated to pod-x, "
                                 "duplicate allocation is not allowed")));
  EXPECT_THAT(LeasesOf(Leases(), owner), SizeIs(1));
  // Another interface, or another network's ranges, are no duplicates.
  EXPECT_THAT(GetError(sets, {"pod-x", "eth1"}), IsOk());
  EXPECT_THAT(GetError({Set({Spec("10.9.0.0/24")})}, owner), IsOk());
}

TEST_F(AllocatorTest, RequestedAddressesAreTakenFromTheirSets) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")}),
                                Set({Spec("fd00::/64")})};
  EXPECT_THAT(Get(sets, {Ip("fd00::99"), Ip("10.0.0.99")}),
              ElementsAre("10.0.0.99/24", "fd00::99/64"));
  EXPECT_THAT(Get(sets, {Ip("fd00::98")}),
              ElementsAre("10.0.0.100/24", "fd00::98/64"));
  // Naming one twice is naming it once.
  EXPECT_THAT(Get(sets, {Ip("10.0.0.7"), Ip("10.0.0.7")}),
              ElementsAre("10.0.0.7/24", "fd00::9a/64"));
}

TEST_F(AllocatorTest, RequestedAddressesThatCannotBe) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")})};
  EXPECT_THAT(Get(sets, {Ip("10.0.0.9")}), ElementsAre("10.0.0.9/24"));
  EXPECT_THAT(GetError(sets, {"x", "e"}, {Ip("10.0.0.9")}),
              StatusIs(absl::StatusCode::kAlreadyExists,
                       HasSubstr("requested IP address 10.0.0.9 is not "
                                 "available in range set")));
  EXPECT_THAT(GetError(sets, {"x", "e"}, {Ip("10.0.0.1")}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("10.0.0.1 is subnet's gateway")));
  EXPECT_THAT(
      GetError(sets, {"x", "e"}, {Ip("10.0.0.8"), Ip("10.0.0.255"), Ip("::1")}),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("all requested IPs: 10.0.0.255 ::1")));
  EXPECT_THAT(LeasesOf(Leases(), {"x", "e"}), IsEmpty());
}

TEST_F(AllocatorTest, AForeignHintStartsFromTheBeginning) {
  EXPECT_THAT(Get({Set({Spec("10.7.0.0/24")})}), ElementsAre("10.7.0.2/24"));
  EXPECT_THAT(Get({Set({Spec("10.0.0.0/24")})}), ElementsAre("10.0.0.2/24"));
}

TEST_F(AllocatorTest, ASetOfOnlyItsGatewayIsExhausted) {
  EXPECT_THAT(GetError({Set({Spec("10.0.0.0/24", "10.0.0.1", "10.0.0.1")})},
                       {"x", "e"}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST_F(AllocatorTest, EachCandidateComesOnce) {
  RangeSet set = Set({Spec("10.0.0.0/29"), Spec("10.0.1.0/30")});
  for (const auto& last :
       {std::optional<IpAddress>(), std::optional(Ip("10.0.0.1")),
        std::optional(Ip("10.0.0.6")), std::optional(Ip("10.0.1.2"))}) {
    std::vector<IpAddress> seen;
    ForEachCandidate(set, last, [&](const IpAddress& address, const Range&) {
      seen.push_back(address);
      return true;
    });
    EXPECT_THAT(seen, ::testing::UnorderedElementsAre(
                          Ip("10.0.0.2"), Ip("10.0.0.3"), Ip("10.0.0.4"),
                          Ip("10.0.0.5"), Ip("10.0.0.6"), Ip("10.0.1.2")));
  }
}

TEST_F(AllocatorTest, ReleaseSparesOthersAndPrefersExactOwners) {
  auto lock = *store_.Lock();
  ASSERT_THAT(store_.Reserve(Ip("10.0.0.2"), {"pod", "eth0"}, 0), IsOk());
  ASSERT_THAT(store_.Reserve(Ip("10.0.0.3"), {"pod", ""}, 0), IsOk());
  ASSERT_THAT(store_.Reserve(Ip("10.0.0.4"), {"pod2", "eth0"}, 0), IsOk());
  lock.reset();
  ASSERT_THAT(ReleaseLeases(&store_, {"pod", "eth0"}), IsOk());
  EXPECT_THAT(Leases(), SizeIs(2));
  ASSERT_THAT(ReleaseLeases(&store_, {"pod", "eth0"}), IsOk());
  EXPECT_THAT(Leases(), ElementsAre(Lease{Ip("10.0.0.4"), {"pod2", "eth0"}}));
  EXPECT_THAT(ReleaseLeases(&store_, {"pod", "eth0"}), IsOk());
}

TEST_F(AllocatorTest, ReleaseExceptKeepsTheValid) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")})};
  Get(sets);
  Get(sets);
  Get(sets);
  ASSERT_THAT(ReleaseLeasesExcept(&store_, {{"pod-2", "eth0"}, {"x", "y"}}),
              IsOk());
  EXPECT_THAT(Leases(), ElementsAre(Lease{Ip("10.0.0.3"), {"pod-2", "eth0"}}));
}

TEST_F(AllocatorTest, KnowsWhetherThereIsRoom) {
  std::vector<RangeSet> sets = {Set({Spec("10.0.0.0/24")}),
                                Set({Spec("10.1.0.0/30")})};
  ASSERT_OK_AND_ASSIGN(bool before, HasFreeAddresses(&store_, sets));
  EXPECT_TRUE(before);
  Get(sets);
  ASSERT_OK_AND_ASSIGN(bool after, HasFreeAddresses(&store_, sets));
  EXPECT_FALSE(after);
}

}  // namespace
}  // namespace davit
