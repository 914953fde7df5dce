#include "cli/pod_names.h"

#include <gmock/gmock.h>

namespace davit::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PodNameTest, MayBeTyped) {
  EXPECT_EQ(PodName("web"), "web");
  EXPECT_EQ(PodName("pod/web"), "web");
  EXPECT_EQ(PodName("pods"), "pods");
}

TEST(PodNamesTest, TakesTheKindOnceAtTheFront) {
  for (const char* kind : {"pod", "pods", "po"}) {
    EXPECT_THAT(PodNames({kind, "a", "pod/b"}), ElementsAre("a", "b"));
    EXPECT_THAT(PodNames({kind, kind}), ElementsAre(kind));
    EXPECT_THAT(PodNames({kind}), IsEmpty());
  }
  EXPECT_THAT(PodNames({"a", "pod/b"}), ElementsAre("a", "b"));
  EXPECT_THAT(PodNames({}), IsEmpty());
}

}  // namespace
}  // namespace davit::cli
