#include "net/cni_node_fixture.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "net/list_directory.h"
#include "net/netlink/ip_address.h"
#include "net/netlink/netlink.h"
#include "runtime/base/file.h"
#include "runtime/base/uuid.h"
#include "tests/support/matchers.h"

namespace davit::testing {

void CniNodeTest::SetUp() {
  for (const char* name : {"bin", "leases", "net.d"}) {
    ASSERT_THAT(MakeDirectories(dir_ / name), IsOk());
  }
  ASSERT_OK_AND_ASSIGN(Netns node, Netns::Create(dir_ / "node"));
  node_ = std::make_unique<Netns>(std::move(node));
}

void CniNodeTest::TearDown() {
  if (node_ == nullptr) return;
  EXPECT_THAT(Netns::Remove(node_->path()), IsOk());
}

void CniNodeTest::InstallOurs(std::initializer_list<const char*> types) {
  ASSERT_NE(getenv("DAVIT_CNI"), nullptr);
  std::filesystem::path binary =
      std::filesystem::canonical(getenv("DAVIT_CNI"));
  for (const char* type : types) {
    std::filesystem::create_symlink(binary, absl::StrCat(bin(), "/", type));
  }
}

void CniNodeTest::WriteNetwork(const std::string& name,
                               const std::string& conflist) {
  ASSERT_THAT(WriteFileAtomic(dir_ / absl::StrCat("net.d/", name, ".conflist"),
                              conflist),
              IsOk());
}

CniPodNetworkOptions CniNodeTest::Options() const {
  CniPodNetworkOptions options;
  options.config_dir = dir_ / "net.d";
  options.plugin_dirs = {bin()};
  options.cache_dir = dir_ / "cni";
  options.netns_dir = dir_ / "netns";
  options.node_netns = node_->path();
  return options;
}

void CniNodeTest::OpenNetwork(const CniPodNetworkOptions& options) {
  ASSERT_OK_AND_ASSIGN(network_, NewCniPodNetwork(options));
}

PodNetworkRequest CniNodeTest::NewPod(const std::string& network) {
  PodNetworkRequest request = {NewUuid(), "web", "", {{network, "eth0"}}};
  absl::StatusOr<std::string> path = network_->CreateNetns(request.pod_id);
  EXPECT_THAT(path, IsOk());
  request.netns_path = path.value_or("");
  return request;
}

void CniNodeTest::Remove(const PodNetworkRequest& request) {
  EXPECT_THAT(network_->Detach(request), IsOk());
  EXPECT_THAT(network_->RemoveNetns(request.pod_id), IsOk());
}

std::vector<std::string> CniNodeTest::NodeLinks() const {
  std::vector<std::string> names;
  absl::StatusOr<Netlink> netlink = Netlink::OpenIn(node_->fd());
  EXPECT_THAT(netlink, IsOk());
  if (!netlink.ok()) return names;
  absl::StatusOr<std::vector<Link>> links = netlink->ListLinks();
  EXPECT_THAT(links, IsOk());
  if (!links.ok()) return names;
  for (const Link& link : *links) {
    if (link.name != "lo") names.push_back(link.name);
  }
  return names;
}

std::vector<std::string> CniNodeTest::Leases() const {
  std::vector<std::string> found;
  absl::StatusOr<std::vector<std::string>> networks = ListDirectory(leases());
  EXPECT_THAT(networks, IsOk());
  if (!networks.ok()) return found;
  for (const std::string& network : *networks) {
    const std::string directory = absl::StrCat(leases(), "/", network);
    // A file is what a test has filled the disk with.
    if (!std::filesystem::is_directory(directory)) continue;
    absl::StatusOr<std::vector<std::string>> files = ListDirectory(directory);
    EXPECT_THAT(files, IsOk());
    if (!files.ok()) continue;
    for (const std::string& file : *files) {
      if (IpAddress::Parse(file).ok()) found.push_back(file);
    }
  }
  return found;
}

}  // namespace davit::testing
