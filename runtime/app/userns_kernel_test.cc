// Apps, exec and logs of a pod with a user namespace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "runtime/app/testing/test_pod.h"
#include "tests/support/matchers.h"

namespace davit::testing {
namespace {

using ::testing::HasSubstr;

TEST(UsernsApps, RunAndAreEntered) {
  if (!WhyNoPods().empty()) GTEST_SKIP() << WhyNoPods();
  ASSERT_OK_AND_ASSIGN(
      std::unique_ptr<TestPod> pod,
      TestPod::Start({ShellApp("web",
                               "echo x >/dev/null && id -u >/out/id; "
                               "echo line; exec sleep 1000")},
                     PodUsers::kOwn));
  ASSERT_THAT(pod->apps().StartAll(pod->ref(), {"web"}, absl::Seconds(30)),
              IsOk());
  ASSERT_OK_AND_ASSIGN(auto state, pod->apps().GetSystemState(pod->ref()));
  EXPECT_EQ(state.state, "running");
  ExecRequest request;
  request.app = "web";
  request.argv = {"sh", "-c",
                  "cat /out/id; echo err >&2; head -1 /proc/self/uid_map | "
                  "wc -w; exit 7"};
  ASSERT_OK_AND_ASSIGN(ExecResult result, RunExec(*pod, request));
  EXPECT_EQ(result.out, "0\n3\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.exit_code, 7);
  request.argv = {"tty"};
  request.tty = true;
  ASSERT_OK_AND_ASSIGN(result, RunExec(*pod, request));
  EXPECT_THAT(result.out, HasSubstr("/dev/pts/"));
  EXPECT_THAT(pod->Stop(), IsOk());
}

}  // namespace
}  // namespace davit::testing
