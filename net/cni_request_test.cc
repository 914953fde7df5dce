#include "net/cni_request.h"

#include <gmock/gmock.h>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Pair;

CniNetworkConfig Network(const std::string& capabilities) {
  return *ParseCniNetworkConfig(
      R"({"name":"net","cniVersion":"1.0.0","plugins":[{"type":"a"},)"
      R"({"type":"b","capabilities":{)" +
      capabilities + "}}]}");
}

PodNetworkRequest Request() {
  PodNetworkRequest request;
  request.pod_id = "id";
  request.pod_name = "web";
  request.networks = {{"net", "eth0"}, {"net", "eth1"}};
  return request;
}

TEST(CniRequest, CapabilitiesHaveTheFormOfTheConventions) {
  PodNetworkRequest request = Request();
  request.port_mappings = {{8080, 80}, {53, 53, "udp", "10.0.0.1"}};
  request.bandwidth = {1000, 2000, 3000, 4000};
  request.cgroup_path = "/pods/id";
  NetworkRequest& join = request.networks[0];
  join.ips = {"10.0.0.9/24", "fd00::9"};
  join.mac = "02:00:00:00:00:09";
  join.aliases = {"db"};
  join.host_ifname = "ve-web";
  join.capability_args = {{"deviceID", R"("0000:3b:00.1")"},
                          {"ipRanges", R"([[{"subnet":"10.0.0.0/24"}]])"}};
  absl::StatusOr<CniAttachment> attachment = CniAttachmentFor(
      request, 0,
      Network(R"("portMappings":true,"bandwidth":true,"aliases":true,
                 "hostInterfaceName":true,"deviceID":true,"ipRanges":true)"));
  ASSERT_THAT(attachment, IsOk());
  EXPECT_EQ(nlohmann::json(attachment->capability_args),
            nlohmann::json::parse(R"({
    "portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp"},
      {"hostPort":53,"containerPort":53,"protocol":"udp",
       "hostIP":"10.0.0.1"}],
    "bandwidth":{"ingressRate":1000,"ingressBurst":2000,
                 "egressRate":3000,"egressBurst":4000},
    "ips":["10.0.0.9/24","fd00::9"],"mac":"02:00:00:00:00:09",
    "aliases":["db"],"hostInterfaceName":"ve-web",
    "deviceID":"0000:3b:00.1","ipRanges":[[{"subnet":"10.0.0.0/24"}]],
    "cgroupPath":"/pods/id"})"));
}

TEST(CniRequest, PortsAndBandwidthAreForTheFirstNetwork) {
  PodNetworkRequest request = Request();
  request.port_mappings = {{8080, 80}};
  request.bandwidth = {1000, 2000, 0, 0};
  absl::StatusOr<CniAttachment> second = CniAttachmentFor(
      request, 1, Network(R"("portMappings":true,"bandwidth":true)"));
  ASSERT_THAT(second, IsOk());
  EXPECT_TRUE(second->capability_args.empty());
}

TEST(CniRequest, WhatNoPluginCanBeToldIsRefused) {
  PodNetworkRequest request = Request();
  request.port_mappings = {{8080, 80}};
  EXPECT_THAT(CniAttachmentFor(request, 0, Network(R"("portMappings":false)")),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("network \"net\""),
                             HasSubstr("\"portMappings\""))));
  request.port_mappings.clear();
  request.cgroup_path = "/pods/id";
  request.networks[0].ips = {"10.0.0.9"};
  EXPECT_THAT(CniAttachmentFor(request, 0, Network("")), IsOk())
      << "ips have another way, and nobody asks for the cgroup's path";
}

TEST(CniRequest, ArgsOfTheNetworkComeAfterOrInsteadOfThePods) {
  PodNetworkRequest request = Request();
  request.networks[0].args = {{"K8S_POD_NAMESPACE", "prod"}, {"X", "1"}};
  CniAttachment attachment = BareCniAttachmentFor(request, 0);
  EXPECT_EQ(attachment.args[0].first, "IgnoreUnknown");
  EXPECT_THAT(attachment.args, Contains(Pair("K8S_POD_NAMESPACE", "prod")));
  EXPECT_THAT(attachment.args, Contains(Pair("K8S_POD_NAME", "web")));
  EXPECT_EQ(attachment.args.back().first, "X");
  EXPECT_EQ(attachment.args.size(), 5u);
}

TEST(CniRequest, ErrorsNameTheField) {
  auto expect_refused = [](auto change, const std::string& error) {
    PodNetworkRequest request = Request();
    change(request);
    EXPECT_THAT(ValidatePodNetworkRequest(request),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(error)));
  };
  EXPECT_THAT(ValidatePodNetworkRequest(Request()), IsOk());
  expect_refused([](auto& r) { r.networks[1].ifname = "eth0"; },
                 "\"eth0\" is asked for twice");
  expect_refused([](auto& r) { r.networks[0].ips = {"10.0.0.300"}; },
                 "network \"net\": ips \"10.0.0.300\" is not an IP address");
  expect_refused([](auto& r) { r.networks[0].ips = {"10.0.0.3/33"}; }, "ips");
  expect_refused([](auto& r) { r.networks[0].ips = {"10.0.0.3/8/8"}; }, "ips");
  expect_refused([](auto& r) { r.networks[0].mac = "02:00:00:00:00"; },
                 "mac \"02:00:00:00:00\" is not a MAC address");
  expect_refused([](auto& r) { r.networks[0].host_ifname = "a/b"; },
                 "host_ifname: ");
  expect_refused(
      [](auto& r) {
        r.networks[0].args = {{"A", "1;IP=x"}};
      },
      "args \"1;IP=x\" holds");
  expect_refused(
      [](auto& r) {
        r.networks[0].args = {{"", "1"}};
      },
      "args \"\" is no key");
  expect_refused(
      [](auto& r) {
        r.networks[0].capability_args = {{"x", "{"}};
      },
      "capability_args \"x\"");
  expect_refused(
      [](auto& r) {
        r.port_mappings = {{0, 80}};
      },
      "host_port 0 to container_port 80");
  expect_refused(
      [](auto& r) {
        r.port_mappings = {{1, 80, "icmp"}};
      },
      "protocol \"icmp\" is not tcp, udp or sctp");
  expect_refused(
      [](auto& r) {
        r.port_mappings = {{1, 80, "tcp", "x"}};
      },
      "host_ip \"x\" is not an IP address");
  expect_refused([](auto& r) { r.bandwidth.egress_rate = 1; },
                 "egress_rate and egress_burst");
}

TEST(CniRequest, WhatWasAskedForMustHaveBeenGiven) {
  InterfaceStatus got;
  got.addresses = {"10.0.0.9/24", "fd00::9/64"};
  got.mac = "02:00:00:00:00:0A";
  got.host_ifname = "veth1";
  NetworkRequest join = {"net", "eth0"};
  EXPECT_THAT(ExpectWhatWasAskedFor(join, got), IsOk());
  join.ips = {"10.0.0.9", "fd00:0::9/64"};
  join.mac = "02:00:00:00:00:0a";
  join.host_ifname = "veth1";
  EXPECT_THAT(ExpectWhatWasAskedFor(join, got), IsOk());
  constexpr auto kFailed = absl::StatusCode::kFailedPrecondition;
  join.host_ifname = "ve-web";
  EXPECT_THAT(ExpectWhatWasAskedFor(join, got),
              StatusIs(kFailed, HasSubstr("host interface ve-web, but the "
                                          "plugins gave [veth1]")));
  join.mac = "02:00:00:00:00:0b";
  EXPECT_THAT(ExpectWhatWasAskedFor(join, got),
              StatusIs(kFailed, HasSubstr("mac 02:00:00:00:00:0b")));
  join.ips = {"10.0.0.8"};
  EXPECT_THAT(ExpectWhatWasAskedFor(join, got),
              StatusIs(kFailed, HasSubstr("ip 10.0.0.8, but the plugins gave "
                                          "[10.0.0.9/24, fd00::9/64]")));
}

}  // namespace
}  // namespace davit
