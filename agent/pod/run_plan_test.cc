#include "agent/pod/run_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "agent/pod/bandwidth.h"
#include "agent/pod/etc_files.h"
#include "agent/pod/host_ports.h"

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
    std::vector<std::string> names;
    for (const NetworkAttachment& one : JoinedNetworks(spec)) {
      names.push_back(one.name);
    }
    EXPECT_EQ(names, c.joined);
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

TEST(NetworksTest, RequestHasWhatTheSpecAsksFor) {
  Pod pod;
  pod.spec.name = "web";
  pod.spec.annotations = {{kIngressBandwidth, "10M"}};
  pod.spec.attachments = {{.name = "a", .systemd_names = true},
                          {.name = "b",
                           .interface = "back",
                           .ips = {"10.1.2.3", "fd00::3/64"},
                           .mac = "02:00:00:00:00:01",
                           .aliases = {"db"},
                           .host_interface = "up7"},
                          {.name = "c"}};
  ContainerSpec app;
  app.ports = {{"", 80, "TCP", 8080, "192.0.2.1"},
               {"", 81, "TCP", 0, ""},
               {"", 53, "UDP", 53, ""}};
  pod.spec.containers = {app};
  PodNetworkRequest request = PlanNetwork(pod, "/netns");
  ASSERT_EQ(request.networks.size(), 3u);
  EXPECT_EQ(request.networks[0].ifname, "host0");
  EXPECT_EQ(request.networks[0].host_ifname, "ve-web");
  EXPECT_EQ(request.networks[1],
            (NetworkRequest{.network = "b",
                            .ifname = "back",
                            .ips = {"10.1.2.3", "fd00::3/64"},
                            .mac = "02:00:00:00:00:01",
                            .aliases = {"db"},
                            .host_ifname = "up7"}));
  EXPECT_EQ(request.networks[2].ifname, "eth2");
  EXPECT_THAT(request.port_mappings,
              ElementsAre(PortMapping{8080, 80, "tcp", "192.0.2.1"},
                          PortMapping{53, 53, "udp", ""}));
  EXPECT_EQ(request.bandwidth.ingress_rate, 10000000u);
  EXPECT_EQ(request.bandwidth.ingress_burst, 1000000u);
  EXPECT_EQ(request.bandwidth.egress_rate, 0u);
}

TEST(NetworksTest, SystemdNamesFitIntoAnInterfaceName) {
  EXPECT_EQ(SystemdHostName("web"), "ve-web");
  EXPECT_EQ(SystemdHostName("twelve-bytes"), "ve-twelve-bytes");
  std::string cut = SystemdHostName("thirteen-byte");
  EXPECT_EQ(cut.size(), 15u);
  EXPECT_EQ(cut.substr(0, 11), "ve-thirteen");
  EXPECT_NE(cut, SystemdHostName("thirteen-byts"));
}

TEST(BandwidthTest, Quantities) {
  const struct {
    const char* text;
    uint64_t value;
  } good[] = {{"0", 0},
              {"10M", 10000000},
              {"1Gi", 1 << 30},
              {"1.5k", 1500},
              {"1e6", 1000000},
              {"1500m", 2},
              {"1P", 1000000000000000}};
  for (const auto& c : good) {
    EXPECT_EQ(ParseQuantity(c.text).value_or(77), c.value) << c.text;
  }
  for (const char* bad : {"", "k", "10 M", "-1", "0x10", "inf", "1EE", "10Mb",
                          "nan", "99999999P"}) {
    EXPECT_EQ(ParseQuantity(bad).status().code(),
              absl::StatusCode::kInvalidArgument)
        << bad;
  }
}

TEST(BandwidthTest, RatesHaveBounds) {
  absl::StatusOr<BandwidthLimits> small =
      BandwidthOf({{kEgressBandwidth, "9"}});
  EXPECT_EQ(small.status().message(),
            "metadata.annotations[\"kubernetes.io/egress-bandwidth\"]: \"9\" "
            "is not between 1k and 1P");
  BandwidthLimits limits = BandwidthOf({{kEgressBandwidth, "1k"}}).value();
  EXPECT_EQ(limits.egress_burst, 64u * 1024 * 8) << "one big packet must fit";
  limits = BandwidthOf({{kEgressBandwidth, "1P"}}).value();
  EXPECT_LE(limits.egress_burst / 8, UINT32_MAX);
  EXPECT_EQ(BandwidthOf({}).value(), BandwidthLimits());
}

TEST(HostPortsTest, WhichMeet) {
  auto meet = [](const std::string& a, const std::string& b) {
    return PortsMeet({a, 80, 1, "TCP", "", ""}, {b, 80, 2, "TCP", "", ""});
  };
  EXPECT_TRUE(meet("", ""));
  EXPECT_TRUE(meet("", "::1"));
  EXPECT_TRUE(meet("0.0.0.0", "192.0.2.1"));
  EXPECT_TRUE(meet("::1", "0:0::1"));
  EXPECT_FALSE(meet("192.0.2.1", "192.0.2.2"));
  EXPECT_FALSE(meet("0.0.0.0", "::1"));
  EXPECT_FALSE(
      PortsMeet({"", 80, 1, "TCP", "", ""}, {"", 80, 1, "UDP", "", ""}));
  EXPECT_FALSE(
      PortsMeet({"", 80, 1, "TCP", "", ""}, {"", 81, 1, "TCP", "", ""}));
}

TEST(HostPortsTest, OneOfManyThatTryAtOnceSucceeds) {
  HostPortTable table;
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      Pod pod;
      pod.id = std::to_string(i);
      ContainerSpec app;
      app.ports = {{"", 80, "TCP", 8080, ""}};
      pod.spec.containers = {app};
      if (table.Claim(pod).ok()) ++won;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, 1);
}

// --- /etc ---

TEST(EtcHostsTest, NamesThePod) {
  std::string text = EtcHosts("web", "", {"172.16.28.2/24", "fd00::2/64"}, {});
  EXPECT_THAT(text, HasSubstr("127.0.0.1\tlocalhost\n"));
  EXPECT_THAT(text, EndsWith("172.16.28.2\tweb\nfd00::2\tweb\n"));
  EXPECT_THAT(EtcHosts("web", "", {}, {}), EndsWith("127.0.1.1\tweb\n"));
}

TEST(EtcHostsTest, HasSubdomainAndAliases) {
  EXPECT_THAT(EtcHosts("web", "shop", {"172.16.28.2/24"},
                       {{"10.0.0.9", {"db", "db.example"}}, {"::9", {"x"}}}),
              EndsWith("172.16.28.2\tweb.shop\tweb\n"
                       "\n# Of spec.hostAliases.\n"
                       "10.0.0.9\tdb\tdb.example\n::9\tx\n"));
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
  OverlaySpec root = PlanRootOverlay(paths, FakeHold(), {});
  EXPECT_THAT(root.lower_dirs, ElementsAre("/l/top", "/l/bottom"));
  EXPECT_EQ(root.upper_dir, "/var/lib/davit/pods/id/upper");
  EXPECT_EQ(root.work_dir, "/var/lib/davit/pods/id/work");
  EXPECT_EQ(root.target, "/var/lib/davit/pods/id/rootfs");
  OverlaySpec app = PlanAppOverlay(paths, "web", FakeHold(), {"/u", 65536});
  EXPECT_EQ(app.upper_dir, "/var/lib/davit/pods/id/apps/web/upper");
  EXPECT_EQ(app.work_dir, "/var/lib/davit/pods/id/apps/web/work");
  EXPECT_EQ(root.userns.path, "");
  EXPECT_EQ(app.userns, (PodUserns{"/u", 65536}));
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
  EXPECT_EQ(request.machine_name, BootablePod().spec.name);
  EXPECT_EQ(request.rootfs, "/var/lib/davit/pods/id/rootfs");
  EXPECT_EQ(request.netns_path, "/netns/cni-id");
  EXPECT_EQ(request.runtime_dir, "/run/davit/pods/id");
  EXPECT_EQ(request.state_dir, "/var/lib/davit/pods/id");
  EXPECT_EQ(request.ready_timeout, absl::Seconds(9));
  EXPECT_THAT(request.init_argv, IsEmpty());
  ASSERT_EQ(request.binds.size(), 1u);
  EXPECT_EQ(request.binds[0].source, "/var/lib/davit/pods/id/journal");
  EXPECT_EQ(request.binds[0].target, "/var/log/journal");
  EXPECT_FALSE(request.binds[0].read_only);
  EXPECT_TRUE(request.binds[0].keep_ids);
  ASSERT_EQ(request.overlays.size(), 1u);
  EXPECT_THAT(request.overlays[0].lower_dirs,
              ElementsAre("/var/lib/davit/pods/id/launcher",
                          "/var/lib/davit/pods/id/empty"));
  EXPECT_EQ(request.overlays[0].target, kAppLauncherDirInPod);
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
  ASSERT_NE(FindFile(request,
                     "/run/systemd/system/var-log-journal.mount.d/davit.conf"),
            nullptr);
  EXPECT_NE(FindFile(request, "/run/systemd/system/app-web.service"), nullptr);
}

TEST(BootTest, UserNamespace) {
  Pod pod = BootablePod();
  EXPECT_EQ(PlanBoot(pod, Inputs()).userns.path, "");
  pod.status.userns = {"/run/davit/pods/id/userns", 1 << 20};
  EXPECT_EQ(PlanBoot(pod, Inputs()).userns, pod.status.userns);
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
  pod.spec.dns_policy = DnsPolicy::kNone;
  pod.spec.dns.nameservers = {"9.9.9.9"};
  BootRequest request = PlanBoot(pod, Inputs());
  EXPECT_EQ(FindFile(request, "/etc/resolv.conf")->content,
            "nameserver 9.9.9.9\n");
}

}  // namespace
}  // namespace davit
