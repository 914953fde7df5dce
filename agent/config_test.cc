#include "agent/config.h"

#include <vector>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

absl::StatusOr<CommandLine> Parse(std::vector<std::string> flags) {
  std::vector<const char*> argv = {"davitd"};
  for (const std::string& flag : flags) argv.push_back(flag.c_str());
  return ParseCommandLine(argv.size(), argv.data());
}

TEST(ConfigTest, Defaults) {
  ASSERT_OK_AND_ASSIGN(CommandLine line, Parse({}));
  const AgentConfig& config = line.config;
  EXPECT_EQ(line.print, "");
  EXPECT_EQ(config.root, "/var/lib/davit");
  EXPECT_EQ(config.state, "/run/davit");
  EXPECT_EQ(config.listen, "unix:///run/davit/davit.sock");
  EXPECT_EQ(config.socket_path(), "/run/davit/davit.sock");
  EXPECT_EQ(config.metrics, "127.0.0.1:9411");
  EXPECT_EQ(config.libexec, "/usr/libexec/davit");
  EXPECT_EQ(config.cni_conf_dir, "/etc/davit/net.d");
  EXPECT_THAT(config.cni_bin_dir, ElementsAre("/usr/libexec/davit/cni"));
  EXPECT_EQ(config.node_netns, "");
  EXPECT_EQ(config.netns_dir, "/var/run/netns");
  EXPECT_EQ(config.seccomp_dir, "/etc/davit/seccomp");
  EXPECT_EQ(config.cgroup_parent, "davit");
  EXPECT_EQ(config.stage1_image, "localhost/davit/stage1:latest");
  EXPECT_TRUE(config.default_host_users);
  EXPECT_EQ(config.cni_timeout, absl::Seconds(30));
  EXPECT_EQ(config.ready_timeout, absl::Seconds(60));
  EXPECT_EQ(config.log_level, LogLevel::kInfo);
  EXPECT_EQ(config.log_format, LogFormat::kText);
}

TEST(ConfigTest, EveryFlag) {
  ASSERT_OK_AND_ASSIGN(CommandLine line, Parse({"--root=/r",
                                                "--state",
                                                "/s",
                                                "--listen",
                                                "unix:///l/x.sock",
                                                "--metrics",
                                                "",
                                                "--libexec",
                                                "/e",
                                                "--cni-conf-dir",
                                                "/c",
                                                "--cni-bin-dir",
                                                "/b1",
                                                "--cni-bin-dir",
                                                "/b2",
                                                "--node-netns",
                                                "/n",
                                                "--netns-dir",
                                                "/d",
                                                "--cgroup-parent",
                                                "blue",
                                                "--stage1-image",
                                                "x",
                                                "--default-host-users",
                                                "false",
                                                "--cni-timeout",
                                                "1m30s",
                                                "--ready-timeout",
                                                "500ms",
                                                "--log-level",
                                                "debug",
                                                "--log-format",
                                                "json"}));
  const AgentConfig& config = line.config;
  EXPECT_EQ(config.root, "/r");
  EXPECT_EQ(config.state, "/s");
  EXPECT_EQ(config.socket_path(), "/l/x.sock");
  EXPECT_EQ(config.metrics, "");
  EXPECT_EQ(config.libexec, "/e");
  EXPECT_EQ(config.cni_conf_dir, "/c");
  EXPECT_THAT(config.cni_bin_dir, ElementsAre("/b1", "/b2"));
  EXPECT_EQ(config.node_netns, "/n");
  EXPECT_EQ(config.netns_dir, "/d");
  EXPECT_EQ(config.cgroup_parent, "blue");
  EXPECT_EQ(config.stage1_image, "x");
  EXPECT_FALSE(config.default_host_users);
  EXPECT_EQ(config.cni_timeout, absl::Seconds(90));
  EXPECT_EQ(config.ready_timeout, absl::Milliseconds(500));
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.log_format, LogFormat::kJson);
}

TEST(ConfigTest, DefaultsFollowOtherFlags) {
  ASSERT_OK_AND_ASSIGN(CommandLine line,
                       Parse({"--state", "/s", "--libexec", "/e"}));
  EXPECT_EQ(line.config.socket_path(), "/s/davit.sock");
  EXPECT_THAT(line.config.cni_bin_dir, ElementsAre("/e/cni"));
}

TEST(ConfigTest, RefusesBadFlags) {
  struct Case {
    std::vector<std::string> flags;
    std::string message;
  };
  const std::string long_path(108, 'x');
  const Case cases[] = {
      {{"--listen", "tcp://127.0.0.1:1"},
       "--listen tcp://127.0.0.1:1: TCP needs mTLS, which this version does "
       "not have; use unix://"},
      {{"--listen", "/run/x.sock"}, "--listen /run/x.sock: is not unix:///"},
      {{"--listen", "unix://x.sock"}, "--listen unix://x.sock: is not unix:"},
      {{"--listen", "unix:///run/"}, "--listen unix:///run/: is not unix:///"},
      {{"--listen", "unix:///" + long_path}, "--listen unix:///xxx"},
      {{"--root", "var"}, "--root var: is not an absolute path"},
      {{"--root", ""}, "--root \"\": is not an absolute path"},
      {{"--state", "./s"}, "--state ./s: is not an absolute path"},
      {{"--libexec", "e"}, "--libexec e: is not an absolute path"},
      {{"--cni-conf-dir", "e"}, "--cni-conf-dir e: is not"},
      {{"--cni-bin-dir", "/a", "--cni-bin-dir", "e"}, "--cni-bin-dir e: is"},
      {{"--node-netns", "blue"}, "--node-netns blue: is not an absolute"},
      {{"--netns-dir", "e"}, "--netns-dir e: is not an absolute path"},
      {{"--seccomp-dir", "s"}, "--seccomp-dir s: is not an absolute path"},
      {{"--metrics", "9411"}, "--metrics 9411: is not host:port"},
      {{"--metrics", ":9411"}, "--metrics :9411: is not host:port"},
      {{"--metrics", "a:65536"}, "--metrics a:65536: is not host:port"},
      {{"--metrics", "a:1,b:2"}, "--metrics a:1,b:2: is not host:port"},
      {{"--cgroup-parent", "a/b"}, "--cgroup-parent a/b: is not a dir"},
      {{"--cgroup-parent", ".."}, "--cgroup-parent ..: is not a dir"},
      {{"--stage1-image", ""}, "--stage1-image \"\": must not be empty"},
      {{"--cni-timeout", "30"}, "--cni-timeout 30: is not a duration"},
      {{"--cni-timeout", "-1s"}, "--cni-timeout -1s: is not a duration"},
      {{"--ready-timeout", "inf"}, "--ready-timeout inf: is not a duration"},
      {{"--log-level", "loud"}, "--log-level loud: one of debug, info"},
      {{"--log-format", "xml"}, "--log-format xml: one of text, json"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Parse(c.flags), StatusIs(absl::StatusCode::kInvalidArgument,
                                         StartsWith(c.message)))
        << c.message;
  }
}

TEST(ConfigTest, RefusesUnknownFlagsAndArguments) {
  EXPECT_THAT(Parse({"--rot", "/x"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--rot")));
  EXPECT_THAT(Parse({"serve"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("serve")));
  EXPECT_THAT(
      Parse({"--root", "/a", "--root", "/b"}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("--root")));
}

TEST(ConfigTest, HelpAndVersionArePrinted) {
  ASSERT_OK_AND_ASSIGN(CommandLine help, Parse({"--help"}));
  EXPECT_THAT(help.print,
              AllOf(HasSubstr("--cni-bin-dir"), HasSubstr("/var/lib/davit")));
  ASSERT_OK_AND_ASSIGN(CommandLine version, Parse({"--version"}));
  EXPECT_THAT(version.print, StartsWith("davitd 0.1.0 "));
}

class ConfigFileTest : public ::testing::Test {
 protected:
  absl::StatusOr<CommandLine> ParseFile(const std::string& text,
                                        std::vector<std::string> flags = {}) {
    EXPECT_THAT(WriteFileAtomic(path_, text), IsOk());
    flags.insert(flags.end(), {"--config", path_});
    return Parse(flags);
  }

  TempDir dir_;
  const std::string path_ = dir_ / "davit.json";
};

TEST_F(ConfigFileTest, HasTheFlagsAsKeys) {
  ASSERT_OK_AND_ASSIGN(CommandLine line, ParseFile(R"({
    // Comments are allowed.
    "root": "/r", "metrics": "", "cni-bin-dir": ["/b1", "/b2"],
    "cni-timeout": "5s", "log-level": "error", "default-host-users": false
  })"));
  EXPECT_FALSE(line.config.default_host_users);
  EXPECT_EQ(line.config.root, "/r");
  EXPECT_EQ(line.config.metrics, "");
  EXPECT_THAT(line.config.cni_bin_dir, ElementsAre("/b1", "/b2"));
  EXPECT_EQ(line.config.cni_timeout, absl::Seconds(5));
  EXPECT_EQ(line.config.log_level, LogLevel::kError);
}

TEST_F(ConfigFileTest, FlagsWin) {
  ASSERT_OK_AND_ASSIGN(
      CommandLine line,
      ParseFile(R"({"root": "/file", "state": "/file", "cni-bin-dir": "/f"})",
                {"--root", "/flag", "--cni-bin-dir", "/flag"}));
  EXPECT_EQ(line.config.root, "/flag");
  EXPECT_EQ(line.config.state, "/file");
  EXPECT_THAT(line.config.cni_bin_dir, ElementsAre("/flag"));
}

TEST_F(ConfigFileTest, RefusesBadFiles) {
  struct Case {
    std::string text, message;
  };
  const Case cases[] = {
      {R"({"rot": "/x"})", "\"rot\": unknown key"},
      {R"({"--root": "/x"})", "\"--root\": unknown key"},
      {R"({"config": "/x"})", "\"config\": unknown key"},
      {R"({"help": "x"})", "\"help\": unknown key"},
      {R"({"version": "x"})", "\"version\": unknown key"},
      {R"({"root": 5})", "\"root\": a string, or a list"},
      {R"({"default-host-users": "perhaps"})", "\"default-host-users\": "},
      {R"({"root": null})", "\"root\": a string, or a list"},
      {R"({"root": []})", "\"root\": a string, or a list"},
      {R"({"root": ["/a", "/b"]})", "\"root\": one string is wanted"},
      {R"({"cni-bin-dir": ["/a", 5]})", "\"cni-bin-dir\": a string, or"},
      {R"(["root"])", "not a JSON object"},
      {R"({"root": )", "not a JSON object"},
      {"", "not a JSON object"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(ParseFile(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         StartsWith("--config " + path_ + ": " + c.message)))
        << c.text;
  }
  EXPECT_THAT(ParseFile(R"({"state": "rel"})"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("--state rel: is not an absolute path")));
}

TEST_F(ConfigFileTest, AMissingFileIsNamed) {
  EXPECT_THAT(Parse({"--config", dir_ / "nope.json"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nope.json")));
}

}  // namespace
}  // namespace davit
