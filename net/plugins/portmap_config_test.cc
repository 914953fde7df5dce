#include "net/plugins/portmap_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "net/plugins/chained.h"
#include "net/plugins/cni_error.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

IpAddress Ip(absl::string_view text) { return *IpAddress::Parse(text); }

PluginRequest Request(const std::string& text) {
  return {"ADD", "pod-1", "eth0", "/ns",
          "",    "/cni",  text,   *JsonObject::Parse(text),
          "net", "1.0.0"};
}

std::string Mappings(const std::string& entries) {
  return R"({"runtimeConfig": {"portMappings": [)" + entries + "]}}";
}

TEST(PortmapConfigTest, Defaults) {
  ASSERT_OK_AND_ASSIGN(PortmapConfig config, ParsePortmapConfig(Request("{}")));
  EXPECT_TRUE(config.snat);
  EXPECT_FALSE(config.masq_all);
  EXPECT_TRUE(config.check_host_ports);
  EXPECT_THAT(config.mappings, IsEmpty());
}

TEST(PortmapConfigTest, ReadsEveryKey) {
  ASSERT_OK_AND_ASSIGN(
      PortmapConfig config,
      ParsePortmapConfig(Request(
          R"({"snat": false, "masqAll": true, "checkHostPorts": false,
              "markMasqBit": 0, "conditionsV4": [], "backend": "nftables",
              "runtimeConfig": {"portMappings": [
                {"hostPort": 8080, "containerPort": 80, "protocol": "TCP",
                 "hostIP": "192.0.2.1"},
                {"hostPort": 53, "containerPort": 5353, "protocol": "udp",
                 "hostIP": "", "range": 3},
                {"HOSTPORT": 1, "containerPort": 65535,
                 "protocol": "sctp"}]}})")));
  EXPECT_FALSE(config.snat);
  EXPECT_TRUE(config.masq_all);
  EXPECT_FALSE(config.check_host_ports);
  EXPECT_THAT(
      config.mappings,
      ElementsAre(PortMapping{PortProtocol::kTcp, 8080, 80, 1, Ip("192.0.2.1")},
                  PortMapping{PortProtocol::kUdp, 53, 5353, 3, std::nullopt},
                  PortMapping{PortProtocol::kSctp, 1, 65535, 1, std::nullopt}));
}

TEST(PortmapConfigTest, ErrorsNameTheField) {
  for (const auto& [text, error] : {
           std::pair(Mappings(R"({"containerPort": 80})"),
                     "runtimeConfig.portMappings[0].hostPort: 0 is not in "
                     "1..65535"),
           std::pair(Mappings(R"({"hostPort": 65536, "containerPort": 80})"),
                     "portMappings[0].hostPort: 65536 is not in"),
           std::pair(Mappings(R"({"hostPort": 80, "containerPort": -1})"),
                     "portMappings[0].containerPort: -1 is not in"),
           std::pair(Mappings(R"({"hostPort": "80", "containerPort": 1})"),
                     "portMappings[0].hostPort: want a whole number"),
           std::pair(Mappings(R"({"hostPort": 1, "containerPort": 1,
                                  "protocol": "icmp"})"),
                     "portMappings[0].protocol: want tcp, udp or sctp, not "
                     "\"icmp\""),
           std::pair(Mappings(R"({"hostPort": 1, "containerPort": 1,
                                  "hostIP": "localhost"})"),
                     "portMappings[0].hostIP: "),
           std::pair(Mappings(R"({"hostPort": 65000, "containerPort": 1,
                                  "range": 537})"),
                     "portMappings[0].range: 537 is not in 0..536"),
           std::pair(Mappings(R"({"hostPort": 8, "containerPort": 1},
                                 {"hostPort": 1, "containerPort": 9,
                                  "range": 8})"),
                     "portMappings[1].hostPort: tcp port 1 is mapped twice"),
           std::pair(std::string(R"({"markMasqBit": 32})"),
                     "markMasqBit: 32 is not in 0..31"),
           std::pair(std::string(
                         R"({"markMasqBit": 1, "externalSetMarkChain": "X"})"),
                     "Cannot specify externalSetMarkChain and markMasqBit"),
           std::pair(std::string(R"({"backend": "ipset"})"),
                     "backend: unknown backend \"ipset\""),
           std::pair(std::string(R"({"snat": 1})"), "snat: want true or false"),
       }) {
    EXPECT_THAT(ParsePortmapConfig(Request(text)),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)))
        << text;
  }
}

TEST(PortmapConfigTest, ConditionsAreRefusedAsUnsupported) {
  for (const char* key : {"conditionsV4", "conditionsV6"}) {
    absl::Status status =
        ParsePortmapConfig(
            Request("{\"" + std::string(key) + R"(": ["-s", "10.0.0.0/8"]})"))
            .status();
    EXPECT_EQ(CniCodeOf(status), 2);
    EXPECT_THAT(std::string(status.message()), HasSubstr(key));
    EXPECT_THAT(std::string(status.message()), HasSubstr("\"-s\""));
  }
}

TEST(PortmapConfigTest, WhatIsSaidTwiceAlikeIsFine) {
  ASSERT_OK_AND_ASSIGN(PortmapConfig config,
                       ParsePortmapConfig(Request(
                           Mappings(R"({"hostPort": 8, "containerPort": 8},
                              {"hostPort": 8, "containerPort": 8})"))));
  EXPECT_THAT(config.mappings, SizeIs(1));
}

TEST(PortmapConfigTest, ForwardsForEachFamilyAndPort) {
  PortmapConfig config;
  config.mappings = {
      {PortProtocol::kTcp, 8080, 80, 2, std::nullopt},
      {PortProtocol::kUdp, 53, 53, 1, Ip("192.0.2.1")},
      {PortProtocol::kTcp, 9, 9, 1, Ip("::")},
  };
  std::vector<PortForward> forwards =
      MakePortForwards(config, {Ip("10.0.0.2"), Ip("fd00::2")});
  std::vector<std::string> ends;
  for (const PortForward& forward : forwards) {
    ends.push_back(forward.NodeEnd() + " " + forward.pod_address.ToString());
  }
  EXPECT_THAT(ends,
              ElementsAre("tcp *:8080 10.0.0.2", "tcp *:8081 10.0.0.2",
                          "udp 192.0.2.1:53 10.0.0.2", "tcp [*]:8080 fd00::2",
                          "tcp [*]:8081 fd00::2", "tcp [*]:9 fd00::2"));
  EXPECT_EQ(forwards[1].pod_port, 81);
}

TEST(ChainedTest, ThePodsFirstAddressOfEachFamilyCounts) {
  PluginRequest request = Request(R"({"prevResult": {"cniVersion": "1.0.0",
      "interfaces": [{"name": "veth1"}, {"name": "eth0", "sandbox": "/ns"},
                     {"name": "eth1", "sandbox": "/ns"}],
      "ips": [{"address": "10.0.0.1/24", "interface": 0},
              {"address": "10.0.0.9/24", "interface": 2},
              {"address": "10.0.0.2/24", "interface": 1},
              {"address": "10.0.0.3/24", "interface": 1},
              {"address": "fd00::2/64"},
              {"address": "fd00::3/64", "interface": 1}]}})");
  ASSERT_OK_AND_ASSIGN(std::optional<ChainedResult> previous,
                       ReadChainedResult(request));
  EXPECT_THAT(PodAddresses(request, previous->result),
              ElementsAre(Ip("10.0.0.2"), Ip("fd00::2")));
  ASSERT_OK_AND_ASSIGN(previous, ReadChainedResult(Request("{}")));
  EXPECT_FALSE(previous.has_value());
  EXPECT_THAT(ReadChainedResult(Request(R"({"prevResult": {"ips": 1}})")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("could not parse prevResult: ")));
}

}  // namespace
}  // namespace davit
