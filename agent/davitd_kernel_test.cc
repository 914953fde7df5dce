// The agent as a process: start, refusals, drain. Its launcher and its apps'
// binary are stand-ins, as no pod is run.

#include <grpcpp/grpcpp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "davit/v1/node_service.grpc.pb.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Seconds(30);

class DavitdTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root";
    for (const char* name : {"libexec", "net.d", "netns"}) {
      ASSERT_THAT(MakeDirectories(dir_ / name), IsOk());
    }
    for (const char* name : {"davit-shim", "davit-app"}) {
      ASSERT_EQ(symlink("/bin/true", (dir_ / "libexec/" + name).c_str()), 0);
    }
    // sun_path is short; the sandbox's paths are not.
    notify_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    std::string path = dir_ / "notify";
    ASSERT_LT(path.size(), sizeof(address.sun_path));
    memcpy(address.sun_path, path.data(), path.size());
    ASSERT_EQ(bind(notify_.get(), reinterpret_cast<sockaddr*>(&address),
                   sizeof(address)),
              0);
  }

  void TearDown() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }

  SubprocessSpec SpecOf(const std::string& root, const std::string& state) {
    SubprocessSpec spec;
    spec.path = absl::StrCat(getenv("TEST_SRCDIR"), "/davit/agent/davitd");
    spec.argv = {"davitd",
                 "--root",
                 dir_ / root,
                 "--state",
                 dir_ / state,
                 "--metrics",
                 "",
                 "--libexec",
                 dir_ / "libexec",
                 "--cni-conf-dir",
                 dir_ / "net.d",
                 "--netns-dir",
                 dir_ / "netns",
                 "--cgroup-parent",
                 absl::StrCat("davit-test-", getpid()),
                 "--log-format",
                 "json"};
    spec.env = {"NOTIFY_SOCKET=" + (dir_ / "notify"), "PATH=/usr/bin:/bin"};
    spec.timeout = kPatience;
    return spec;
  }

  void StartAgent() {
    ASSERT_OK_AND_ASSIGN(pid_, StartDetached(SpecOf("root", "state")));
    ASSERT_EQ(NextNotification(), "READY=1");
  }

  // What the agent tells its service manager; empty if nothing comes.
  std::string NextNotification() {
    pollfd fd = {notify_.get(), POLLIN, 0};
    if (poll(&fd, 1, absl::ToInt64Milliseconds(kPatience)) != 1) return "";
    char buffer[256];
    ssize_t n = recv(notify_.get(), buffer, sizeof(buffer), 0);
    return n < 0 ? "" : std::string(buffer, n);
  }

  int WaitForAgent() {
    int status = -1;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

  std::shared_ptr<grpc::Channel> Connect() {
    return grpc::CreateChannel("unix://" + (dir_ / "state/davit.sock"),
                               grpc::InsecureChannelCredentials());
  }

  // What a second agent says before it gives up.
  std::string Refusal(const std::string& root, const std::string& state) {
    absl::StatusOr<SubprocessResult> result =
        RunSubprocess(SpecOf(root, state));
    if (!result.ok()) return std::string(result.status().message());
    EXPECT_TRUE(result->ExitedWith(1)) << result->DescribeExit();
    return result->err;
  }

  TempDir dir_;
  UniqueFd notify_;
  pid_t pid_ = -1;
};

TEST_F(DavitdTest, ServesAndDrains) {
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  auto channel = Connect();
  {
    grpc::ClientContext context;
    v1::GetVersionResponse response;
    grpc::Status status =
        v1::NodeService::NewStub(channel)->GetVersion(&context, {}, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.version(), "0.1.0");
  }
  grpc::ClientContext context;
  auto watch = v1::PodService::NewStub(channel)->WatchPods(&context, {});
  v1::WatchPodsResponse event;
  ASSERT_TRUE(watch->Read(&event));
  EXPECT_EQ(event.type(), v1::WatchPodsResponse::SYNCED);

  absl::Time begun = absl::Now();
  ASSERT_EQ(kill(pid_, SIGTERM), 0);
  EXPECT_EQ(NextNotification(), "STOPPING=1");
  EXPECT_FALSE(watch->Read(&event));
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  int status = WaitForAgent();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_LT(absl::Now() - begun, absl::Seconds(11));
  EXPECT_FALSE(PathExists(dir_ / "state/davit.sock"));
}

TEST_F(DavitdTest, OneAgentForARootAndForAState) {
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  EXPECT_THAT(Refusal("root", "state2"),
              AllOf(HasSubstr("--root " + (dir_ / "root") +
                              " belongs to another agent (pid " +
                              std::to_string(pid_) + ")")));
  EXPECT_THAT(
      Refusal("root2", "state"),
      HasSubstr("--state " + (dir_ / "state") + " belongs to another agent"));
}

TEST_F(DavitdTest, StartsAgainAfterAKill) {
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  ASSERT_EQ(kill(pid_, SIGKILL), 0);
  WaitForAgent();
  EXPECT_TRUE(PathExists(dir_ / "state/davit.sock"));  // what it left
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  grpc::ClientContext context;
  v1::GetVersionResponse response;
  EXPECT_TRUE(v1::NodeService::NewStub(Connect())
                  ->GetVersion(&context, {}, &response)
                  .ok());
}

TEST_F(DavitdTest, SigintEndsItToo) {
  ASSERT_NO_FATAL_FAILURE(StartAgent());
  ASSERT_EQ(kill(pid_, SIGINT), 0);
  int status = WaitForAgent();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace davit
