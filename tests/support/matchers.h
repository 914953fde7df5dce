#ifndef DAVIT_TESTS_SUPPORT_MATCHERS_H_
#define DAVIT_TESTS_SUPPORT_MATCHERS_H_

#include <gmock/gmock.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Debian's Abseil has no status matchers; these are the three we use.
//   EXPECT_THAT(x, IsOk());
//   EXPECT_THAT(x, StatusIs(absl::StatusCode::kNotFound, HasSubstr("web")));
//   ASSERT_OK_AND_ASSIGN(auto v, Compute());

namespace davit::testing {

inline const absl::Status& GetStatus(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& s) {
  return s.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

MATCHER_P(StatusIs, code, "has status code " + absl::StatusCodeToString(code)) {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code;
}

MATCHER_P2(StatusIs, code, message,
           "has status code " + absl::StatusCodeToString(code)) {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         ::testing::ExplainMatchResult(
             message, std::string(GetStatus(arg).message()), result_listener);
}

}  // namespace davit::testing

#define DAVIT_TEST_CONCAT_INNER_(a, b) a##b
#define DAVIT_TEST_CONCAT_(a, b) DAVIT_TEST_CONCAT_INNER_(a, b)
#define ASSERT_OK_AND_ASSIGN(lhs, expr) \
  ASSERT_OK_AND_ASSIGN_IMPL_(DAVIT_TEST_CONCAT_(statusor_, __LINE__), lhs, expr)
#define ASSERT_OK_AND_ASSIGN_IMPL_(statusor, lhs, expr) \
  auto statusor = (expr);                               \
  ASSERT_TRUE(statusor.ok()) << statusor.status();      \
  lhs = std::move(statusor).value()

#endif  // DAVIT_TESTS_SUPPORT_MATCHERS_H_
