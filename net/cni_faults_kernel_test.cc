#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/nat/owned_elements.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/netlink.h"
#include "net/netns/netns.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

// What breaks below a node's network - a plugin or the leases' disk - and that
// it is told, and that nothing is lost or left over then. Our runtime and
// plugins on the real kernel; only the plugin that fails is a script.

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FaultsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(getenv("DAVIT_CNI"), nullptr);
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    std::filesystem::path binary =
        std::filesystem::canonical(getenv("DAVIT_CNI"));
    ASSERT_THAT(MakeDirectories(dir_ / "bin"), IsOk());
    for (const char* type : {"host-local", "loopback", "portmap", "ptp"}) {
      std::filesystem::create_symlink(binary, dir_ / "bin/" + type);
    }
    ASSERT_THAT(MakeDirectories(dir_ / "net.d"), IsOk());
    ASSERT_THAT(MakeDirectories(dir_ / "leases/net"), IsOk());
    ASSERT_OK_AND_ASSIGN(Netns node, Netns::Create(dir_ / "node"));
    node_ = std::make_unique<Netns>(std::move(node));
    CniPodNetworkOptions options;
    options.config_dir = dir_ / "net.d";
    options.plugin_dirs = {dir_ / "bin"};
    options.cache_dir = dir_ / "cni";
    options.netns_dir = dir_ / "netns";
    options.node_netns = node_->path();
    options.plugin_timeout = absl::Seconds(3);
    ASSERT_OK_AND_ASSIGN(network_, NewCniPodNetwork(options));
  }

  void TearDown() override {
    if (node_ == nullptr) return;
    EXPECT_THAT(Netns::Remove(node_->path()), IsOk());
  }

  // "fault" runs `body`; of a DEL only if `del` is set.
  void InstallFault(const std::string& body, bool del) {
    ASSERT_THAT(
        WriteFileAtomic(
            dir_ / "bin/fault",
            absl::StrCat("#!/bin/sh\n", R"(case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["1.0.0"]}'; exit;;
)",
                         del ? "" : "DEL) exit 0;;\n", "esac\n", body, "\n"),
            0755),
        IsOk());
  }

  // The default network, with `more` at the end of its chain.
  void Configure(const std::string& more, const std::string& ipam = "") {
    std::string host_local =
        absl::StrCat(R"({"type": "host-local", "subnet": "10.99.0.0/24",
          "dataDir": ")",
                     dir_ / "leases", R"("})");
    ASSERT_THAT(WriteFileAtomic(
                    dir_ / "net.d/net.conflist",
                    absl::StrCat(
                        R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
                  {"type": "ptp", "ipMasq": true, "ipam": )",
                        ipam.empty() ? host_local : ipam, R"(},
                  {"type": "portmap", "capabilities": {"portMappings": true}})",
                        more, "]}")),
                IsOk());
  }

  PodNetworkRequest NewPod() {
    PodNetworkRequest request = {NewUuid(), "web", "", {{"net", "eth0"}}};
    request.port_mappings = {{.host_port = 8080, .container_port = 80}};
    absl::StatusOr<std::string> path = network_->CreateNetns(request.pod_id);
    EXPECT_THAT(path, IsOk());
    request.netns_path = path.value_or("");
    return request;
  }

  // Whatever of pods is on the node: links, leases, nft elements, results.
  std::vector<std::string> Leftovers() {
    std::vector<std::string> found;
    const std::vector<Link> links = *Netlink::OpenIn(node_->fd())->ListLinks();
    for (const Link& link : links) {
      if (link.name != "lo") found.push_back("link " + link.name);
    }
    for (const std::string& file : Files("leases/net")) {
      if (IpAddress::Parse(file).ok()) found.push_back("lease " + file);
    }
    EXPECT_THAT(node_->Run([&]() -> absl::Status {
      ASSIGN_OR_RETURN(OwnedElements elements, OwnedElements::Open());
      ASSIGN_OR_RETURN(std::vector<std::string> owners,
                       elements.ListComments());
      for (const std::string& owner : owners) {
        found.push_back("element of " + owner);
      }
      return absl::OkStatus();
    }),
                IsOk());
    for (const char* dir : {"cni/results", "netns"}) {
      for (const std::string& file : Files(dir)) {
        found.push_back(absl::StrCat(dir, "/", file));
      }
    }
    return found;
  }

  // Sorted; none if there is no such directory.
  std::vector<std::string> Files(const std::string& directory) {
    std::vector<std::string> files =
        ListDirectory(dir_ / directory).value_or(std::vector<std::string>());
    std::sort(files.begin(), files.end());
    return files;
  }

  void ExpectAPodWorks() {
    PodNetworkRequest pod = NewPod();
    EXPECT_THAT(network_->Attach(pod), IsOk());
    EXPECT_THAT(network_->Check(pod), IsOk());
    EXPECT_THAT(network_->Detach(pod), IsOk());
    EXPECT_THAT(network_->RemoveNetns(pod.pod_id), IsOk());
  }

  TempDir dir_;
  std::unique_ptr<Netns> node_;
  std::unique_ptr<PodNetwork> network_;
};

struct Fault {
  const char* name;
  const char* body;
  absl::StatusCode code;
  const char* message;
};

class PluginFaultsTest : public FaultsTest,
                         public ::testing::WithParamInterface<Fault> {
 protected:
  auto IsTheFault() {
    return StatusIs(
        GetParam().code,
        AllOf(HasSubstr("network \"net\""), HasSubstr("plugin \"fault\""),
              HasSubstr("ADD"), HasSubstr(GetParam().message)));
  }
};

TEST_P(PluginFaultsTest, AtTheEndOfTheChainUndoesTheOthers) {
  InstallFault(GetParam().body, false);
  Configure(R"(, {"type": "fault"})");
  PodNetworkRequest pod = NewPod();
  EXPECT_THAT(network_->Attach(pod), IsTheFault());
  EXPECT_THAT(Leftovers(), ElementsAre("netns/cni-" + pod.pod_id));
  EXPECT_THAT(network_->CollectGarbage({}, false),
              ElementsAre(AllOf(Field(&GarbageItem::kind, "netns"),
                                Field(&GarbageItem::outcome, IsOk()))));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_P(PluginFaultsTest, InDelTooKeepsNothingOfTheOthers) {
  InstallFault(GetParam().body, true);
  Configure(R"(, {"type": "fault"})");
  PodNetworkRequest pod = NewPod();
  EXPECT_THAT(network_->Attach(pod), IsTheFault());
  // The way back is kept until it could be gone to its end.
  EXPECT_THAT(Leftovers(),
              ElementsAre("cni/results/net-" + pod.pod_id + "-eth0",
                          "netns/cni-" + pod.pod_id));
  EXPECT_THAT(network_->CollectGarbage({}, false),
              Contains(AllOf(Field(&GarbageItem::kind, "attachment"),
                             Field(&GarbageItem::outcome, Not(IsOk())))));
  InstallFault("exit 0", true);
  for (const GarbageItem& item : network_->CollectGarbage({}, false)) {
    EXPECT_THAT(item.outcome, IsOk()) << item.kind << " " << item.name;
  }
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_THAT(network_->CollectGarbage({}, false), IsEmpty());
}

TEST_P(PluginFaultsTest, OfIpamLeavesNoInterface) {
  InstallFault(GetParam().body, false);
  Configure("", R"({"type": "fault"})");
  PodNetworkRequest pod = NewPod();
  EXPECT_THAT(std::string(network_->Attach(pod).status().message()),
              AllOf(HasSubstr("network \"net\""), HasSubstr("\"ptp\""),
                    HasSubstr("fault")));
  EXPECT_THAT(network_->CollectGarbage({}, false),
              ElementsAre(Field(&GarbageItem::kind, "netns")));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, PluginFaultsTest,
    ::testing::Values(Fault{"Killed", "kill -9 $$", absl::StatusCode::kInternal,
                            "killed by signal 9"},
                      Fault{"Hangs", "exec sleep 1000",
                            absl::StatusCode::kDeadlineExceeded, "3s"},
                      Fault{"PrintsGarbage", "echo '{\"ips\": [}'",
                            absl::StatusCode::kInternal, "parse error"},
                      Fault{"Prints100Megabytes", "head -c 100000000 /dev/zero",
                            absl::StatusCode::kResourceExhausted,
                            "printed more than"},
                      Fault{"SaysNothing", "exit 0",
                            absl::StatusCode::kInternal, "printed no result"}),
    [](const auto& info) { return std::string(info.param.name); });

// The leases' directory on a file system of its own, that is full.
TEST_F(FaultsTest, FullDiskOfLeases) {
  ASSERT_EQ(unshare(CLONE_NEWNS), 0);
  ASSERT_EQ(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  const std::string leases = dir_ / "leases";
  ASSERT_EQ(mount("tmpfs", leases.c_str(), "tmpfs", 0, "size=16k"), 0);
  ASSERT_THAT(MakeDirectories(leases + "/net"), IsOk());
  Configure("");
  PodNetworkRequest pod = NewPod();
  while (WriteFileAtomic(absl::StrCat(leases, "/", NewUuid()), "x").ok()) {
  }
  EXPECT_THAT(std::string(network_->Attach(pod).status().message()),
              AllOf(HasSubstr("host-local"), HasSubstr("No space left")));
  EXPECT_THAT(network_->CollectGarbage({}, false),
              ElementsAre(Field(&GarbageItem::kind, "netns")));
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_EQ(umount2(leases.c_str(), MNT_DETACH), 0);
  ExpectAPodWorks();
  EXPECT_THAT(Leftovers(), IsEmpty());
}

TEST_F(FaultsTest, BrokenLeaseFilesAreNobodysAndStay) {
  const std::string leases = dir_ / "leases/net/";
  ASSERT_EQ(mkdir((leases + "10.99.0.2").c_str(), 0755), 0);
  ASSERT_THAT(WriteFileAtomic(leases + "10.99.0.3", "\1\2\3"), IsOk());
  ASSERT_EQ(symlink("/etc/passwd", (leases + "10.99.0.4").c_str()), 0);
  ASSERT_EQ(mkfifo((leases + "10.99.0.5").c_str(), 0600), 0);
  ASSERT_THAT(WriteFileAtomic(leases + "last_reserved_ip.0", "nonsense"),
              IsOk());
  Configure("");
  PodNetworkRequest pod = NewPod();
  absl::StatusOr<std::vector<InterfaceStatus>> interfaces =
      network_->Attach(pod);
  ASSERT_THAT(interfaces, IsOk());
  EXPECT_THAT((*interfaces)[0].addresses, ElementsAre("10.99.0.6/24"));
  EXPECT_THAT(network_->Detach(pod), IsOk());
  EXPECT_THAT(network_->CollectGarbage({}, false),
              ElementsAre(Field(&GarbageItem::kind, "netns")));
  EXPECT_THAT(Leftovers(), ::testing::UnorderedElementsAre(
                               "lease 10.99.0.2", "lease 10.99.0.3",
                               "lease 10.99.0.4", "lease 10.99.0.5"));
}

}  // namespace
}  // namespace davit
