#include "runtime/app/app.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/app/plan_codec.h"
#include "runtime/app/unit_file.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

AppSpec Web() {
  AppSpec app;
  app.name = "web";
  app.argv = {"/bin/httpd", "-f"};
  app.env = {"PASSWORD=secret"};
  app.stop_signal = "SIGQUIT";
  app.stop_grace = absl::Milliseconds(1500);
  return app;
}

TEST(BuildAppFilesTest, MakesUnitPlanAndTarget) {
  AppSpec db = Web();
  db.name = "db";
  std::vector<PodFile> files = BuildAppFiles({Web(), db});
  ASSERT_EQ(files.size(), 5u);
  EXPECT_EQ(files[0].path, "/run/systemd/system/app-web.service");
  EXPECT_EQ(files[0].mode, 0644u);
  EXPECT_EQ(files[1].path, "/run/davit/apps/web.plan");
  EXPECT_EQ(files[1].mode, 0400u);
  EXPECT_EQ(files[3].path, "/run/davit/apps/db.plan");
  EXPECT_EQ(files[4].path, "/run/systemd/system/davit-apps.target");
  EXPECT_THAT(files[4].content,
              AllOf(HasSubstr("\nWants=app-web.service app-db.service\n"),
                    HasSubstr("\nAfter=app-web.service app-db.service\n")));
  // Secrets are in the plan, which only the pod's root reads.
  EXPECT_THAT(files[0].content, Not(HasSubstr("secret")));
  ASSERT_OK_AND_ASSIGN(AppSpec plan, DecodeAppPlan(files[1].content));
  EXPECT_EQ(plan.env, Web().env);
}

TEST(BuildAppFilesTest, NoAppsStillHaveTheirTarget) {
  std::vector<PodFile> files = BuildAppFiles({});
  ASSERT_EQ(files.size(), 1u);
  EXPECT_THAT(files[0].content, Not(HasSubstr("Wants=")));
}

TEST(AppNamesTest, AreStable) {
  EXPECT_EQ(AppUnitName("web"), "app-web.service");
  EXPECT_EQ(AppRootInPod("web"), "/opt/stage2/web/rootfs");
}

TEST(AppServiceTextTest, SaysWhatTheSpecSays) {
  std::string text = AppServiceText(Web());
  EXPECT_THAT(text,
              HasSubstr("\nExecStart=/run/host/davit/davit-app run \"web\"\n"));
  EXPECT_THAT(text, HasSubstr("\nType=exec\n"));
  EXPECT_THAT(text, HasSubstr("\nKillSignal=SIGQUIT\n"));
  EXPECT_THAT(text, HasSubstr("\nTimeoutStopSec=1500ms\n"));
  EXPECT_THAT(text, HasSubstr("\nSyslogIdentifier=web\n"));
  EXPECT_THAT(text, HasSubstr("\nDefaultDependencies=no\n"));
  EXPECT_THAT(text, HasSubstr("\nConflicts=shutdown.target\n"));
  EXPECT_THAT(text, HasSubstr("\nStartLimitIntervalSec=0\n"));
}

TEST(AppServiceTextTest, RestartPolicies) {
  AppSpec app = Web();
  EXPECT_THAT(AppServiceText(app),
              HasSubstr("\nRestart=always\nRestartSec=1s"));
  app.restart = RestartPolicy::kNever;
  EXPECT_THAT(AppServiceText(app), HasSubstr("\nRestart=no\n"));
  app.restart = RestartPolicy::kOnFailure;
  EXPECT_THAT(AppServiceText(app),
              AllOf(HasSubstr("\nRestart=on-failure\n"),
                    HasSubstr("\nRestartForceExitStatus=SIGHUP SIGINT SIGTERM "
                              "SIGPIPE\n")));
}

TEST(AppServiceTextTest, NothingCanBeInjected) {
  AppSpec app = Web();
  app.name = "x\nExecStartPre=/bin/evil\n";
  app.stop_signal = "SIGTERM\nExecStop=/bin/evil";
  std::string text = AppServiceText(app);
  EXPECT_THAT(text, Not(HasSubstr("\nExecStartPre")));
  EXPECT_THAT(text, Not(HasSubstr("\nExecStop")));
  EXPECT_THAT(text, HasSubstr("run \"x\\x0aExecStartPre"));
}

TEST(QuoteExecArgumentTest, EscapesWhatSystemdWouldExpand) {
  EXPECT_EQ(QuoteExecArgument("plain"), "\"plain\"");
  EXPECT_EQ(QuoteExecArgument(""), "\"\"");
  EXPECT_EQ(QuoteExecArgument("a b"), "\"a b\"");
  EXPECT_EQ(QuoteExecArgument("%n $HOME"), "\"%%n $$HOME\"");
  EXPECT_EQ(QuoteExecArgument("\"\\"), "\"\\\"\\\\\"");
  EXPECT_EQ(QuoteExecArgument("a\nb\t\x7f"), "\"a\\x0ab\\x09\\x7f\"");
  EXPECT_EQ(QuoteExecArgument("\xc3\xa4"), "\"\xc3\xa4\"");
}

TEST(UnitTimeSpanTest, ZeroDoesNotMeanNever) {
  EXPECT_EQ(UnitTimeSpan(absl::ZeroDuration()), "1ms");
  EXPECT_EQ(UnitTimeSpan(absl::Seconds(30)), "30000ms");
  EXPECT_EQ(UnitTimeSpan(absl::InfiniteDuration()), "infinity");
}

}  // namespace
}  // namespace davit
