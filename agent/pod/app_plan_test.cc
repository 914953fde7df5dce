#include "agent/pod/app_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/pod/expansion.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using Words = std::vector<std::string>;

// --- $(VAR) ---

TEST(ExpandVariablesTest, AsKubernetes) {
  const std::map<std::string, std::string> variables = {
      {"A", "1"}, {"EMPTY", ""}, {"NESTED", "$(A)"}, {"DOLLAR", "$"}};
  const struct {
    const char* text;
    const char* expanded;
  } cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"$(A)", "1"},
      {"x$(A)y$(A)z", "x1y1z"},
      {"$(EMPTY)", ""},
      {"$(NONE)", "$(NONE)"},
      {"$$(A)", "$(A)"},
      {"$$$(A)", "$1"},
      {"$$$$(A)", "$$(A)"},
      {"$(NESTED)", "$(A)"},
      {"$A", "$A"},
      {"$", "$"},
      {"$$", "$"},
      {"a$", "a$"},
      {"$(", "$("},
      {"$(A", "$(A"},
      {"$()", "$()"},
      {"$(A))", "1)"},
      {"$(DOLLAR)(A)", "$(A)"},
      {"${A}", "${A}"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(ExpandVariables(c.text, variables), c.expanded) << c.text;
  }
}

// --- Plans ---

struct Inputs {
  PodSpec pod;
  Image image;

  Inputs() {
    pod.name = "pod";
    pod.hostname = "host";
    ContainerSpec container;
    container.name = "app";
    container.image = "image";
    pod.containers = {container};
    image.config.entrypoint = {"entry", "-e"};
    image.config.cmd = {"cmd"};
  }
  ContainerSpec& container() { return pod.containers[0]; }
  absl::StatusOr<AppPlan> Plan() const { return PlanApp(pod, 0, image); }
};

TEST(PlanAppTest, CommandMergesAsKubernetes) {
  const struct {
    Words entrypoint, cmd, command, args, argv;
  } cases[] = {
      {{"e"}, {"c"}, {}, {}, {"e", "c"}},
      {{"e"}, {"c"}, {"x"}, {}, {"x"}},
      {{"e"}, {"c"}, {}, {"a"}, {"e", "a"}},
      {{"e"}, {"c"}, {"x"}, {"a", "b"}, {"x", "a", "b"}},
      {{}, {"c", "d"}, {}, {}, {"c", "d"}},
      {{}, {"c"}, {}, {"a"}, {"a"}},
      {{"e"}, {}, {}, {}, {"e"}},
  };
  for (const auto& c : cases) {
    Inputs in;
    in.image.config.entrypoint = c.entrypoint;
    in.image.config.cmd = c.cmd;
    in.container().command = c.command;
    in.container().args = c.args;
    ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
    EXPECT_EQ(plan.spec.argv, c.argv);
  }
}

TEST(PlanAppTest, NoCommandAnywhere) {
  Inputs in;
  in.image.config.entrypoint.clear();
  in.image.config.cmd.clear();
  EXPECT_THAT(in.Plan(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(StartsWith("spec.containers[0].command: "),
                             HasSubstr("\"app\""), HasSubstr("\"image\""))));
  in.container().command = {"$(EMPTY)"};
  in.container().env = {{"EMPTY", ""}};
  EXPECT_THAT(in.Plan(), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(PlanAppTest, CommandAndArgsUseTheContainersVariablesOnly) {
  Inputs in;
  in.image.config.env = {"FROM_IMAGE=1"};
  in.container().env = {{"PORT", "80"}};
  in.container().command = {"run", "$(PORT)", "$(FROM_IMAGE)"};
  in.container().args = {"--port=$(PORT)", "$$(PORT)"};
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_THAT(plan.spec.argv, ElementsAre("run", "80", "$(FROM_IMAGE)",
                                          "--port=80", "$(PORT)"));
  // The image's words are not expanded.
  in.container().command.clear();
  in.container().args.clear();
  in.image.config.cmd = {"$(PORT)"};
  ASSERT_OK_AND_ASSIGN(plan, in.Plan());
  EXPECT_THAT(plan.spec.argv, ElementsAre("entry", "-e", "$(PORT)"));
}

TEST(PlanAppTest, EnvironmentInOrder) {
  Inputs in;
  in.image.config.env = {"PATH=/image/bin", "LANG=C", "broken", "=x",
                         "URL=a=b"};
  in.container().env = {{"HOST", "db"},
                        {"ADDRESS", "$(HOST):$(PORT)"},
                        {"PORT", "5432"},
                        {"LANG", "de"},
                        {"HOST", "db2-$(HOST)"}};
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_THAT(plan.spec.env, ElementsAre("PATH=/image/bin", "HOSTNAME=host",
                                         "LANG=de", "URL=a=b", "HOST=db2-db",
                                         "ADDRESS=db:$(PORT)", "PORT=5432"));
  EXPECT_EQ(plan.path_variable, "/image/bin");
}

TEST(PlanAppTest, DefaultsWithoutAnyWord) {
  Inputs in;
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_THAT(
      plan.spec.env,
      ElementsAre(
          "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
          "HOSTNAME=host"));
  EXPECT_EQ(plan.spec.working_dir, "/");
  EXPECT_EQ(plan.spec.stop_signal, "SIGTERM");
  EXPECT_EQ(plan.spec.stop_grace, absl::Seconds(30));
  EXPECT_EQ(plan.spec.restart, RestartPolicy::kAlways);
  EXPECT_FALSE(plan.spec.no_new_privileges);
  EXPECT_FALSE(plan.spec.privileged);
  EXPECT_FALSE(plan.spec.read_only_root);
  EXPECT_FALSE(plan.run_as_non_root);
  EXPECT_EQ(plan.user, "");
}

TEST(PlanAppTest, WorkingDirAndStopSignal) {
  Inputs in;
  in.image.config.working_dir = "/srv";
  in.image.config.stop_signal = "SIGQUIT";
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_EQ(plan.spec.working_dir, "/srv");
  EXPECT_EQ(plan.spec.stop_signal, "SIGQUIT");
  in.container().working_dir = "/data";
  ASSERT_OK_AND_ASSIGN(plan, in.Plan());
  EXPECT_EQ(plan.spec.working_dir, "/data");
}

TEST(PlanAppTest, UserRules) {
  const struct {
    const char* image_user;
    std::optional<int64_t> user, group;
    const char* expected;
  } cases[] = {
      {"", {}, {}, ""},
      {"web:www", {}, {}, "web:www"},
      {"web:www", 5, {}, "5"},
      {"web:www", 5, 6, "5:6"},
      {"web:www", {}, 6, "web:6"},
      {"", {}, 6, "0:6"},
      {"", 0, {}, "0"},
  };
  for (const auto& c : cases) {
    Inputs in;
    in.image.config.user = c.image_user;
    in.container().security.run_as_user = c.user;
    in.container().security.run_as_group = c.group;
    ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
    EXPECT_EQ(plan.user, c.expected) << c.image_user;
  }
}

TEST(PlanAppTest, Security) {
  Inputs in;
  SecurityContext& security = in.container().security;
  security.allow_privilege_escalation = false;
  security.read_only_root_filesystem = true;
  security.privileged = true;
  security.add_capabilities = {"net_admin", "CAP_SYS_TIME", "ALL"};
  security.drop_capabilities = {"all", "CHOWN"};
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_TRUE(plan.spec.no_new_privileges);
  EXPECT_TRUE(plan.spec.read_only_root);
  EXPECT_TRUE(plan.spec.privileged);
  EXPECT_THAT(plan.spec.add_capabilities,
              ElementsAre("CAP_NET_ADMIN", "CAP_SYS_TIME", "ALL"));
  EXPECT_THAT(plan.spec.drop_capabilities, ElementsAre("ALL", "CAP_CHOWN"));
}

// --- Completed by the root file system ---

TEST(ResolveAppTest, TakesCommandUserAndHome) {
  Inputs in;
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  ASSERT_OK_AND_ASSIGN(
      AppSpec app,
      ResolveApp(
          plan, "/bin/entry",
          {.uid = 33, .gid = 34, .supplementary_gids = {4}, .home = "/h"}));
  EXPECT_THAT(app.argv, ElementsAre("/bin/entry", "-e", "cmd"));
  EXPECT_EQ(app.uid, 33u);
  EXPECT_EQ(app.gid, 34u);
  EXPECT_THAT(app.supplementary_gids, ElementsAre(4));
  EXPECT_THAT(app.env, Contains("HOME=/h"));
}

TEST(ResolveAppTest, HomeOfTheSpecWins) {
  Inputs in;
  in.container().env = {{"HOME", "/mine"}};
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  ASSERT_OK_AND_ASSIGN(AppSpec app,
                       ResolveApp(plan, "/bin/entry", {.home = "/h"}));
  EXPECT_THAT(app.env, Contains("HOME=/mine"));
  EXPECT_THAT(app.env, Not(Contains("HOME=/h")));
}

TEST(ResolveAppTest, NonRootMeansIt) {
  Inputs in;
  in.container().security.run_as_non_root = true;
  in.image.config.user = "toor";
  ASSERT_OK_AND_ASSIGN(AppPlan plan, in.Plan());
  EXPECT_THAT(
      ResolveApp(plan, "/bin/entry", {.uid = 0}),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               AllOf(HasSubstr("runAsNonRoot"), HasSubstr("\"toor\""))));
  EXPECT_TRUE(ResolveApp(plan, "/bin/entry", {.uid = 1}).ok());
}

}  // namespace
}  // namespace davit
