#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/netlink/netlink.h"
#include "net/netns/netns.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

// Two runtimes, ours and Go's libcni, and two sets of plugins, ours and Go's,
// on one cache, one lease directory and one node: what one adds the other one
// checks and deletes, in every version that both speak.

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr char kGoPlugins[] = "/usr/lib/cni";
constexpr char kGo[] = "/usr/bin/go";
constexpr char kGoLibraries[] = "/usr/share/gocode";

// Which plugins are whose.
struct Mix {
  const char* name;
  bool our_ptp;
  bool our_ipam;
};

class LibcniTest
    : public ::testing::TestWithParam<std::tuple<const char*, Mix>> {
 protected:
  static void SetUpTestSuite() {
    build_ = new TempDir;
    driver_ = *build_ / "driver";
    SubprocessSpec spec;
    spec.path = kGo;
    spec.argv = {"go", "build", "-o", driver_,
                 std::filesystem::absolute(getenv("LIBCNI_DRIVER"))};
    spec.env = {"PATH=/usr/bin:/bin", "GO111MODULE=off", "CGO_ENABLED=0",
                absl::StrCat("GOPATH=", kGoLibraries),
                "GOCACHE=" + *build_ / "cache"};
    spec.timeout = absl::Minutes(5);
    absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
    problem_ = !result.ok()             ? result.status().ToString()
               : !result->ExitedWith(0) ? result->err
                                        : "";
  }
  static void TearDownTestSuite() {
    delete build_;
    build_ = nullptr;
  }

  void SetUp() override {
    if (!PathExists(kGo) || !PathExists(absl::StrCat(kGoPlugins, "/ptp"))) {
      GTEST_SKIP() << "needs golang-go, golang-github-appc-cni-dev and "
                      "containernetworking-plugins";
    }
    ASSERT_EQ(problem_, "");
    InstallPlugins();
    ASSERT_OK_AND_ASSIGN(Netns node, Netns::Create(dir_ / "node"));
    node_ = std::make_unique<Netns>(std::move(node));
    ASSERT_THAT(MakeDirectories(dir_ / "net.d"), IsOk());
    ASSERT_THAT(WriteFileAtomic(list_, List()), IsOk());
    CniPodNetworkOptions options;
    options.config_dir = dir_ / "net.d";
    options.plugin_dirs = {dir_ / "bin"};
    options.cache_dir = dir_ / "cni";
    options.netns_dir = dir_ / "netns";
    options.node_netns = node_->path();
    ASSERT_OK_AND_ASSIGN(network_, NewCniPodNetwork(options));
    request_.pod_id = NewUuid();
    request_.pod_name = "web";
    request_.networks = {{"net", "eth0"}};
    ASSERT_OK_AND_ASSIGN(request_.netns_path,
                         network_->CreateNetns(request_.pod_id));
  }

  void TearDown() override {
    if (network_ == nullptr) return;
    EXPECT_THAT(network_->RemoveNetns(request_.pod_id), IsOk());
    // The kernel takes a dead namespace's links away in its own time.
    absl::Time deadline = absl::Now() + absl::Seconds(10);
    while (!Links().empty() && absl::Now() < deadline) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    EXPECT_THAT(Links(), IsEmpty());
    EXPECT_THAT(Leases(), IsEmpty());
    EXPECT_THAT(*ListDirectory(dir_ / "cni/results"), IsEmpty());
    EXPECT_THAT(Netns::Remove(node_->path()), IsOk());
  }

  std::string version() const { return std::get<0>(GetParam()); }

  void InstallPlugins() {
    const Mix& mix = std::get<1>(GetParam());
    ASSERT_THAT(MakeDirectories(dir_ / "bin"), IsOk());
    std::filesystem::path ours =
        std::filesystem::canonical(getenv("DAVIT_CNI"));
    auto install = [&](const std::string& type, bool our) {
      std::filesystem::create_symlink(
          our ? ours : std::filesystem::path(kGoPlugins) / type,
          dir_ / "bin/" + type);
    };
    install("ptp", mix.our_ptp);
    install("host-local", mix.our_ipam);
    install("tuning", false);
  }

  // A chain, so that results pass from plugin to plugin.
  std::string List() const {
    return absl::StrReplaceAll(
        R"({"cniVersion":"VERSION","name":"net","plugins":[
             {"type":"ptp","ipam":{"type":"host-local","dataDir":"LEASES",
              "subnet":"10.99.0.0/24","routes":[{"dst":"0.0.0.0/0"}]}},
             {"type":"tuning","sysctl":{"net.ipv4.conf.eth0.log_martians":"1"}}
           ]})",
        {{"VERSION", version()}, {"LEASES", dir_ / "leases"}});
  }

  // Go's libcni on the node.
  SubprocessResult Libcni(const std::string& command) {
    SubprocessSpec spec;
    spec.path = driver_;
    spec.argv = {"driver",
                 command,
                 list_,
                 dir_ / "cni",
                 dir_ / "bin",
                 request_.pod_id,
                 request_.netns_path,
                 "eth0"};
    spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    spec.netns_fd = node_->fd();
    spec.timeout = absl::Minutes(1);
    absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
    EXPECT_THAT(result, IsOk());
    return result.value_or(SubprocessResult());
  }

  std::vector<std::string> Links() {
    Netlink netlink = *Netlink::OpenIn(node_->fd());
    std::vector<std::string> names;
    absl::StatusOr<std::vector<Link>> links = netlink.ListLinks();
    EXPECT_THAT(links, IsOk());
    if (!links.ok()) return names;
    for (const Link& link : *links) {
      if (link.name != "lo") names.push_back(link.name);
    }
    return names;
  }

  std::vector<std::string> Leases() {
    std::vector<std::string> leases = *ListDirectory(dir_ / "leases/net");
    std::erase_if(leases, [](const std::string& file) {
      return file == "lock" || absl::StartsWith(file, "last_");
    });
    return leases;
  }

  // Whether the version has CHECK.
  bool HasCheck() const { return version() != "0.3.1"; }

  TempDir dir_;
  const std::string list_ = dir_ / "net.d/net.conflist";
  std::unique_ptr<Netns> node_;
  std::unique_ptr<PodNetwork> network_;
  PodNetworkRequest request_;

 private:
  static TempDir* build_;
  static std::string driver_;
  static std::string problem_;
};

TempDir* LibcniTest::build_ = nullptr;
std::string LibcniTest::driver_;
std::string LibcniTest::problem_;

TEST_P(LibcniTest, WeAddCheckAndDelete) {
  ASSERT_OK_AND_ASSIGN(std::vector<InterfaceStatus> interfaces,
                       network_->Attach(request_));
  EXPECT_THAT(interfaces[0].addresses, ElementsAre("10.99.0.2/24"));
  EXPECT_THAT(Links(), ElementsAre(interfaces[0].host_ifname));
  EXPECT_THAT(network_->Check(request_), IsOk());
  EXPECT_THAT(network_->Detach(request_), IsOk());
}

TEST_P(LibcniTest, GoAddsWeCheckAndDelete) {
  SubprocessResult added = Libcni("add");
  ASSERT_TRUE(added.ExitedWith(0)) << added.err;
  EXPECT_THAT(Links(), SizeIs(1));
  EXPECT_THAT(network_->Check(request_), IsOk());
  EXPECT_THAT(network_->Detach(request_), IsOk());
}

TEST_P(LibcniTest, WeAddGoChecksAndDeletes) {
  ASSERT_THAT(network_->Attach(request_), IsOk());
  if (HasCheck()) {
    SubprocessResult checked = Libcni("check");
    EXPECT_TRUE(checked.ExitedWith(0)) << checked.err;
  }
  SubprocessResult deleted = Libcni("del");
  EXPECT_TRUE(deleted.ExitedWith(0)) << deleted.err;
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_THAT(network_->Detach(request_), IsOk()) << "again";
}

TEST_P(LibcniTest, GoAddsWeCollectTheGarbage) {
  SubprocessResult added = Libcni("add");
  ASSERT_TRUE(added.ExitedWith(0)) << added.err;
  std::vector<GarbageItem> items =
      network_->CollectGarbage({request_}, /*dry_run=*/false);
  EXPECT_THAT(items, IsEmpty());
  ASSERT_THAT(network_->RemoveNetns(request_.pod_id), IsOk());
  items = network_->CollectGarbage({}, /*dry_run=*/false);
  ASSERT_THAT(items, SizeIs(1));
  EXPECT_EQ(items[0].kind, "attachment");
  EXPECT_THAT(items[0].outcome, IsOk());
}

INSTANTIATE_TEST_SUITE_P(
    Versions, LibcniTest,
    ::testing::Combine(::testing::Values("0.3.1", "0.4.0", "1.0.0"),
                       ::testing::Values(Mix{"Go", false, false},
                                         Mix{"Ours", true, true},
                                         Mix{"OurIpam", false, true},
                                         Mix{"GoIpam", true, false})),
    [](const auto& info) {
      return absl::StrCat(
          std::get<1>(info.param).name, "_",
          absl::StrReplaceAll(std::get<0>(info.param), {{".", "_"}}));
    });

}  // namespace
}  // namespace davit
