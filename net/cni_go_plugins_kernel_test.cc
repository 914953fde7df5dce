#include <gmock/gmock.h>
#include <net/if.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/cni_node_fixture.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/netns/netns.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "tests/support/matchers.h"

// Our CNI runtime with the plugins of the CNI project (Debian's
// containernetworking-plugins) on the real kernel, in a network namespace that
// stands for the machine.

namespace davit {
namespace {

using ::davit::testing::CniNodeTest;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kPluginDir[] = "/usr/lib/cni";

std::set<std::string> Links() {
  std::set<std::string> names;
  std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> list(
      if_nameindex(), if_freenameindex);
  for (auto* link = list.get(); link != nullptr && link->if_index != 0;
       ++link) {
    names.insert(link->if_name);
  }
  return names;
}

// Everything of a namespace that a plugin may have left in it.
std::string StateOf(const Netns& netns) {
  std::string state;
  absl::Status status = netns.Run([&] {
    state =
        absl::StrCat(absl::StrJoin(Links(), " "), "\n",
                     ReadFile("/proc/thread-self/net/route").value_or("?"),
                     ReadFile("/proc/thread-self/net/fib_trie").value_or(""));
    return absl::OkStatus();
  });
  return status.ok() ? state : status.ToString();
}

// The rules that iptables knows of in the namespace.
std::vector<std::string> IptablesRules(const Netns& netns) {
  SubprocessSpec spec;
  spec.path = "/usr/sbin/iptables-save";
  spec.argv = {"iptables-save"};
  spec.env = {"PATH=/usr/sbin:/usr/bin"};
  spec.netns_fd = netns.fd();
  spec.timeout = absl::Seconds(20);
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  if (!result.ok()) return {result.status().ToString()};
  std::vector<std::string> rules;
  for (absl::string_view line : absl::StrSplit(result->out, '\n')) {
    bool is_rule =
        absl::StartsWith(line, "-A") || absl::StartsWith(line, ":CNI-");
    if (is_rule) rules.emplace_back(line);
  }
  return rules;
}

class GoPluginsTest : public CniNodeTest {
 protected:
  void SetUp() override {
    if (!PathExists(absl::StrCat(kPluginDir, "/ptp"))) {
      GTEST_SKIP() << "containernetworking-plugins is not installed";
    }
    mounts_before_ = *ReadFile("/proc/self/mountinfo");
    links_before_ = Links();
    ASSERT_NO_FATAL_FAILURE(CniNodeTest::SetUp());
    state_before_ = StateOf(*node_);
    Configure("plain", "10.99.0.0/24", "");
    CniPodNetworkOptions options = Options();
    options.plugin_dirs = {kPluginDir};
    OpenNetwork(options);
  }

  void TearDown() override {
    if (network_ == nullptr) return;
    // The kernel takes a dead namespace's links away in its own time.
    absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (StateOf(*node_) != state_before_ && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_EQ(StateOf(*node_), state_before_);
    EXPECT_THAT(IptablesRules(*node_), IsEmpty());
    EXPECT_THAT(Leases(), IsEmpty());
    EXPECT_THAT(*ListDirectory(dir_ / "cni/results"), IsEmpty());
    EXPECT_THAT(*ListDirectory(dir_ / "cni/netns"), IsEmpty());
    CniNodeTest::TearDown();
    EXPECT_EQ(*ReadFile("/proc/self/mountinfo"), mounts_before_);
    EXPECT_EQ(Links(), links_before_);
  }

  void Configure(const std::string& name, const std::string& subnet,
                 const std::string& extra) {
    WriteNetwork(name,
                 absl::StrCat(R"({"cniVersion":"1.0.0","name":")", name,
                              R"(","plugins":[{"type":"ptp",)", extra,
                              R"("ipam":{"type":"host-local","dataDir":")",
                              leases(), R"(","subnet":")", subnet,
                              R"(","routes":[{"dst":"0.0.0.0/0"}]}}]})"));
  }

  PodNetworkRequest NewPod(const std::string& network = "plain") {
    return CniNodeTest::NewPod(network);
  }

 private:
  std::string mounts_before_;
  std::set<std::string> links_before_;
  std::string state_before_;
};

TEST_F(GoPluginsTest, AddCheckDel) {
  PodNetworkRequest request = NewPod();
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network_->Attach(request));
  ASSERT_EQ(interfaces.size(), 1u);
  EXPECT_THAT(interfaces[0].addresses, ElementsAre("10.99.0.2/24"));
  EXPECT_THAT(interfaces[0].gateways, ElementsAre("10.99.0.1"));
  EXPECT_THAT(interfaces[0].routes, ElementsAre(Route{"0.0.0.0/0", ""}));
  EXPECT_THAT(interfaces[0].host_ifname, StartsWith("veth"));
  ASSERT_OK_AND_ASSIGN(Netns pod, Netns::Open(request.netns_path));
  EXPECT_THAT(pod.Run([] {
    EXPECT_THAT(Links(), ::testing::Contains("eth0"));
    return absl::OkStatus();
  }),
              IsOk());
  EXPECT_THAT(StateOf(*node_), HasSubstr(interfaces[0].host_ifname));
  EXPECT_THAT(network_->Check(request), IsOk());
  EXPECT_THAT(Leases(), ElementsAre("10.99.0.2"));
  Remove(request);
}

TEST_F(GoPluginsTest, CheckSeesThatTheInterfaceIsGone) {
  PodNetworkRequest request = NewPod();
  ASSERT_THAT(network_->Attach(request), IsOk());
  ASSERT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  ASSERT_THAT(network_->CreateNetns(request.pod_id), IsOk());
  EXPECT_THAT(network_->Check(request),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("plugin \"ptp\" (/usr/lib/cni/ptp) "
                                       "CHECK: code 999"),
                             HasSubstr("eth0"))));
  Remove(request);
}

TEST_F(GoPluginsTest, DelWithTheNetnsGone) {
  PodNetworkRequest request = NewPod();
  ASSERT_THAT(network_->Attach(request), IsOk());
  EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  EXPECT_THAT(Leases(), ElementsAre("10.99.0.2"));
  EXPECT_THAT(network_->Detach(request), IsOk());
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_THAT(network_->Detach(request), IsOk()) << "again";
}

TEST_F(GoPluginsTest, SecondNetworkFailsAndTheFirstIsUndone) {
  Configure("tiny", "10.98.0.0/30", "");
  PodNetworkRequest first = NewPod("tiny");
  ASSERT_THAT(network_->Attach(first), IsOk());
  PodNetworkRequest second = NewPod("plain");
  second.networks.push_back({"tiny", "eth1"});
  EXPECT_THAT(network_->Attach(second),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("network \"tiny\": plugin \"ptp\""),
                             HasSubstr("no IP addresses available"))));
  EXPECT_THAT(Leases(), ElementsAre("10.98.0.2"));
  Remove(first);
  Remove(second);
}

TEST_F(GoPluginsTest, TwoPodsInParallel) {
  PodNetworkRequest requests[] = {NewPod(), NewPod()};
  std::set<std::string> addresses[2];
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&, i] {
      absl::StatusOr<std::vector<InterfaceStatus>> interfaces =
          network_->Attach(requests[i]);
      EXPECT_THAT(interfaces, IsOk());
      if (!interfaces.ok()) return;
      addresses[i] = {interfaces->at(0).addresses.begin(),
                      interfaces->at(0).addresses.end()};
      EXPECT_THAT(network_->Check(requests[i]), IsOk());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_NE(addresses[0], addresses[1]);
  EXPECT_THAT(Leases(), ElementsAre("10.99.0.2", "10.99.0.3"));
  for (const PodNetworkRequest& request : requests) Remove(request);
}

TEST_F(GoPluginsTest, MasqueradeComesAndGoesInTheNodesNetns) {
  Configure("masq", "10.97.0.0/24", "\"ipMasq\":true,");
  PodNetworkRequest request = NewPod("masq");
  ASSERT_THAT(network_->Attach(request), IsOk());
  EXPECT_THAT(absl::StrJoin(IptablesRules(*node_), "\n"),
              AllOf(HasSubstr("-j MASQUERADE"), HasSubstr("10.97.0.2")));
  Remove(request);
}

TEST_F(GoPluginsTest, LoopbackBesidePtp) {
  ASSERT_THAT(WriteFileAtomic(
                  dir_ / "net.d/lo.conf",
                  R"({"cniVersion":"0.3.1","name":"lo","type":"loopback"})"),
              IsOk());
  PodNetworkRequest request = NewPod();
  request.networks.insert(request.networks.begin(), {"lo", "lo"});
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network_->Attach(request));
  ASSERT_EQ(interfaces.size(), 2u);
  EXPECT_THAT(interfaces[0].addresses, ::testing::Contains("127.0.0.1/8"));
  EXPECT_EQ(interfaces[0].mac, "00:00:00:00:00:00");
  EXPECT_THAT(network_->Check(request), IsOk());
  Remove(request);
}

TEST_F(GoPluginsTest, PluginsOwnErrorIsShown) {
  Configure("bad", "not-a-subnet", "");
  PodNetworkRequest request = NewPod("bad");
  EXPECT_THAT(network_->Attach(request),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("network \"bad\": plugin \"ptp\" "
                                       "(/usr/lib/cni/ptp) ADD: code "),
                             HasSubstr("not-a-subnet"))));
  EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
  EXPECT_THAT(network_->Detach(request), Not(IsOk()))
      << "the plugin refuses this configuration for DEL as well";
  Configure("bad", "10.96.0.0/24", "");
  ASSERT_THAT(RemoveFile(dir_ / "cni/results/bad-" + request.pod_id + "-eth0"),
              IsOk());
  EXPECT_THAT(network_->Detach(request), IsOk());
}

}  // namespace
}  // namespace davit
