#include "agent/pod/run_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/pod/etc_files.h"

namespace davit {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// --- Networks ---

TEST(NetworksTest, WhichAreJoined) {
  const struct {
    bool host_network;
    std::vector<std::string> networks;
    bool host;
    std::vector<std::string> joined;
  } cases[] = {
      {false, {}, false, {"default"}},
      {false, {"none"}, false, {}},
      {false, {"host"}, true, {}},
      {true, {}, true, {}},
      {false, {"a", "b"}, false, {"a", "b"}},
  };
  for (const auto& c : cases) {
    PodSpec spec;
    spec.host_network = c.host_network;
    spec.networks = c.networks;
    EXPECT_EQ(UsesHostNetwork(spec), c.host);
    EXPECT_EQ(JoinedNetworks(spec), c.joined);
  }
}

TEST(NetworksTest, InterfacesAreNumbered) {
  Pod pod;
  pod.id = "id";
  pod.spec.name = "web";
  pod.spec.networks = {"a", "b"};
  PodNetworkRequest request = PlanNetwork(pod, "/netns");
  EXPECT_EQ(request.pod_id, "id");
  EXPECT_EQ(request.pod_name, "web");
  EXPECT_EQ(request.netns_path, "/netns");
  ASSERT_EQ(request.networks.size(), 2u);
  EXPECT_EQ(request.networks[0].network, "a");
  EXPECT_EQ(request.networks[0].ifname, "eth0");
  EXPECT_EQ(request.networks[1].ifname, "eth1");
}

// --- /etc ---

TEST(EtcHostsTest, NamesThePod) {
  std::string text = EtcHosts("web", {"172.16.28.2/24", "fd00::2/64"});
  EXPECT_THAT(text, HasSubstr("127.0.0.1\tlocalhost\n"));
  EXPECT_THAT(text, EndsWith("172.16.28.2\tweb\nfd00::2\tweb\n"));
  EXPECT_THAT(EtcHosts("web", {}), EndsWith("127.0.1.1\tweb\n"));
}

constexpr char kNodeResolvConf[] =
    "# a comment\n"
    "nameserver 127.0.0.53\n"
    "nameserver\t10.0.0.1 \n"
    "nameserver ::1\r\n"
    "nameserver\n"
    "search a.example b.example\n"
    "options ndots:1 edns0\n"
    "options ndots:5\n"
    "sortlist 1.2.3.4\n"
    "\0 x";

TEST(ResolvConfTest, ParsesTheNodes) {
  DnsConfig dns = ParseResolvConf(kNodeResolvConf, /*keep_loopback=*/false);
  EXPECT_THAT(dns.nameservers, ElementsAre("10.0.0.1"));
  EXPECT_THAT(dns.search, ElementsAre("a.example", "b.example"));
  EXPECT_THAT(dns.options, ElementsAre("edns0", "ndots:5"));
  dns = ParseResolvConf(kNodeResolvConf, /*keep_loopback=*/true);
  EXPECT_THAT(dns.nameservers, ElementsAre("127.0.0.53", "10.0.0.1", "::1"));
  EXPECT_EQ(ParseResolvConf("", false), DnsConfig());
}

TEST(ResolvConfTest, Writes) {
  EXPECT_EQ(
      EtcResolvConf({{"1.1.1.1", "2.2.2.2"}, "d", {"s1", "s2"}, {"o"}}),
      "nameserver 1.1.1.1\nnameserver 2.2.2.2\nsearch s1 s2\noptions o\n");
  EXPECT_EQ(EtcResolvConf({{"1.1.1.1"}, "d", {}, {}}),
            "nameserver 1.1.1.1\ndomain d\n");
  EXPECT_EQ(EtcResolvConf({}), "");
}

InterfaceStatus WithDns(std::vector<std::string> servers) {
  InterfaceStatus interface;
  interface.dns.nameservers = std::move(servers);
  return interface;
}

TEST(ChooseDnsTest, SpecThenNetworkThenNode) {
  DnsConfig spec{{"9.9.9.9"}, "", {"spec.example"}, {"ndots:2"}};
  DnsConfig node{{"10.0.0.1"}, "", {"node.example"}, {"ndots:5", "edns0"}};
  std::vector<InterfaceStatus> interfaces = {WithDns({}), WithDns({"1.1.1.1"}),
                                             WithDns({"2.2.2.2"})};
  EXPECT_EQ(ChooseDns(/*only_spec=*/true, spec, interfaces, node), spec);
  DnsConfig dns = ChooseDns(false, spec, interfaces, node);
  EXPECT_THAT(dns.nameservers, ElementsAre("1.1.1.1", "9.9.9.9"));
  EXPECT_THAT(dns.search, ElementsAre("spec.example"));
  dns = ChooseDns(false, spec, {}, node);
  EXPECT_THAT(dns.nameservers, ElementsAre("10.0.0.1", "9.9.9.9"));
  EXPECT_THAT(dns.options, ElementsAre("edns0", "ndots:2"));
  EXPECT_EQ(ChooseDns(false, {}, {}, node), node);
}

// --- Overlays and boot ---

class FakeHold : public ImageHold {
 public:
  const Image& image() const override { return image_; }
  const std::vector<std::string>& lower_dirs() const override {
    return lower_dirs_;
  }

 private:
  Image image_;
  std::vector<std::string> lower_dirs_ = {"/l/top", "/l/bottom"};
};

const AgentPaths kPaths = {"/var/lib/davit", "/run/davit"};

TEST(OverlayTest, RootAndApps) {
  PodPaths paths = kPaths.ForPod("id");
  OverlaySpec root = PlanRootOverlay(paths, FakeHold());
  EXPECT_THAT(root.lower_dirs, ElementsAre("/l/top", "/l/bottom"));
  EXPECT_EQ(root.upper_dir, "/var/lib/davit/pods/id/upper");
  EXPECT_EQ(root.work_dir, "/var/lib/davit/pods/id/work");
  EXPECT_EQ(root.target, "/var/lib/davit/pods/id/rootfs");
  OverlaySpec app = PlanAppOverlay(paths, "web", FakeHold());
  EXPECT_EQ(app.upper_dir, "/var/lib/davit/pods/id/apps/web/upper");
  EXPECT_EQ(app.work_dir, "/var/lib/davit/pods/id/apps/web/work");
  EXPECT_EQ(app.target, "/var/lib/davit/pods/id/rootfs/opt/stage2/web/rootfs");
}

Pod BootablePod() {
  Pod pod;
  pod.id = "id";
  pod.spec.name = "web";
  pod.spec.hostname = "web-host";
  pod.status.netns_path = "/netns/cni-id";
  InterfaceStatus interface;
  interface.addresses = {"172.16.28.2/24"};
  pod.status.interfaces = {interface};
  return pod;
}

BootInputs Inputs() {
  BootInputs inputs;
  inputs.paths = kPaths.ForPod("id");
  inputs.node_resolv_conf = "nameserver 127.0.0.53\nnameserver 10.0.0.1\n";
  inputs.app_launcher = "/usr/libexec/davit/davit-app";
  inputs.ready_timeout = absl::Seconds(9);
  return inputs;
}

const PodFile* FindFile(const BootRequest& request, const std::string& path) {
  for (const PodFile& file : request.files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

TEST(BootTest, RequestIsComplete) {
  BootRequest request = PlanBoot(BootablePod(), Inputs());
  EXPECT_EQ(request.pod_id, "id");
  EXPECT_EQ(request.hostname, "web-host");
  EXPECT_EQ(request.machine_name, pod.spec.name);
  EXPECT_EQ(request.rootfs, "/var/lib/davit/pods/id/rootfs");
  EXPECT_EQ(request.netns_path, "/netns/cni-id");
  EXPECT_EQ(request.runtime_dir, "/run/davit/pods/id");
  EXPECT_EQ(request.state_dir, "/var/lib/davit/pods/id");
  EXPECT_EQ(request.ready_timeout, absl::Seconds(9));
  EXPECT_THAT(request.init_argv, IsEmpty());
  ASSERT_EQ(request.binds.size(), 2u);
  EXPECT_EQ(request.binds[0].source, "/var/lib/davit/pods/id/logs/journal");
  EXPECT_EQ(request.binds[0].target, "/var/log/journal");
  EXPECT_FALSE(request.binds[0].read_only);
  EXPECT_EQ(request.binds[1].source, "/usr/libexec/davit/davit-app");
  EXPECT_EQ(request.binds[1].target, kAppLauncherInPod);
  EXPECT_TRUE(request.binds[1].read_only);
}

TEST(BootTest, Files) {
  Pod pod = BootablePod();
  BootInputs inputs = Inputs();
  AppSpec app;
  app.name = "web";
  app.argv = {"/bin/serve"};
  inputs.apps = {app};
  BootRequest request = PlanBoot(pod, inputs);
  ASSERT_NE(FindFile(request, "/etc/hostname"), nullptr);
  EXPECT_EQ(FindFile(request, "/etc/hostname")->content, "web-host\n");
  ASSERT_NE(FindFile(request, "/etc/hosts"), nullptr);
  EXPECT_THAT(FindFile(request, "/etc/hosts")->content,
              HasSubstr("172.16.28.2\tweb-host\n"));
  ASSERT_NE(FindFile(request, "/etc/resolv.conf"), nullptr);
  EXPECT_EQ(FindFile(request, "/etc/resolv.conf")->content,
            "nameserver 10.0.0.1\n");
  ASSERT_NE(FindFile(request, "/run/systemd/journal/flushed"), nullptr);
  EXPECT_NE(FindFile(request, "/run/systemd/system/app-web.service"), nullptr);
}

TEST(BootTest, HostNetworkKeepsTheNodesResolver) {
  Pod pod = BootablePod();
  pod.spec.host_network = true;
  BootRequest request = PlanBoot(pod, Inputs());
  EXPECT_THAT(FindFile(request, "/etc/resolv.conf")->content,
              HasSubstr("nameserver 127.0.0.53\n"));
}

TEST(BootTest, DnsPolicyNone) {
  Pod pod = BootablePod();
  pod.spec.dns_none = true;
  pod.spec.dns.nameservers = {"9.9.9.9"};
  BootRequest request = PlanBoot(pod, Inputs());
  EXPECT_EQ(FindFile(request, "/etc/resolv.conf")->content,
            "nameserver 9.9.9.9\n");
}

}  // namespace
}  // namespace davit
