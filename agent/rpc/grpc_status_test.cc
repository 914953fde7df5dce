#include "agent/rpc/grpc_status.h"

#include <string>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(GrpcStatusTest, EveryCodeComesBack) {
  for (int code = 1; code <= 16; ++code) {
    absl::Status status(static_cast<absl::StatusCode>(code), "why: \"x\"");
    grpc::Status wire = ToGrpcStatus(status);
    EXPECT_EQ(static_cast<int>(wire.error_code()), code);
    EXPECT_EQ(FromGrpcStatus(wire), status);
  }
  EXPECT_TRUE(ToGrpcStatus(absl::OkStatus()).ok());
  EXPECT_THAT(FromGrpcStatus(grpc::Status::OK), IsOk());
}

TEST(GrpcStatusTest, NamedCodes) {
  EXPECT_EQ(ToGrpcStatus(absl::NotFoundError("x")).error_code(),
            grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(ToGrpcStatus(absl::FailedPreconditionError("x")).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST(GrpcStatusTest, KeepsALongMessageThatFits) {
  std::string message(6 << 10, 'x');
  EXPECT_EQ(ToGrpcStatus(absl::InternalError(message)).error_message(),
            message);
}

TEST(GrpcStatusTest, LeavesOutTheMiddleOfALongerOne) {
  std::string message = "begin" + std::string(100000, 'x') + "end";
  std::string sent = ToGrpcStatus(absl::InternalError(message)).error_message();
  EXPECT_THAT(sent, StartsWith("beginx"));
  EXPECT_THAT(sent, EndsWith("xend"));
  EXPECT_THAT(sent, HasSubstr(" [94888 bytes left out] "));
  EXPECT_LT(sent.size(), 6 << 10);
}

TEST(GrpcStatusTest, CountsEncodedBytesAndSplitsNoCharacter) {
  std::string message;
  for (int i = 0; i < 5000; ++i) message += "é";
  std::string sent = ToGrpcStatus(absl::InternalError(message)).error_message();
  EXPECT_LT(sent.size(), 2200);
  size_t gap = sent.find(" [");
  ASSERT_NE(gap, std::string::npos);
  EXPECT_EQ(gap % 2, 0);
  EXPECT_THAT(sent, HasSubstr("left out] é"));
}

}  // namespace
}  // namespace davit
