#include <gtest/gtest.h>

#include <string>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

// The API as it is compiled must be the API that was reviewed.
TEST(ApiGoldenTest, IsUnchanged) {
  ASSERT_OK_AND_ASSIGN(std::string golden,
                       ReadFile("proto/davit/v1/api.golden.textproto"));
  ASSERT_OK_AND_ASSIGN(std::string now,
                       ReadFile("proto/davit/v1/api.snapshot.textproto"));
  EXPECT_GT(golden.size(), 10000u);
  EXPECT_TRUE(golden == now)
      << "the API differs from api.golden.textproto. If that is meant, run\n"
         "  bazel run //proto/davit/v1:update_golden\n"
         "and let the diff be reviewed: fields may be added, never renumbered, "
         "renamed or retyped";
}

}  // namespace
}  // namespace davit
