#include "runtime/app/plan_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST(AppPlanTest, RoundTripKeepsEveryByte) {
  AppSpec app;
  app.name = "web";
  app.argv = {"/bin/x", "", "\xff\xfe not utf-8", "line\nbreak"};
  app.env = {"A=1", "B=\x01"};
  app.working_dir = "/a b";
  app.uid = 4294967295u;
  app.gid = 7;
  app.supplementary_gids = {1, 0, 4294967295u};
  app.read_only_root = true;
  app.add_capabilities = {"ALL"};
  app.drop_capabilities = {"CAP_CHOWN", "MKNOD"};
  app.privileged = true;
  app.no_new_privileges = true;
  ASSERT_OK_AND_ASSIGN(AppSpec back, DecodeAppPlan(EncodeAppPlan(app)));
  EXPECT_EQ(back.name, app.name);
  EXPECT_EQ(back.argv, app.argv);
  EXPECT_EQ(back.env, app.env);
  EXPECT_EQ(back.working_dir, app.working_dir);
  EXPECT_EQ(back.uid, app.uid);
  EXPECT_EQ(back.gid, app.gid);
  EXPECT_EQ(back.supplementary_gids, app.supplementary_gids);
  EXPECT_TRUE(back.read_only_root);
  EXPECT_EQ(back.add_capabilities, app.add_capabilities);
  EXPECT_EQ(back.drop_capabilities, app.drop_capabilities);
  EXPECT_TRUE(back.privileged);
  EXPECT_TRUE(back.no_new_privileges);
}

TEST(AppPlanTest, RefusesNonsense) {
  EXPECT_THAT(DecodeAppPlan("\xff\xff\xff"), StatusIs(kInvalid));
  EXPECT_THAT(DecodeAppPlan(""), StatusIs(kInvalid, HasSubstr("name")));
}

TEST(ExecPlanTest, RoundTrip) {
  ExecPlan plan = {.app = "web",
                   .main_pid = 42,
                   .argv = {"sh", "\xff"},
                   .env = {"X=\x80"},
                   .tty = true,
                   .stdin_open = true};
  ASSERT_OK_AND_ASSIGN(ExecPlan back, DecodeExecPlan(EncodeExecPlan(plan)));
  EXPECT_EQ(back, plan);
  EXPECT_THAT(DecodeExecPlan(EncodeExecPlan({})),
              StatusIs(kInvalid, HasSubstr("argv")));
  // A login has its shell.
  ASSERT_OK_AND_ASSIGN(back, DecodeExecPlan(EncodeExecPlan({.login = true})));
  EXPECT_TRUE(back.login);
}

TEST(ExecReplyTest, RoundTrip) {
  ASSERT_OK_AND_ASSIGN(ExecReply started, DecodeExecReply(EncodeExecReply({})));
  EXPECT_EQ(started.kind, ExecReply::Kind::kStarted);
  ASSERT_OK_AND_ASSIGN(
      ExecReply exited,
      DecodeExecReply(EncodeExecReply(
          {.kind = ExecReply::Kind::kExited, .wait_status = 0x8b})));
  EXPECT_EQ(exited.kind, ExecReply::Kind::kExited);
  EXPECT_EQ(exited.wait_status, 0x8b);
  ASSERT_OK_AND_ASSIGN(
      ExecReply failed,
      DecodeExecReply(EncodeExecReply({.kind = ExecReply::Kind::kFailed,
                                       .error = absl::NotFoundError("x")})));
  EXPECT_THAT(failed.error, StatusIs(absl::StatusCode::kNotFound, "x"));
}

TEST(ExecReplyTest, LongAndHostileMessagesAreTamed) {
  std::string text(100'000, '\n');
  std::string bytes = EncodeExecReply(
      {.kind = ExecReply::Kind::kFailed, .error = absl::InternalError(text)});
  EXPECT_LE(bytes.size(), kMaxExecReply);
  ASSERT_OK_AND_ASSIGN(ExecReply reply, DecodeExecReply(bytes));
  EXPECT_EQ(reply.error.message().find('\n'), absl::string_view::npos);
  EXPECT_THAT(DecodeExecReply(std::string(kMaxExecReply + 1, 'x')),
              StatusIs(kInvalid, HasSubstr("too long")));
  // An empty message is of no kind; field 2 with code 0 is no error.
  EXPECT_THAT(DecodeExecReply(""), StatusIs(kInvalid));
  EXPECT_THAT(DecodeExecReply(absl::string_view("\x12\x00", 2)),
              StatusIs(kInvalid, HasSubstr("0 is no error code")));
}

TEST(ExecSignalTest, OnlySignals) {
  ASSERT_OK_AND_ASSIGN(int signal, DecodeExecSignal(EncodeExecSignal(SIGUSR1)));
  EXPECT_EQ(signal, SIGUSR1);
  for (int bad : {0, -1, 65, 1000}) {
    EXPECT_THAT(DecodeExecSignal(EncodeExecSignal(bad)), StatusIs(kInvalid));
  }
}

}  // namespace
}  // namespace davit
