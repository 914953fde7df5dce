#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "net/cni_node_fixture.h"
#include "net/cni_pod_network.h"
#include "net/list_directory.h"
#include "net/nat/owned_elements.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"

// What breaks below a node's network - a plugin or the leases' disk - and that
// it is told, and that nothing is lost or left over then. Our runtime and
// plugins on the real kernel; only the plugin that fails is a script.

namespace davit {
namespace {

using ::davit::testing::CniNodeTest;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class FaultsTest : public CniNodeTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    ASSERT_NO_FATAL_FAILURE(CniNodeTest::SetUp());
    InstallOurs({"host-local", "loopback", "portmap", "ptp"});
    ASSERT_THAT(MakeDirectories(leases() + "/net"), IsOk());
    CniPodNetworkOptions options = Options();
    options.plugin_timeout = absl::Seconds(3);
    OpenNetwork(options);
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
    WriteNetwork("net",
                 absl::StrCat(
                     R"({"cniVersion": "1.0.0", "name": "net", "plugins": [
                  {"type": "ptp", "ipMasq": true, "ipam": )",
                     ipam.empty() ? host_local : ipam, R"(},
                  {"type": "portmap", "capabilities": {"portMappings": true}})",
                     more, "]}"));
  }

  PodNetworkRequest NewPod() {
    PodNetworkRequest request = CniNodeTest::NewPod();
    request.port_mappings = {{.host_port = 8080, .container_port = 80}};
    return request;
  }

  // Whatever of pods is on the node: links, leases, nft elements, results.
  std::vector<std::string> Leftovers() {
    std::vector<std::string> found;
    for (const std::string& name : NodeLinks()) {
      found.push_back("link " + name);
    }
    for (const std::string& address : Leases()) {
      found.push_back("lease " + address);
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
      const std::vector<std::string> files = *ListDirectory(dir_ / dir);
      for (const std::string& file : files) {
        found.push_back(absl::StrCat(dir, "/", file));
      }
    }
    return found;
  }

  void ExpectAPodWorks() {
    PodNetworkRequest pod = NewPod();
    EXPECT_THAT(network_->Attach(pod), IsOk());
    EXPECT_THAT(network_->Check(pod), IsOk());
    Remove(pod);
  }
};

struct Fault {
  const char* name;
  const char* body;
  absl::StatusCode code;
  const char* message;
  bool del_fails;  // what a DEL prints is of no interest
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
  if (GetParam().del_fails) {
    // The way back is kept until it could be gone to its end.
    EXPECT_THAT(Leftovers(),
                ElementsAre("cni/results/net-" + pod.pod_id + "-eth0",
                            "netns/cni-" + pod.pod_id));
    EXPECT_THAT(network_->CollectGarbage({}, false),
                Contains(AllOf(Field(&GarbageItem::kind, "attachment"),
                               Field(&GarbageItem::outcome, Not(IsOk())))));
  }
  InstallFault("exit 0", true);
  for (const GarbageItem& item : network_->CollectGarbage({}, false)) {
    EXPECT_THAT(item.outcome, IsOk()) << item.kind << " " << item.name;
  }
  EXPECT_THAT(Leftovers(), IsEmpty());
  EXPECT_THAT(network_->CollectGarbage({}, false), IsEmpty());
}

TEST_P(PluginFaultsTest, OfIpamLeavesNoInterface) {
  // Nobody but the runtime has a time limit: it sees the plugin that waits.
  const bool hangs = GetParam().code == absl::StatusCode::kDeadlineExceeded;
  InstallFault(GetParam().body, false);
  Configure("", R"({"type": "fault"})");
  PodNetworkRequest pod = NewPod();
  EXPECT_THAT(std::string(network_->Attach(pod).status().message()),
              AllOf(HasSubstr("network \"net\""), HasSubstr("\"ptp\""),
                    HasSubstr(hangs ? "did not end within" : "fault")));
  EXPECT_THAT(network_->CollectGarbage({}, false),
              ElementsAre(Field(&GarbageItem::kind, "netns")));
  EXPECT_THAT(Leftovers(), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(
    All, PluginFaultsTest,
    ::testing::Values(Fault{"Killed", "kill -9 $$", absl::StatusCode::kInternal,
                            "killed by signal 9", true},
                      Fault{"Hangs", "exec sleep 1000",
                            absl::StatusCode::kDeadlineExceeded, "3s", true},
                      Fault{"PrintsGarbage", "echo '{\"ips\": [}'",
                            absl::StatusCode::kInternal, "parse error", false},
                      Fault{"Prints100Megabytes", "head -c 100000000 /dev/zero",
                            absl::StatusCode::kResourceExhausted,
                            "printed more than", true},
                      Fault{"SaysNothing", "exit 0",
                            absl::StatusCode::kInternal, "printed no result",
                            false}),
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
              AllOf(HasSubstr("\"ptp\""), HasSubstr("leases/net/"),
                    HasSubstr("No space left")));
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
