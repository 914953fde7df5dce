#include <arpa/inet.h>
#include <errno.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <iostream>
#include <map>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/cni_node_fixture.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/nat/conntrack.h"
#include "net/nat/owned_elements.h"
#include "net/netlink/netlink.h"
#include "net/netns/netns.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"

// Our CNI runtime with our plugins on the real kernel, in a network namespace
// that stands for the machine.

namespace davit {
namespace {

using ::davit::testing::CniNodeTest;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kGoPlugins[] = "/usr/lib/cni";
constexpr int kMany = 200;

class OursTest : public CniNodeTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(CniNodeTest::SetUp());
    InstallOurs({"bandwidth", "bridge", "host-local", "loopback", "ptp"});
    Configure("net", "1.0.0", "10.99.0.0/16");
    OpenNetwork(Options());
  }

  void TearDown() override {
    if (network_ == nullptr) return;
    EXPECT_THAT(NodeLinks(), IsEmpty());
    EXPECT_THAT(Leases(), IsEmpty());
    EXPECT_THAT(*ListDirectory(dir_ / "cni/results"), IsEmpty());
    EXPECT_THAT(*ListDirectory(dir_ / "netns"), IsEmpty());
    CniNodeTest::TearDown();
  }

  void Configure(const std::string& name, const std::string& version,
                 const std::string& subnet, bool masquerade = true) {
    WriteNetwork(
        name, absl::StrCat(R"({"cniVersion":")", version, R"(","name":")", name,
                           R"(","plugins":[{"type":"ptp","ipMasq":)",
                           masquerade ? "true," : "false,",
                           R"("ipam":{"type":"host-local","dataDir":")",
                           leases(), R"(","subnet":")", subnet, R"("}}]})"));
  }

  std::string LeaseFile(const std::string& address) {
    return dir_ / "leases/net/" + address;
  }

  // From the node to a port of its own.
  absl::Status SendUdpOnNode(uint16_t port) {
    return node_->Run([&]() -> absl::Status {
      UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in to = {};
      to.sin_family = AF_INET;
      to.sin_port = htons(port);
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      const auto* address = reinterpret_cast<const sockaddr*>(&to);
      if (sendto(fd.get(), "?", 1, 0, address, sizeof(to)) != 1) {
        return absl::ErrnoToStatus(errno, "sendto");
      }
      return absl::OkStatus();
    });
  }
  // How many there are; forgets them. -1 if that fails.
  int UdpFlowsOnNode(uint16_t port) {
    int count = -1;
    EXPECT_THAT(node_->Run([&]() -> absl::Status {
      ASSIGN_OR_RETURN(Conntrack conntrack, Conntrack::Open());
      ASSIGN_OR_RETURN(
          count, conntrack.DeleteUdpFlows(
                     /*v6=*/false, port, [](const UdpFlow&) { return true; }));
      return absl::OkStatus();
    }),
                IsOk());
    return count;
  }
  std::vector<std::string> ElementOwners() {
    std::vector<std::string> owners;
    EXPECT_THAT(node_->Run([&]() -> absl::Status {
      ASSIGN_OR_RETURN(OwnedElements elements, OwnedElements::Open());
      ASSIGN_OR_RETURN(owners, elements.ListComments());
      return absl::OkStatus();
    }),
                IsOk());
    return owners;
  }

  // "kind name" of each item; all must have been removed.
  static std::vector<std::string> Named(const std::vector<GarbageItem>& items) {
    std::vector<std::string> names;
    for (const GarbageItem& item : items) {
      EXPECT_THAT(item.outcome, IsOk()) << item.kind << " " << item.name;
      names.push_back(absl::StrCat(item.kind, " ", item.name));
    }
    return names;
  }
};

TEST_F(OursTest, AddressAndMacAreHadOnRequest) {
  PodNetworkRequest request = NewPod();
  request.networks[0].ips = {"10.99.7.7"};
  request.networks[0].mac = "02:00:00:00:07:07";
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network_->Attach(request));
  EXPECT_THAT(interfaces[0].addresses, ElementsAre("10.99.7.7/16"));
  EXPECT_EQ(interfaces[0].mac, "02:00:00:00:07:07");
  EXPECT_EQ(interfaces[0].sandbox, request.netns_path);
  EXPECT_THAT(network_->Check(request), IsOk());
  PodNetworkRequest second = NewPod();
  second.networks[0].ips = {"10.99.7.7"};
  EXPECT_THAT(network_->Attach(second).status(),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("10.99.7.7")));
  EXPECT_THAT(Leases(), ElementsAre("10.99.7.7"));
  Remove(second);
  Remove(request);
}

TEST_F(OursTest, MacIsTheSameForPodsOfOneName) {
  std::string macs[2];
  for (std::string& mac : macs) {
    PodNetworkRequest request = NewPod();
    ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                         network_->Attach(request));
    mac = interfaces[0].mac;
    Remove(request);
  }
  EXPECT_EQ(macs[0], macs[1]);
}

TEST_F(OursTest, VersionIsNegotiatedWithThePlugins) {
  ASSERT_THAT(
      WriteFileAtomic(dir_ / "net.d/lo.conflist",
                      R"({"name":"lo","cniVersions":["0.4.0","1.0.0","1.1.0"],)"
                      R"("plugins":[{"type":"loopback"}]})"),
      IsOk());
  PodNetworkRequest request = NewPod();
  request.networks = {{"lo", "lo"}};
  ASSERT_THAT(network_->Attach(request), IsOk());
  EXPECT_THAT(*ReadFile(dir_ / "cni/results/lo-" + request.pod_id + "-lo"),
              HasSubstr(R"("result":{"cniVersion":"1.1.0")"));
  Remove(request);
}

TEST_F(OursTest, DescribeTellsPluginsPoolsAndStatus) {
  Configure("tiny", "1.1.0", "10.98.0.0/30");
  PodNetworkRequest request = NewPod();
  request.networks = {{"tiny", "eth0"}};
  ASSERT_OK_AND_ASSIGN(NetworkDetail detail, network_->DescribeNetwork("tiny"));
  ASSERT_THAT(detail.plugins, SizeIs(2));
  EXPECT_EQ(detail.plugins[0].type, "ptp");
  EXPECT_EQ(detail.plugins[0].path, dir_ / "bin/ptp");
  EXPECT_EQ(detail.plugins[0].error, "");
  EXPECT_THAT(detail.plugins[0].versions,
              ElementsAre("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0",
                          "1.1.0"));
  EXPECT_EQ(detail.plugins[1].type, "host-local");
  EXPECT_THAT(detail.status, IsOk());
  ASSERT_THAT(detail.pools, SizeIs(1));
  EXPECT_EQ(detail.pools[0].subnet, "10.98.0.0/30");
  EXPECT_EQ(detail.pools[0].capacity, 1u) << "the gateway is not given out";
  EXPECT_EQ(detail.pools[0].used, 0u);
  ASSERT_THAT(network_->Attach(request), IsOk());
  ASSERT_OK_AND_ASSIGN(detail, network_->DescribeNetwork("tiny"));
  EXPECT_EQ(detail.pools[0].used, 1u);
  EXPECT_THAT(detail.attached_pod_ids, ElementsAre(request.pod_id));
  EXPECT_THAT(detail.status, StatusIs(absl::StatusCode::kUnavailable,
                                      HasSubstr("STATUS: code 50")));
  Remove(request);
}

TEST_F(OursTest, GarbageIsFoundByItsOwnersNameAndStrangersAreLeftAlone) {
  PodNetworkRequest stays = NewPod();
  PodNetworkRequest gone = NewPod();
  ASSERT_THAT(network_->Attach(stays), IsOk());
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network_->Attach(gone));
  // A crash that lost the cached attachment, and with it the way to a DEL.
  ASSERT_THAT(RemoveFile(dir_ / "cni/results/net-" + gone.pod_id + "-eth0"),
              IsOk());
  std::string stranger = NewUuid() + "\r\neth0";
  ASSERT_THAT(WriteFileAtomic(LeaseFile("10.99.9.9"), stranger, 0600), IsOk());
  auto expected = UnorderedElementsAre(
      "lease " + LeaseFile(absl::StrCat("10.99.0.3")),
      "link " + interfaces[0].host_ifname,
      "nft element " + gone.pod_id + " eth0", "netns " + gone.netns_path);
  EXPECT_THAT(Named(network_->CollectGarbage({stays}, true)), expected);
  EXPECT_THAT(NodeLinks(), SizeIs(2)) << "dry run";
  EXPECT_THAT(Named(network_->CollectGarbage({stays}, false)), expected);
  EXPECT_THAT(network_->CollectGarbage({stays}, false), IsEmpty());
  EXPECT_THAT(Leases(), ElementsAre("10.99.0.2", "10.99.9.9"));
  EXPECT_THAT(network_->Check(stays), IsOk());
  Remove(stays);
  EXPECT_EQ(*ReadFile(LeaseFile("10.99.9.9")), stranger);
  ASSERT_THAT(RemoveFile(LeaseFile("10.99.9.9")), IsOk());
}

TEST_F(OursTest, GarbageOfBridgeAndBandwidthIsFound) {
  ASSERT_THAT(
      WriteFileAtomic(
          dir_ / "net.d/net.conflist",
          absl::StrCat(R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
            {"type": "bridge", "bridge": "br0", "macspoofchk": true, "ipam":
              {"type": "host-local", "subnet": "10.99.0.0/16", "dataDir": ")",
                       dir_ / "leases", R"("}},
            {"type": "bandwidth", "capabilities": {"bandwidth": true}}]})")),
      IsOk());
  PodNetworkRequest gone = NewPod();
  gone.bandwidth = {1000000, 1000000, 1000000, 1000000};
  ASSERT_THAT(network_->Attach(gone), IsOk());
  EXPECT_THAT(NodeLinks(), SizeIs(3)) << "bridge, veth, ifb";
  ASSERT_THAT(RemoveFile(dir_ / "cni/results/net-" + gone.pod_id + "-eth0"),
              IsOk());
  EXPECT_THAT(Named(network_->CollectGarbage({}, false)),
              UnorderedElementsAre(StartsWith("lease "), StartsWith("link "),
                                   StartsWith("link "),
                                   "nft element " + gone.pod_id + " eth0",
                                   "netns " + gone.netns_path));
  EXPECT_THAT(network_->CollectGarbage({}, false), IsEmpty());
  EXPECT_THAT(NodeLinks(), ElementsAre("br0"));
  EXPECT_THAT(Netlink::OpenIn(node_->fd())->DeleteLink("br0"), IsOk());
}

TEST_F(OursTest, GcOfPluginsSparesTheLeasesOfStrangers) {
  Configure("net", "1.1.0", "10.99.0.0/16");
  PodNetworkRequest stays = NewPod();
  ASSERT_THAT(network_->Attach(stays), IsOk());
  std::string stranger = NewUuid() + "\r\neth0";
  ASSERT_THAT(WriteFileAtomic(LeaseFile("10.99.9.9"), stranger, 0600), IsOk());
  EXPECT_THAT(network_->CollectGarbage({stays}, false), IsEmpty());
  EXPECT_THAT(Leases(), ElementsAre("10.99.0.2", "10.99.9.9"));
  EXPECT_THAT(network_->Check(stays), IsOk());
  Remove(stays);
  ASSERT_THAT(RemoveFile(LeaseFile("10.99.9.9")), IsOk());
}

TEST_F(OursTest, FiftyPodsEndAtOnce) {
  std::vector<PodNetworkRequest> requests;
  for (int i = 0; i < 50; ++i) {
    requests.push_back(NewPod());
    ASSERT_THAT(network_->Attach(requests.back()), IsOk());
  }
  EXPECT_THAT(NodeLinks(), SizeIs(50));
  EXPECT_THAT(ElementOwners(), SizeIs(50));
  absl::Time start = absl::Now();
  std::vector<absl::Status> outcomes = network_->DetachMany(requests);
  std::cout << "DetachMany of 50 pods: " << absl::Now() - start << std::endl;
  ASSERT_THAT(outcomes, SizeIs(50));
  for (const absl::Status& outcome : outcomes) EXPECT_THAT(outcome, IsOk());
  for (const PodNetworkRequest& request : requests) {
    EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  }
  EXPECT_THAT(ElementOwners(), IsEmpty());
}

// The group's work spares none of DEL's: see CniTeardown.
TEST_F(OursTest, PodsWithPortMapsEndAtOnce) {
  InstallOurs({"portmap"});
  WriteNetwork(
      "mapped",
      absl::StrFormat(R"({"cniVersion": "1.0.0", "name": "mapped", "plugins": [
          {"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local",
           "dataDir": "%s", "subnet": "10.98.0.0/16"}},
          {"type": "portmap", "capabilities": {"portMappings": true}}]})",
                      leases()));
  OpenNetwork(Options());
  std::vector<PodNetworkRequest> requests;
  for (const char* protocol : {"tcp", "udp"}) {
    requests.push_back(NewPod("mapped"));
    requests.back().port_mappings = {
        {.host_port = 5300, .container_port = 53, .protocol = protocol}};
    ASSERT_THAT(network_->Attach(requests.back()), IsOk());
  }
  ASSERT_THAT(SendUdpOnNode(5300), IsOk());
  for (const absl::Status& outcome : network_->DetachMany(requests)) {
    EXPECT_THAT(outcome, IsOk());
  }
  EXPECT_THAT(UdpFlowsOnNode(5300), 0) << "the next pod's clients go astray";
  EXPECT_THAT(ElementOwners(), IsEmpty());
  for (const PodNetworkRequest& request : requests) {
    EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  }
}

// Runs `work` for each request on a thread of its own; returns the wall time.
absl::Duration InParallel(
    const std::vector<PodNetworkRequest>& requests,
    const std::function<void(const PodNetworkRequest&)>& work) {
  absl::Time start = absl::Now();
  std::vector<std::thread> threads;
  for (const PodNetworkRequest& request : requests) {
    threads.emplace_back([&] { work(request); });
  }
  for (std::thread& thread : threads) thread.join();
  return absl::Now() - start;
}

// Go's masquerading is left out: 200 at once wait for the lock of iptables
// longer than a plugin may take.
struct Runner {
  const char* name;
  bool ours;
  bool masquerade;
};

class ManyAtOnce : public OursTest,
                   public ::testing::WithParamInterface<Runner> {};

TEST_P(ManyAtOnce, NoAddressTwiceAndNothingLeft) {
  if (!GetParam().ours) {
    if (!PathExists(absl::StrCat(kGoPlugins, "/ptp"))) {
      GTEST_SKIP() << "needs containernetworking-plugins";
    }
    CniPodNetworkOptions options = Options();
    options.plugin_dirs = {kGoPlugins};
    OpenNetwork(options);
  }
  Configure("net", "1.0.0", "10.99.0.0/16", GetParam().masquerade);
  std::vector<PodNetworkRequest> requests;
  for (int i = 0; i < kMany; ++i) requests.push_back(NewPod());
  absl::Mutex mutex;
  std::set<std::string> addresses;
  absl::Duration add = InParallel(requests, [&](const PodNetworkRequest& r) {
    absl::StatusOr<std::vector<InterfaceStatus>> got = network_->Attach(r);
    EXPECT_THAT(got, IsOk());
    absl::MutexLock lock(&mutex);
    if (got.ok()) addresses.insert(got->at(0).addresses.at(0));
  });
  EXPECT_THAT(addresses, SizeIs(kMany));
  EXPECT_THAT(Leases(), SizeIs(kMany));
  EXPECT_THAT(NodeLinks(), SizeIs(kMany));
  absl::Duration del = InParallel(requests, [&](const PodNetworkRequest& r) {
    EXPECT_THAT(network_->Detach(r), IsOk());
  });
  std::cout << GetParam().name << ": " << kMany << " parallel ADDs in " << add
            << ", DELs in " << del << std::endl;
  for (const PodNetworkRequest& request : requests) {
    EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  }
}

INSTANTIATE_TEST_SUITE_P(Plugins, ManyAtOnce,
                         ::testing::Values(Runner{"Ours", true, false},
                                           Runner{"OursMasquerade", true, true},
                                           Runner{"Go", false, false}),
                         [](const auto& info) {
                           return std::string(info.param.name);
                         });

}  // namespace
}  // namespace davit
