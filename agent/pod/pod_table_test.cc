#include "agent/pod/pod_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "agent/store/fake_pod_store.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class PodTableTest : public ::testing::Test {
 protected:
  void Add(const std::string& name, const std::string& id) {
    ASSERT_THAT(table_.Reserve(name, id), IsOk());
    Pod pod;
    pod.id = id;
    pod.spec.name = name;
    table_.Insert(std::make_shared<LivePod>(pod, PodPaths(), &store_, events_));
  }
  std::string IdOf(const std::string& reference) {
    auto pod = table_.Find(reference);
    return pod.ok() ? (*pod)->id() : std::string(pod.status().message());
  }

  FakePodStore store_;
  std::shared_ptr<PodEvents> events_ = std::make_shared<PodEvents>(10);
  PodTable table_;
};

TEST_F(PodTableTest, NameIdOrPrefix) {
  Add("web", "abcd-1");
  Add("db", "abcf-2");
  EXPECT_EQ(IdOf("web"), "abcd-1");
  EXPECT_EQ(IdOf("abcf-2"), "abcf-2");
  EXPECT_EQ(IdOf("abcf"), "abcf-2");
  EXPECT_THAT(table_.Find("abc"), StatusIs(absl::StatusCode::kNotFound))
      << "too short for a prefix";
  EXPECT_THAT(table_.Find(""), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(table_.Find("abcz"),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("pod \"abcz\" not found")));
}

TEST_F(PodTableTest, AmbiguousPrefix) {
  Add("web", "abcde-1");
  Add("db", "abcdf-2");
  EXPECT_THAT(table_.Find("abcd"), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("beginning of several")));
}

TEST_F(PodTableTest, ANameWinsOverAPrefix) {
  Add("web", "abcd-1");
  Add("abcd", "ffff-2");
  EXPECT_EQ(IdOf("abcd"), "ffff-2");
}

TEST_F(PodTableTest, ReservedNamesAreTakenButNotFound) {
  ASSERT_THAT(table_.Reserve("web", "id-1"), IsOk());
  EXPECT_THAT(table_.Reserve("web", "id-2"),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("id-1")));
  EXPECT_THAT(table_.Find("web"), StatusIs(absl::StatusCode::kNotFound));
  table_.Unreserve("web");
  EXPECT_THAT(table_.Reserve("web", "id-2"), IsOk());
}

TEST_F(PodTableTest, EraseFreesTheName) {
  Add("web", "abcd-1");
  EXPECT_THAT(table_.All(), SizeIs(1));
  table_.Erase(*table_.Find("web").value());
  EXPECT_THAT(table_.All(), SizeIs(0));
  Add("web", "abcd-2");
  EXPECT_EQ(IdOf("web"), "abcd-2");
}

}  // namespace
}  // namespace davit
