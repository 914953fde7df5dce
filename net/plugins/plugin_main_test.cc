#include "net/plugins/plugin_main.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "net/plugins/cni_error.h"

namespace davit {
namespace {

using ::testing::HasSubstr;

constexpr Plugin kEcho = {
    .type = "echo",
    .uses_netns = true,
    .add = [](const PluginRequest& request) -> absl::StatusOr<std::string> {
      return request.network + "|" + request.container_id + "|" +
             request.ifname + "|" + request.cni_version;
    },
    .del =
        [](const PluginRequest&) {
          return CniError(CniErrorCode::kTryAgainLater, "busy", "with what");
        },
    .check =
        [](const PluginRequest&) {
          return absl::NotFoundError("no \xff veth");
        },
    .status = nullptr,
    .gc = nullptr,
};

class PluginMainTest : public ::testing::Test {
 protected:
  PluginOutput Run() {
    PluginInput input;
    input.getenv = [this](const char* name) { return env_[name]; };
    input.read_stdin = [this] {
      ++reads_;
      return stdin_;
    };
    return RunPlugin(kEcho, input);
  }
  // Expects an error object with this code and text; returns its details.
  std::string ExpectError(int code, const std::string& message) {
    PluginOutput output = Run();
    EXPECT_EQ(output.exit_code, 1);
    Json json = Json::parse(output.out);
    EXPECT_EQ(json["code"], code);
    EXPECT_EQ(json["msg"], message);
    return json.value("details", "");
  }

  std::map<std::string, std::string> env_ = {{"CNI_COMMAND", "ADD"},
                                             {"CNI_CONTAINERID", "pod-1"},
                                             {"CNI_NETNS", "/no/such"},
                                             {"CNI_IFNAME", "eth0"},
                                             {"CNI_PATH", "/opt/cni"}};
  absl::StatusOr<std::string> stdin_ =
      R"({"cniVersion": "1.0.0", "NAME": "net"})";
  int reads_ = 0;
};

TEST_F(PluginMainTest, AddPrintsTheResult) {
  PluginOutput output = Run();
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(output.out, "net|pod-1|eth0|1.0.0");
  EXPECT_EQ(output.err, "");
}

TEST_F(PluginMainTest, MissingVersionIsTheFirstOne) {
  stdin_ = R"({"name": "net"})";
  EXPECT_EQ(Run().out, "net|pod-1|eth0|0.1.0");
}

TEST_F(PluginMainTest, WithoutCommandItTellsWhatItIs) {
  env_.clear();
  PluginOutput output = Run();
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(output.out, "");
  EXPECT_EQ(output.err,
            "CNI echo plugin of davit\nCNI protocol versions supported: 0.1.0, "
            "0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n");
}

TEST_F(PluginMainTest, VersionReadsNothingAndValidatesNothing) {
  env_ = {{"CNI_COMMAND", "VERSION"},
          {"CNI_NETNS", "dummy"},
          {"CNI_IFNAME", "much-too-long-for-a-name"}};
  PluginOutput output = Run();
  EXPECT_EQ(output.exit_code, 0);
  EXPECT_EQ(reads_, 0);
  Json json = Json::parse(output.out);
  EXPECT_EQ(json["cniVersion"], "1.1.0");
  EXPECT_EQ(json["supportedVersions"].size(), 7u);
}

TEST_F(PluginMainTest, MissingVariablesAreListed) {
  env_ = {{"CNI_COMMAND", "ADD"}};
  ExpectError(4,
              "required env variables "
              "[CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH] missing");
  env_["CNI_COMMAND"] = "DEL";
  ExpectError(
      4,
      "required env variables [CNI_CONTAINERID,CNI_IFNAME,CNI_PATH] missing");
  env_["CNI_COMMAND"] = "STATUS";
  ExpectError(4, "required env variables [CNI_PATH] missing");
}

TEST_F(PluginMainTest, BadIdentifiers) {
  for (const char* id : {"../x", "-a", "a b", "a/b", "a\n", ".a"}) {
    env_["CNI_CONTAINERID"] = id;
    EXPECT_EQ(ExpectError(4, "invalid characters in containerID"), id);
  }
  env_["CNI_CONTAINERID"] = "pod-1";
  env_["CNI_IFNAME"] = "sixteencharacter";
  EXPECT_EQ(ExpectError(4, "interface name is too long"),
            "interface name should be less than 16 characters");
  env_["CNI_IFNAME"] = "..";
  ExpectError(4, "interface name is . or ..");
  for (const char* name : {"a/b", "a:b", "a b", "a\tb", "a\r\nb"}) {
    env_["CNI_IFNAME"] = name;
    ExpectError(4, "interface name contains / or : or whitespace characters");
  }
}

TEST_F(PluginMainTest, BadConfigurations) {
  stdin_ = R"({"cniVersion": "1.0.0"})";
  ExpectError(7, "missing network name");
  stdin_ = R"({"name": "x y"})";
  EXPECT_EQ(ExpectError(7, "invalid characters found in network name"), "x y");
  stdin_ = R"({"name": "x", "cniVersion": "9.9.9"})";
  EXPECT_EQ(ExpectError(1, "incompatible CNI versions"),
            "config is \"9.9.9\", plugin supports [\"0.1.0\" \"0.2.0\" "
            "\"0.3.0\" \"0.3.1\" \"0.4.0\" \"1.0.0\" \"1.1.0\"]");
  for (const char* text : {"", "[]", "{", "{\"name\": 5}"}) {
    stdin_ = text;
    PluginOutput output = Run();
    EXPECT_EQ(output.exit_code, 1);
    EXPECT_EQ(Json::parse(output.out)["code"], 6) << text;
    EXPECT_THAT(output.out, HasSubstr("error unmarshall network config: "));
  }
  stdin_ = absl::UnavailableError("torn");
  ExpectError(5, "error reading from stdin: torn");
}

TEST_F(PluginMainTest, CommandsNeedTheirVersions) {
  env_["CNI_COMMAND"] = "CHECK";
  stdin_ = R"({"name": "x", "cniVersion": "0.3.1"})";
  ExpectError(1, "config version does not allow CHECK");
  env_["CNI_COMMAND"] = "STATUS";
  stdin_ = R"({"name": "x", "cniVersion": "1.0.0"})";
  ExpectError(1, "config version does not allow STATUS");
  stdin_ = R"({"name": "x", "cniVersion": "1.1.0"})";
  EXPECT_EQ(Run().exit_code, 0);  // nothing to do
  env_["CNI_COMMAND"] = "FOO";
  ExpectError(4, "unknown CNI_COMMAND: FOO");
}

TEST_F(PluginMainTest, ErrorsCarryCodeAndDetails) {
  env_["CNI_COMMAND"] = "DEL";
  EXPECT_EQ(ExpectError(11, "busy"), "with what");
  env_["CNI_COMMAND"] = "CHECK";
  ExpectError(999, "no \xef\xbf\xbd veth");  // valid UTF-8 whatever happens
}

TEST_F(PluginMainTest, TheNodesOwnNetnsIsRefused) {
  for (const char* command : {"ADD", "DEL"}) {
    env_["CNI_COMMAND"] = command;
    env_["CNI_NETNS"] = "/proc/self/ns/net";
    ExpectError(
        8, "plugin's netns and netns from CNI_NETNS should not be the same");
  }
  env_["CNI_COMMAND"] = "ADD";
  env_["CNI_NETNS_OVERRIDE"] = "TRUE";
  EXPECT_EQ(Run().exit_code, 0);
}

}  // namespace
}  // namespace davit
