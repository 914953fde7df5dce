#ifndef DAVIT_TESTS_E2E_NODE_TEST_BASE_H_
#define DAVIT_TESTS_E2E_NODE_TEST_BASE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

#include "tests/e2e/test_node.h"

namespace davit::testing {

// One node with a running agent and images, shared by the tests of a suite.
// Each test starts with no pod, and must end without a trace of one: the
// teardown deletes the rest and compares the host with what it was.
class NodeTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (geteuid() != 0 || ImagesDirectory().empty()) return;
    node_ = std::make_unique<TestNode>();
    node_->StartAgent();
    if (!HasFatalFailure()) node_->ImportImages();
  }
  static void TearDownTestSuite() { node_.reset(); }

  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root: boots real pods";
    if (node_ == nullptr) {
      GTEST_SKIP() << "needs root images: run deploy/test, which makes them";
    }
    before_ = node().Snapshot();
  }

  void TearDown() override {
    if (IsSkipped() || node_ == nullptr) return;
    node().Ctl({"delete", "--all", "--grace-period=1"});
    EXPECT_THAT(Difference(before_, node().Snapshot()), ::testing::IsEmpty());
  }

  static TestNode& node() { return *node_; }
  const HostSnapshot& before() const { return before_; }

 private:
  inline static std::unique_ptr<TestNode> node_;
  HostSnapshot before_;
};

inline constexpr char kBusybox[] = "localhost/davit/busybox:latest";
inline constexpr char kDemo[] = "localhost/davit/demo:latest";
inline constexpr char kMachine[] = "localhost/davit/machine:latest";

}  // namespace davit::testing

#endif  // DAVIT_TESTS_E2E_NODE_TEST_BASE_H_
