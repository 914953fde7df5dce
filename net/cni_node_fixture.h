#ifndef DAVIT_NET_CNI_NODE_FIXTURE_H_
#define DAVIT_NET_CNI_NODE_FIXTURE_H_

#include <gtest/gtest.h>

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "net/cni_pod_network.h"
#include "net/netns/netns.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// A node of a test's own for our CNI runtime: a network namespace that stands
// for the machine, and directories for configurations, plugins, leases and
// pins. Needs root. Tests give it networks (by host-local with leases()) and
// call OpenNetwork.
class CniNodeTest : public ::testing::Test {
 protected:
  void SetUp() override;
  // Only the node's own namespace and pin; checks nothing.
  void TearDown() override;

  // The plugins of $DAVIT_CNI, under these names in bin().
  void InstallOurs(std::initializer_list<const char*> types);
  void WriteNetwork(const std::string& name, const std::string& conflist);
  // What NewCniPodNetwork wants, with plugins of bin().
  CniPodNetworkOptions Options() const;
  // network_ anew, as after a start of the agent.
  void OpenNetwork(const CniPodNetworkOptions& options);

  // A pod with its netns, not attached yet.
  PodNetworkRequest NewPod(const std::string& network = "net");
  // Detaches it and removes its netns.
  void Remove(const PodNetworkRequest& request);

  // Names of the node's links but lo.
  std::vector<std::string> NodeLinks() const;
  // The addresses that host-local has given away in all networks.
  std::vector<std::string> Leases() const;

  std::string bin() const { return dir_ / "bin"; }
  std::string leases() const { return dir_ / "leases"; }

  TempDir dir_;
  std::unique_ptr<Netns> node_;
  std::unique_ptr<PodNetwork> network_;
};

}  // namespace davit::testing

#endif  // DAVIT_NET_CNI_NODE_FIXTURE_H_
