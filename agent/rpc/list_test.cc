#include <string>
#include <vector>

#include "agent/rpc/cursor.h"
#include "agent/rpc/page.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

std::string Self(const std::string& item) { return item; }

TEST(PageTest, GoesThroughAll) {
  std::vector<std::string> items = {"a", "b", "c", "d", "e"};
  Page<std::string> page = TakePage(items, "", 2, Self);
  EXPECT_THAT(page.items, ElementsAre("a", "b"));
  EXPECT_EQ(page.last_key, "b");
  page = TakePage(items, page.last_key, 2, Self);
  EXPECT_THAT(page.items, ElementsAre("c", "d"));
  page = TakePage(items, page.last_key, 2, Self);
  EXPECT_THAT(page.items, ElementsAre("e"));
  EXPECT_EQ(page.last_key, "");
}

TEST(PageTest, AnExactLastPageHasNoNext) {
  EXPECT_EQ(TakePage<std::string>({"a", "b"}, "", 2, Self).last_key, "");
}

TEST(PageTest, TheItemOfTheTokenMayBeGone) {
  EXPECT_THAT(TakePage<std::string>({"a", "d"}, "b", 5, Self).items,
              ElementsAre("d"));
  EXPECT_THAT(TakePage<std::string>({}, "b", 5, Self).items, IsEmpty());
}

TEST(PageTest, Size) {
  EXPECT_EQ(*PageSize(0), 500);
  EXPECT_EQ(*PageSize(501), 500);
  EXPECT_EQ(*PageSize(7), 7);
  EXPECT_THAT(PageSize(-1), StatusIs(absl::StatusCode::kInvalidArgument,
                                     StartsWith("pageSize: -1")));
}

TEST(CursorTest, ComesBack) {
  CursorCodec codec("here");
  EXPECT_EQ(*codec.Decode(codec.Encode(0)), 0);
  EXPECT_EQ(*codec.Decode(codec.Encode(UINT64_MAX)), UINT64_MAX);
}

TEST(CursorTest, OfAnotherProcessIsOutOfRange) {
  EXPECT_THAT(CursorCodec("here").Decode(CursorCodec("there").Encode(5)),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("there:5")));
}

TEST(CursorTest, NonsenseIsInvalid) {
  for (const char* text : {"", "here", "here:", "here:x", ":", "here:-1",
                           "here:99999999999999999999"}) {
    EXPECT_THAT(
        CursorCodec("here").Decode(text),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("cursor: \"")))
        << text;
  }
}

}  // namespace
}  // namespace davit
