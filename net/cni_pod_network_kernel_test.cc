#include <gmock/gmock.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "net/cni/cache.h"
#include "net/cni/fake_plugins.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/netns/netns.h"
#include "net/pod_network_conformance.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

// The CNI runtime on real network namespaces with plugins that are scripts.

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Networks "first" (plugin a) and "second" (plugin b) in directories of their
// own.
class Node : public PodNetworkUnderTest {
 public:
  Node() {
    options_.config_dir = dir_ / "net.d";
    options_.plugin_dirs = {plugins.path()};
    options_.cache_dir = dir_ / "cni";
    options_.netns_dir = dir_ / "netns";
    plugins.Install("a", FakePlugins::PrintResult("10.0.0.1/8"));
    plugins.Install("b", FakePlugins::PrintResult("10.0.0.2/8"));
    EXPECT_THAT(MakeDirectories(options_.config_dir), IsOk());
    Configure("first", "a");
    Configure("second", "b");
    Restart();
  }

  PodNetwork& network() override { return *network_; }

  void Configure(const std::string& name, const std::string& plugin) {
    EXPECT_THAT(
        WriteFileAtomic(options_.config_dir + "/" + name + ".conflist",
                        R"({"cniVersion":"1.0.0","name":")" + name +
                            R"(","plugins":[{"type":")" + plugin + R"("}]})"),
        IsOk());
  }
  void Unconfigure(const std::string& name) {
    EXPECT_THAT(RemoveFile(options_.config_dir + "/" + name + ".conflist"),
                IsOk());
  }

  // As if the agent had been started anew.
  void Restart() {
    absl::StatusOr<std::unique_ptr<PodNetwork>> network =
        NewCniPodNetwork(options_);
    ASSERT_THAT(network, IsOk());
    network_ = *std::move(network);
  }

  std::vector<std::string> CacheFiles() const {
    return *ListDirectory(options_.cache_dir + "/results");
  }
  CniPodNetworkOptions& options() { return options_; }

  FakePlugins plugins;

 private:
  TempDir dir_;
  CniPodNetworkOptions options_;
  std::unique_ptr<PodNetwork> network_;
};

INSTANTIATE_TEST_SUITE_P(Cni, PodNetworkConformance, ::testing::Values([] {
                           return std::make_unique<Node>();
                         }));

class CniPodNetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    mounts_before_ = *ReadFile("/proc/self/mountinfo");
    ASSERT_OK_AND_ASSIGN(request_.netns_path,
                         node_.network().CreateNetns(request_.pod_id));
  }
  void TearDown() override {
    EXPECT_THAT(node_.network().RemoveNetns(request_.pod_id), IsOk());
    EXPECT_EQ(*ReadFile("/proc/self/mountinfo"), mounts_before_);
  }
  std::string CacheFile(const std::string& network, const std::string& ifname) {
    return node_.options().cache_dir + "/results/" + network + "-" +
           request_.pod_id + "-" + ifname;
  }

  Node node_;
  FakePlugins& plugins_ = node_.plugins;
  PodNetworkRequest request_ = {
      NewUuid(), "web", "", {{"first", "eth0"}, {"second", "eth1"}}};

 private:
  std::string mounts_before_;
};

TEST_F(CniPodNetworkTest, OrderIsForwardForAddAndBackwardForDel) {
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       node_.network().Attach(request_));
  EXPECT_THAT(interfaces[0].addresses, ElementsAre("10.0.0.1/8"));
  EXPECT_THAT(interfaces[1].addresses, ElementsAre("10.0.0.2/8"));
  EXPECT_THAT(node_.CacheFiles(),
              ElementsAre("first-" + request_.pod_id + "-eth0",
                          "second-" + request_.pod_id + "-eth1"));
  EXPECT_THAT(node_.network().Check(request_), IsOk());
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_EQ(plugins_.Log(),
            "a ADD eth0\nb ADD eth1\na CHECK eth0\nb CHECK eth1\n"
            "b DEL eth1\na DEL eth0\n");
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
}

TEST_F(CniPodNetworkTest, PluginsAreToldOfThePod) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  EXPECT_THAT(
      plugins_.Env("a", "ADD"),
      AllOf(HasSubstr("CNI_CONTAINERID=" + request_.pod_id + "\n"),
            HasSubstr("CNI_NETNS=" + request_.netns_path + "\n"),
            HasSubstr("CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=default;"
                      "K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=" +
                      request_.pod_id + "\n")));
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
}

TEST_F(CniPodNetworkTest, FailedAddIsUndoneEverywhere) {
  plugins_.Install("b", FakePlugins::Fail("ADD", 7, "no subnet"));
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr("network \"second\": plugin \"b\""),
                             HasSubstr("ADD: code 7: no subnet"),
                             Not(HasSubstr("undo")))));
  EXPECT_EQ(plugins_.Log(), "a ADD eth0\nb ADD eth1\nb DEL eth1\na DEL eth0\n");
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
}

TEST_F(CniPodNetworkTest, WhatCouldNotBeUndoneIsLeftToDetach) {
  plugins_.Install("a", FakePlugins::Fail("DEL", 11, "later") +
                            FakePlugins::PrintResult("10.0.0.1/8"));
  plugins_.Install("b", FakePlugins::Fail("ADD", 7, "no subnet"));
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("; undo network \"first\": plugin \"a\"")));
  EXPECT_THAT(node_.CacheFiles(),
              ElementsAre("first-" + request_.pod_id + "-eth0"));
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kAlreadyExists));
  EXPECT_THAT(node_.network().Detach(request_),
              StatusIs(absl::StatusCode::kUnavailable,
                       HasSubstr("network \"first\": plugin \"a\"")));
  plugins_.Install("a", "");
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
}

TEST_F(CniPodNetworkTest, HangingAddEndsAndIsUndone) {
  node_.options().plugin_timeout = absl::Seconds(1);
  node_.Restart();
  plugins_.Install("b", "[ $CNI_COMMAND = DEL ] || exec sleep 1000\n");
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kDeadlineExceeded,
                       HasSubstr("network \"second\": plugin \"b\"")));
  EXPECT_EQ(plugins_.Log(), "a ADD eth0\nb ADD eth1\nb DEL eth1\na DEL eth0\n");
}

TEST_F(CniPodNetworkTest, ResultThatCannotBeReadIsUndone) {
  plugins_.Install("a", FakePlugins::PrintResult("10.0.0.300/8"));
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kInternal,
                       HasSubstr("network \"first\": bad result: "
                                 "ips[0].address \"10.0.0.300/8\"")));
  EXPECT_EQ(plugins_.Log(), "a ADD eth0\na DEL eth0\n");
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
}

TEST_F(CniPodNetworkTest, MissingPluginIsFoundOutBeforeAnythingIsDone) {
  ASSERT_THAT(RemoveFile(plugins_.path() + "/b"), IsOk());
  EXPECT_THAT(node_.network().Attach(request_),
              StatusIs(absl::StatusCode::kNotFound,
                       HasSubstr("network \"second\": plugin \"b\" is in none "
                                 "of the directories")));
  EXPECT_EQ(plugins_.Log(), "");
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
  // The undo of a start that came to nothing must not want the plugin either.
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
}

TEST_F(CniPodNetworkTest, IntentIsOnDiskWhileAddRuns) {
  plugins_.Install("a", "[ $CNI_COMMAND = ADD ] && cp " +
                            CacheFile("first", "eth0") + " " + plugins_.path() +
                            "/seen\n" + FakePlugins::PrintResult("10.0.0.1/8"));
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  EXPECT_THAT(*ReadFile(plugins_.path() + "/seen"),
              AllOf(HasSubstr("\"cniCacheV1\""), HasSubstr("\"cniArgs\""),
                    Not(HasSubstr("\"result\""))));
  EXPECT_THAT(*ReadFile(CacheFile("first", "eth0")), HasSubstr("\"result\""));
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
}

TEST_F(CniPodNetworkTest, DetachAfterACrashInAdd) {
  CniCacheEntry intent = {
      .network = "first",
      .attachment = {.container_id = request_.pod_id, .ifname = "eth0"},
      .config = R"({"cniVersion":"1.0.0","name":"first",
                    "plugins":[{"type":"a"},{"type":"b"}]})"};
  ASSERT_THAT(CniCache(node_.options().cache_dir).Put(intent), IsOk());
  request_.networks.pop_back();
  EXPECT_THAT(node_.network().Check(request_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("the attach did not complete")));
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_EQ(plugins_.Log(), "b DEL eth0\na DEL eth0\n");
  EXPECT_THAT(plugins_.Stdin("b", "DEL"), Not(HasSubstr("prevResult")));
  EXPECT_THAT(node_.CacheFiles(), IsEmpty());
}

TEST_F(CniPodNetworkTest, DetachUsesWhatAddUsedAlthoughAllHasChanged) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  plugins_.ClearLog();
  node_.Configure("first", "b");
  node_.Unconfigure("second");
  node_.Restart();
  request_.pod_name = "renamed";
  EXPECT_THAT(node_.network().Check(request_), IsOk());
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_EQ(plugins_.Log(),
            "a CHECK eth0\nb CHECK eth1\nb DEL eth1\na DEL eth0\n");
  EXPECT_THAT(plugins_.Stdin("a", "DEL"),
              HasSubstr(R"("prevResult":{"cniVersion":"1.0.0",)"
                        R"("ips":[{"address":"10.0.0.1/8"}]})"));
  EXPECT_THAT(plugins_.Env("a", "DEL"), HasSubstr("K8S_POD_NAME=web;"));
}

TEST_F(CniPodNetworkTest, DetachWithoutAnEntryUsesTheConfigurationOfToday) {
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_EQ(plugins_.Log(), "b DEL eth1\na DEL eth0\n");
}

TEST_F(CniPodNetworkTest, DetachWithABrokenEntry) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  ASSERT_THAT(WriteFileAtomic(CacheFile("first", "eth0"), ""), IsOk());
  ASSERT_THAT(WriteFileAtomic(CacheFile("second", "eth1"), "{"), IsOk());
  node_.Unconfigure("second");
  plugins_.ClearLog();
  EXPECT_THAT(node_.network().Detach(request_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr(CacheFile("second", "eth1")),
                             HasSubstr("network \"second\" is not configured"),
                             Not(HasSubstr("\"first\": ")))));
  EXPECT_EQ(plugins_.Log(), "a DEL eth0\n");
  EXPECT_THAT(plugins_.Stdin("a", "DEL"), Not(HasSubstr("prevResult")));
  EXPECT_FALSE(PathExists(CacheFile("first", "eth0")));
}

TEST_F(CniPodNetworkTest, DetachTriesAllAndKeepsTheEntriesOfThoseThatFailed) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  plugins_.Install("b", FakePlugins::Fail("DEL", 5, "disk"));
  EXPECT_THAT(node_.network().Detach(request_),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("network \"second\""),
                             HasSubstr("code 5: disk"))));
  EXPECT_THAT(plugins_.Log(), ::testing::EndsWith("b DEL eth1\na DEL eth0\n"));
  EXPECT_THAT(node_.CacheFiles(),
              ElementsAre("second-" + request_.pod_id + "-eth1"));
}

TEST_F(CniPodNetworkTest, NetnsThatIsGoneIsNotGivenToPlugins) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  // What a reboot leaves of a pin.
  ASSERT_EQ(umount(request_.netns_path.c_str()), 0);
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_THAT(plugins_.Env("a", "DEL"), HasSubstr("CNI_NETNS=\n"));
}

TEST_F(CniPodNetworkTest, CheckTriesAllAndJoinsTheErrors) {
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  plugins_.Install("a", FakePlugins::Fail("CHECK", 100, "no route"));
  plugins_.Install("b", FakePlugins::Fail("CHECK", 101, "no link"));
  EXPECT_THAT(node_.network().Check(request_),
              StatusIs(absl::StatusCode::kInternal,
                       AllOf(HasSubstr("network \"first\": plugin \"a\""),
                             HasSubstr("no route; network \"second\""))));
  plugins_.Install("a", "");
  plugins_.Install("b", "");
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
}

TEST_F(CniPodNetworkTest, PluginsRunInTheNodesNetns) {
  TempDir dir;
  ASSERT_OK_AND_ASSIGN(Netns netns, Netns::Create(dir / "node"));
  node_.options().node_netns = netns.path();
  node_.Restart();
  plugins_.Install("a", "readlink /proc/self/ns/net > " + plugins_.path() +
                            "/where\n" + FakePlugins::PrintResult("::1/128"));
  ASSERT_THAT(node_.network().Attach(request_), IsOk());
  struct stat st;
  ASSERT_EQ(fstat(netns.fd(), &st), 0);
  EXPECT_EQ(*ReadFile(plugins_.path() + "/where"),
            absl::StrCat("net:[", st.st_ino, "]\n"));
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_THAT(Netns::Remove(netns.path()), IsOk());
}

TEST_F(CniPodNetworkTest, HostileRequestsAreRefused) {
  constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
  PodNetwork& network = node_.network();
  EXPECT_THAT(network.CreateNetns("../x"), StatusIs(kInvalid));
  EXPECT_THAT(network.RemoveNetns("a/b"), StatusIs(kInvalid));
  auto expect_refused = [&](auto change, const std::string& error) {
    PodNetworkRequest request = request_;
    change(request);
    for (const absl::Status& status :
         {network.Attach(request).status(), network.Detach(request),
          network.Check(request)}) {
      EXPECT_THAT(status, StatusIs(kInvalid, HasSubstr(error)));
    }
  };
  expect_refused([](auto& r) { r.pod_id = "../../etc/x"; }, "pod_id \"../..");
  expect_refused([](auto& r) { r.pod_name = "a;IP=10.0.0.9"; }, "pod_name");
  expect_refused([](auto& r) { r.pod_name = std::string("a\0b", 3); },
                 "pod_name \"a\\x00");
  expect_refused([](auto& r) { r.networks[0].network = "../first"; },
                 "network \"../first\"");
  expect_refused([](auto& r) { r.networks[1].ifname = "eth0/../x"; },
                 "network \"second\": ifname");
  EXPECT_EQ(plugins_.Log(), "");
}

TEST_F(CniPodNetworkTest, PodsAreAttachedInParallel) {
  // Each waits for the other: neither would end if calls were serialised.
  plugins_.Install(
      "a", "if [ $CNI_COMMAND = ADD ]; then touch " + plugins_.path() +
               "/$CNI_CONTAINERID.here; while [ $(ls " + plugins_.path() +
               "/*.here | wc -l) -lt 2 ]; do sleep 0.01; done; fi\n" +
               FakePlugins::PrintResult("10.0.0.1/8"));
  PodNetworkRequest other = request_;
  other.pod_id = NewUuid();
  ASSERT_OK_AND_ASSIGN(other.netns_path,
                       node_.network().CreateNetns(other.pod_id));
  absl::Status status = absl::UnknownError("");
  std::thread thread([&] { status = node_.network().Attach(other).status(); });
  EXPECT_THAT(node_.network().Attach(request_), IsOk());
  thread.join();
  EXPECT_THAT(status, IsOk());
  EXPECT_THAT(node_.network().Detach(request_), IsOk());
  EXPECT_THAT(node_.network().Detach(other), IsOk());
  EXPECT_THAT(node_.network().RemoveNetns(other.pod_id), IsOk());
}

TEST(NewCniPodNetwork, ChecksItsOptions) {
  TempDir dir;
  CniPodNetworkOptions options;
  options.cache_dir = dir / "cni";
  options.plugin_timeout = absl::ZeroDuration();
  EXPECT_THAT(NewCniPodNetwork(options).status(),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("plugin_timeout")));
  options.plugin_timeout = absl::Seconds(1);
  options.node_netns = dir / "absent";
  EXPECT_THAT(
      NewCniPodNetwork(options).status(),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("node_netns: open(")));
}

}  // namespace
}  // namespace davit
