#include "runtime/sandbox/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

bool Has(uint64_t set, int number) { return (set >> number & 1) != 0; }

TEST(CapabilityByName, TakesEveryUsualSpelling) {
  for (const char* name :
       {"CAP_NET_RAW", "NET_RAW", "net_raw", "cap_net_raw"}) {
    ASSERT_OK_AND_ASSIGN(int number, CapabilityByName(name));
    EXPECT_EQ(number, CAP_NET_RAW) << name;
  }
}

TEST(CapabilityByName, NamesTheUnknownOne) {
  for (const char* name : {"CAP_FLY", "", "CAP_", "NET_RAW ", "21"}) {
    EXPECT_THAT(CapabilityByName(name),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr(std::string("\"") + name + "\"")));
  }
}

TEST(CapabilityName, AndBackForEveryNumber) {
  for (int number = 0; number <= CAP_LAST_CAP; ++number) {
    ASSERT_OK_AND_ASSIGN(int back, CapabilityByName(CapabilityName(number)));
    EXPECT_EQ(back, number);
  }
  EXPECT_EQ(CapabilityName(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
  EXPECT_EQ(CapabilityName(63), "CAP_63");
}

TEST(DefaultSets, KeepWhatSystemdNeedsAndNothingOfTheMachine) {
  uint64_t pod = DefaultPodCapabilities();
  // facts/systemd-containers.md rows 35, 36.
  EXPECT_TRUE(Has(pod, CAP_MKNOD));
  EXPECT_TRUE(Has(pod, CAP_SYS_ADMIN));
  EXPECT_TRUE(Has(pod, CAP_NET_ADMIN));
  for (int number : {CAP_AUDIT_CONTROL, CAP_AUDIT_READ, CAP_AUDIT_WRITE,
                     CAP_SYS_MODULE, CAP_SYS_RAWIO, CAP_SYS_TIME, CAP_SYSLOG,
                     CAP_BPF, CAP_PERFMON, CAP_MAC_ADMIN, CAP_MAC_OVERRIDE}) {
    EXPECT_FALSE(Has(pod, number)) << CapabilityName(number);
  }
  uint64_t app = DefaultAppCapabilities();
  EXPECT_EQ(app & ~pod, 0u);
  // Docker's a80425fb without AUDIT_WRITE (bit 29).
  EXPECT_EQ(app, 0xa80425fbu & ~(1u << CAP_AUDIT_WRITE));
}

TEST(CapabilitySet, DropsThenAdds) {
  ASSERT_OK_AND_ASSIGN(
      uint64_t set, CapabilitySet(DefaultAppCapabilities(), {"CAP_NET_ADMIN"},
                                  {"NET_RAW", "KILL"}));
  EXPECT_TRUE(Has(set, CAP_NET_ADMIN));
  EXPECT_TRUE(Has(set, CAP_CHOWN));
  EXPECT_FALSE(Has(set, CAP_NET_RAW));
  EXPECT_FALSE(Has(set, CAP_KILL));
}

TEST(CapabilitySet, KnowsAll) {
  uint64_t app = DefaultAppCapabilities();
  EXPECT_EQ(CapabilitySet(app, {"ALL"}, {}).value(), DefaultPodCapabilities());
  EXPECT_EQ(CapabilitySet(app, {}, {"all"}).value(), 0u);
  EXPECT_EQ(CapabilitySet(app, {"CAP_KILL"}, {"ALL"}).value(),
            uint64_t{1} << CAP_KILL);
  EXPECT_EQ(CapabilitySet(app, {"ALL"}, {"CAP_SYS_ADMIN"}).value(),
            DefaultPodCapabilities() & ~(uint64_t{1} << CAP_SYS_ADMIN));
  EXPECT_EQ(CapabilitySet(app, {}, {}).value(), app);
}

TEST(CapabilitySet, RefusesWhatThePodLacksAndWhatNobodyKnows) {
  EXPECT_THAT(CapabilitySet(0, {"CAP_SYS_MODULE"}, {}),
              StatusIs(absl::StatusCode::kPermissionDenied,
                       HasSubstr("CAP_SYS_MODULE")));
  EXPECT_THAT(CapabilitySet(0, {}, {"CAP_X"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("CAP_X")));
  EXPECT_THAT(CapabilitySet(0, {"Y"}, {}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"Y\"")));
}

}  // namespace
}  // namespace davit
