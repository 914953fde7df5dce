// Pods and their networks, end to end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "tests/e2e/node_test_base.h"
#include "tests/support/background_program.h"
#include "tests/support/shell.h"

namespace davit::testing {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class NetworkTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped()) return;
    // "back": another subnet whose plugins take requests.
    node().WriteNetwork("back", Conflist("back", "172.16.40.0/24"));
    node().WriteNetwork("ports", Conflist("ports", "172.16.41.0/24",
                                          R"(, {"type": "portmap",
                             "capabilities": {"portMappings": true}})"));
  }

  std::string Conflist(const std::string& name, const std::string& subnet,
                       const std::string& more = "") {
    return absl::StrCat(R"({"cniVersion": "1.0.0", "name": ")", name,
                        R"(", "plugins": [{"type": "ptp", "ipMasq": true,
            "capabilities": {"mac": true, "hostInterfaceName": true},
            "dns": {"nameservers": ["172.16.40.53"], "search": ["back.test"]},
            "ipam": {"type": "host-local",
             "subnet": ")",
                        subnet, R"(", "dataDir": ")", node().lease_dir(),
                        R"(", "routes": [{"dst": "0.0.0.0/0"}]}})", more, "]}");
  }

  // True if our multi-call binary has the plugin.
  bool HasPlugin(const std::string& name) {
    ShellResult r =
        Sh(absl::StrCat("echo '{\"cniVersion\": \"1.0.0\"}' | CNI_COMMAND="
                        "VERSION ",
                        node().path("libexec/cni/"), name));
    return r.code == 0;
  }

  void RunSleeper(const std::string& name,
                  const std::vector<std::string>& flags = {}) {
    std::vector<std::string> args = {"run", name, "--image", kBusybox};
    args.insert(args.end(), flags.begin(), flags.end());
    args.insert(args.end(), {"--", "sleep", "1000"});
    node().MustCtl(args);
  }

  std::string InApp(const std::string& pod, const std::string& command) {
    return node().MustCtl({"exec", pod, "--", "sh", "-c", command});
  }

  ShellResult Curl(const std::string& url, const std::string& netns) {
    return RunProgram(
        {"curl", "-sS", "--noproxy", "*", "--max-time", "5", "--retry", "20",
         "--retry-delay", "0", "--retry-connrefused", url},
        netns);
  }

  nlohmann::json Status(const std::string& pod) {
    return node().GetPod(pod)["status"];
  }
};

TEST_F(NetworkTest, TwoNetworksAndAnAddressThatWasAskedFor) {
  RunSleeper("two", {"--network", "default,back:ips=172.16.40.77"});
  nlohmann::json status = Status("two");
  ASSERT_EQ(status["interfaces"].size(), 2u) << status.dump(2);
  EXPECT_EQ(status["interfaces"][0]["network"], "default");
  EXPECT_EQ(status["interfaces"][0]["name"], "eth0");
  EXPECT_EQ(status["interfaces"][1]["network"], "back");
  EXPECT_EQ(status["interfaces"][1]["name"], "eth1");
  EXPECT_EQ(status["interfaces"][1]["addresses"][0], "172.16.40.77/24");
  EXPECT_EQ(status["podIPs"][1]["ip"], "172.16.40.77");
  EXPECT_EQ(status["hostIP"], TestNode::kNodeAddress);
  EXPECT_THAT(InApp("two", "ip -o -4 addr"),
              AllOf(ContainsRegex("eth0 +inet 172\\.16\\.28\\.[0-9]+/24"),
                    ContainsRegex("eth1 +inet 172\\.16\\.40\\.77/24")));
  // Both lead everywhere; the first one is asked.
  EXPECT_THAT(InApp("two", "ip route get 192.0.2.9"), HasSubstr("dev eth0"));
  EXPECT_THAT(node().MustCtl({"describe", "pod", "two"}),
              AllOf(HasSubstr("172.16.40.77/24"), HasSubstr("Routes:"),
                    HasSubstr("172.16.40.53"), HasSubstr("eth1")));
  EXPECT_THAT(node().MustCtl({"network", "check", "two"}),
              AllOf(ContainsRegex("default +eth0 +OK"),
                    ContainsRegex("back +eth1 +OK")));
  ShellResult taken = node().Ctl({"run", "other", "--image", kBusybox,
                                  "--network", "back:ips=172.16.40.77"});
  EXPECT_EQ(taken.code, 1);
  EXPECT_THAT(taken.err, HasSubstr("172.16.40.77"));
  EXPECT_EQ(node().GetPod("other"), nullptr);
}

TEST_F(NetworkTest, CheckFindsWhatIsGone) {
  RunSleeper("p");
  std::string host_end = Status("p")["interfaces"][0]["hostName"];
  ASSERT_EQ(
      RunProgram({"ip", "link", "del", host_end}, node().node_netns()).code, 0);
  ShellResult check = node().Ctl({"network", "check", "p"});
  EXPECT_EQ(check.code, 1);
  EXPECT_THAT(check.out, AllOf(HasSubstr("default"), Not(HasSubstr("OK"))));
}

TEST_F(NetworkTest, MacIsStableOverDeleteAndRun) {
  RunSleeper("web");
  std::string mac = Status("web")["interfaces"][0]["mac"];
  node().MustCtl({"delete", "pod", "web"});
  RunSleeper("between");  // has the address now, perhaps
  RunSleeper("web");
  EXPECT_EQ(Status("web")["interfaces"][0]["mac"], mac);
  EXPECT_NE(Status("between")["interfaces"][0]["mac"], mac);
}

TEST_F(NetworkTest, HostAndNoneNetworks) {
  RunSleeper("h", {"--network", "host"});
  nlohmann::json status = Status("h");
  EXPECT_EQ(status["podIP"], TestNode::kNodeAddress) << status.dump(2);
  EXPECT_FALSE(status.contains("interfaces"));
  EXPECT_THAT(InApp("h", "ip -o link"), HasSubstr("up0"));
  RunSleeper("n", {"--network", "none"});
  EXPECT_THAT(InApp("n", "ls /sys/class/net"), ContainsRegex("^lo\n$"));
  EXPECT_FALSE(Status("n").contains("podIP"));
}

TEST_F(NetworkTest, EtcFilesOfPodAndApp) {
  RunSleeper("web", {"--network", "back", "--subdomain", "shop", "--add-host",
                     "db,db.test:192.0.2.9"});
  std::string hosts = InApp("web", "cat /etc/hosts");
  std::string ip = node().PodIp("web");
  EXPECT_THAT(hosts, AllOf(HasSubstr("127.0.0.1\tlocalhost\n"),
                           HasSubstr(absl::StrCat(ip, "\tweb.shop\tweb\n")),
                           HasSubstr("192.0.2.9\tdb\tdb.test\n")));
  EXPECT_EQ(InApp("web", "cat /etc/resolv.conf"),
            "nameserver 172.16.40.53\nsearch back.test\n")
      << "what the network says";
  RunSleeper("own", {"--network", "back", "--dns", "192.0.2.53", "--dns-search",
                     "a.test", "--dns-option", "ndots:2"});
  EXPECT_EQ(InApp("own", "cat /etc/resolv.conf"),
            "nameserver 192.0.2.53\nsearch a.test\noptions ndots:2\n");
}

TEST_F(NetworkTest, PortForwardCarriesDataBothWays) {
  node().MustCtl({"run", "web", "--image", kDemo});
  BackgroundProgram forward(
      {node().path("libexec/davitctl"),
       absl::StrCat("--address=unix://", node().state(), "/davit.sock"),
       "port-forward", "web", ":80", ":9"},
      node().node_netns());
  std::string first = forward.ReadLine();
  ASSERT_THAT(first,
              ContainsRegex("^Forwarding from 127\\.0\\.0\\.1:[0-9]+ -> 80$"));
  std::vector<std::string> words = absl::StrSplit(first, ' ');
  std::string address = words[2];
  for (int i = 0; i < 3; ++i) {
    ShellResult http =
        Curl(absl::StrCat("http://", address, "/"), node().node_netns());
    EXPECT_EQ(http.code, 0) << http.err;
    EXPECT_THAT(http.out, Not(IsEmpty()));
  }
}

TEST_F(NetworkTest, PortForwardToNobodyEndsTheConnectionAndNotTheClient) {
  node().MustCtl({"run", "web", "--image", kDemo});
  BackgroundProgram forward(
      {node().path("libexec/davitctl"),
       absl::StrCat("--address=unix://", node().state(), "/davit.sock"),
       "port-forward", "web", ":9", "--address", "127.0.0.1"},
      node().node_netns());
  std::vector<std::string> words = absl::StrSplit(forward.ReadLine(), ' ');
  ASSERT_GE(words.size(), 3u);
  for (int i = 0; i < 2; ++i) {
    ShellResult http =
        RunProgram({"curl", "-sS", "--noproxy", "*", "--max-time", "5",
                    absl::StrCat("http://", words[2], "/")},
                   node().node_netns());
    EXPECT_NE(http.code, 0);
    EXPECT_NE(http.code, 28) << "must not hang";
  }
  EXPECT_TRUE(forward.running());
  ShellResult stopped = node().Ctl({"port-forward", "nope", "80"});
  EXPECT_EQ(stopped.code, 1);
  EXPECT_THAT(stopped.err, HasSubstr("NotFound"));
}

TEST_F(NetworkTest, PortMapsFromOutsideAndFromTheNode) {
  if (!HasPlugin("portmap")) GTEST_SKIP() << "needs our portmap plugin";
  node().MustCtl({"run", "web", "--image", kDemo, "--network", "ports", "-p",
                  "8080:80/tcp"});
  for (const auto& [url, netns] :
       {std::pair(absl::StrCat("http://", TestNode::kNodeAddress, ":8080/"),
                  node().outside_netns()),
        std::pair(absl::StrCat("http://", TestNode::kNodeAddress, ":8080/"),
                  node().node_netns()),
        std::pair(std::string("http://127.0.0.1:8080/"),
                  node().node_netns())}) {
    ShellResult http = Curl(url, netns);
    EXPECT_EQ(http.code, 0) << url << ": " << http.err;
    EXPECT_THAT(http.out, Not(IsEmpty()));
  }
  EXPECT_THAT(node().MustCtl({"describe", "pod", "web"}),
              ContainsRegex("\\*:8080 +80 +TCP +web"));
}

TEST_F(NetworkTest, TakenHostPortNamesThePodBeforeAnythingIsDone) {
  if (!HasPlugin("portmap")) GTEST_SKIP() << "needs our portmap plugin";
  node().MustCtl(
      {"run", "web", "--image", kDemo, "--network", "ports", "-p", "8080:80"});
  HostSnapshot before = node().Snapshot();
  ShellResult second = node().Ctl({"run", "other", "--image", kDemo,
                                   "--network", "ports", "-p", "8080:80"});
  EXPECT_EQ(second.code, 1);
  EXPECT_THAT(second.err,
              HasSubstr("port 8080/TCP of the node is taken by pod \"web\""));
  EXPECT_THAT(Difference(before, node().Snapshot()), IsEmpty());
}

TEST_F(NetworkTest, NetworksAreListedAndDescribedBrokenOnesToo) {
  node().WriteNetwork("zbroken", "{\"name\": ");
  RunSleeper("p", {"--network", "back"});
  EXPECT_THAT(node().MustCtl({"get", "networks"}),
              AllOf(ContainsRegex("NAME +STATUS +CNI VERSION +PLUGINS"),
                    ContainsRegex("back +OK +1\\.0\\.0 +ptp"),
                    ContainsRegex("Broken")));
  EXPECT_THAT(node().MustCtl({"describe", "network", "back"}),
              AllOf(HasSubstr("172.16.40.0/24"), HasSubstr("host-local"),
                    ContainsRegex("Pods:\n.*\n  p +"), HasSubstr("Config:")));
  EXPECT_THAT(Sh(absl::StrCat("curl -s --noproxy '*' http://",
                              node().metrics_address(), "/metrics"))
                  .out,
              HasSubstr("davit_networks{state=\"broken\"} 1"));
  Sh(absl::StrCat("rm ", node().conf_dir(), "/zbroken.conflist"));
}

TEST_F(NetworkTest, GarbageIsNamedThenRemoved) {
  RunSleeper("p");
  const std::string id = "00000000-1111-4222-8333-444444444444";
  // A pin and its record, as of an agent whose pods' records were lost.
  Sh(absl::StrCat("touch ", node().netns_dir(), "/cni-", id, " && unshare ",
                  "--net=", node().netns_dir(), "/cni-", id, " true && touch ",
                  node().root(), "/cni/netns/", id));
  ShellResult dry = node().Ctl({"node", "gc", "--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.err;
  EXPECT_THAT(dry.out,
              AllOf(HasSubstr("netns"), HasSubstr(id), HasSubstr("(dry run)")));
  ShellResult real = node().Ctl({"node", "gc"});
  EXPECT_EQ(real.code, 0) << real.err;
  EXPECT_THAT(real.out, HasSubstr(id));
  EXPECT_EQ(node().Ctl({"node", "gc"}).err, "Nothing to remove.\n");
  EXPECT_FALSE(PathExists(absl::StrCat(node().netns_dir(), "/cni-", id)));
  EXPECT_THAT(node().MustCtl({"network", "check", "p"}), HasSubstr("OK"));
  EXPECT_THAT(Sh(absl::StrCat("curl -s --noproxy '*' http://",
                              node().metrics_address(), "/metrics"))
                  .out,
              HasSubstr("davit_gc_removed_total{kind=\"netns\"}"));
}

TEST_F(NetworkTest, AgentKilledAmidStartsLeavesNothingAfterItsRestart) {
  std::vector<std::thread> starts;
  for (int i = 0; i < 6; ++i) {
    starts.emplace_back([this, i] {
      node().Ctl({"run", absl::StrCat("k", i), "--image", kBusybox, "--",
                  "sleep", "1000"});
    });
  }
  absl::SleepFor(absl::Milliseconds(700));  // any moment is good
  node().EndAgent(SIGKILL);
  for (std::thread& start : starts) start.join();
  node().StartAgent();
  node().MustCtl({"delete", "--all", "--grace-period=0"});
  EXPECT_EQ(node().Ctl({"node", "gc"}).err, "Nothing to remove.\n");
  EXPECT_THAT(Difference(before(), node().Snapshot()), IsEmpty());
}

}  // namespace
}  // namespace davit::testing
