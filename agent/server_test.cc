#include "agent/server.h"

#include <fcntl.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "agent/rpc/node_service.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "davit/v1/node_service.grpc.pb.h"
#include "net/fake_pod_network.h"
#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    RecoveryReport report;
    report.adopted = 2;
    report.failed = {"netns x: busy"};
    manager_.SetReport(report);
    NodeServiceOptions node;
    node.version = "9.8.7";
    node.root_dir = "/root-dir";
    node.state_dir = "/state-dir";
    node.start_time = absl::FromUnixSeconds(1700000000);
    auto services = [&](Caller caller) {
      node.commit = caller == Caller::kRoot ? "for root" : "for others";
      std::vector<std::unique_ptr<grpc::Service>> made;
      made.push_back(NewNodeService(node, &manager_, &network_));
      return made;
    };
    ServerOptions options;
    options.socket_path = path_;
    options.group = "no-such-group-here";
    options.on_call = [this](const CallRecord& call) {
      absl::MutexLock lock(&mutex_);
      calls_.push_back(call);
    };
    auto server = Server::Start(std::move(options), services);
    EXPECT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  // Each has a connection of its own.
  std::shared_ptr<grpc::Channel> Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(
        "unix://" + path_, grpc::InsecureChannelCredentials(), arguments);
  }

  grpc::Status GetVersion(v1::GetVersionResponse* response) {
    grpc::ClientContext context;
    return v1::NodeService::NewStub(Connect())->GetVersion(
        &context, v1::GetVersionRequest(), response);
  }

  // Calls an rpc by its name alone: our own messages fit none of these.
  grpc::Status CallRaw(const std::string& method, const std::string& request,
                       std::string* response);

  TempDir dir_;
  const std::string path_ = dir_ / "davit.sock";
  FakePodManager manager_;
  FakePodNetwork network_;
  absl::Mutex mutex_;
  std::vector<CallRecord> calls_;
  std::unique_ptr<Server> server_;
};

grpc::Status ServerTest::CallRaw(const std::string& method,
                                 const std::string& request,
                                 std::string* response) {
  grpc::GenericStub stub(Connect());
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::Slice slice(request);
  grpc::ByteBuffer out(&slice, 1), in;
  auto call = stub.PrepareUnaryCall(&context, method, out, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&in, &status, this);
  void* tag;
  bool ok;
  queue.Next(&tag, &ok);
  std::vector<grpc::Slice> slices;
  in.Dump(&slices);
  for (const grpc::Slice& part : slices) {
    response->append(reinterpret_cast<const char*>(part.begin()), part.size());
  }
  return status;
}

TEST_F(ServerTest, ServesVersion) {
  v1::GetVersionResponse response;
  grpc::Status status = GetVersion(&response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.version(), "9.8.7");
  EXPECT_EQ(response.git_commit(), "for root");
  EXPECT_EQ(response.api_version(), "davit/v1");
  EXPECT_EQ(response.grpc_version(), grpc::Version());
}

TEST_F(ServerTest, ServesInfo) {
  grpc::ClientContext context;
  v1::GetInfoResponse response;
  ASSERT_TRUE(v1::NodeService::NewStub(Connect())
                  ->GetInfo(&context, v1::GetInfoRequest(), &response)
                  .ok());
  EXPECT_EQ(response.root_dir(), "/root-dir");
  EXPECT_EQ(response.state_dir(), "/state-dir");
  EXPECT_EQ(response.agent_start_time().seconds(), 1700000000);
  EXPECT_GT(response.cpus(), 0);
  ASSERT_EQ(response.networks_size(), 1);
  EXPECT_EQ(response.networks(0).name(), "default");
  EXPECT_EQ(response.recovery().adopted(), 2);
  EXPECT_EQ(response.recovery().failed(0), "netns x: busy");
}

TEST_F(ServerTest, LogsEachCallWithItsCaller) {
  v1::GetVersionResponse response;
  ASSERT_TRUE(GetVersion(&response).ok());
  absl::MutexLock lock(&mutex_);
  ASSERT_EQ(calls_.size(), 1);
  EXPECT_EQ(calls_[0].method, "davit.v1.NodeService/GetVersion");
  EXPECT_TRUE(calls_[0].outcome.ok());
  EXPECT_GE(calls_[0].took, absl::ZeroDuration());
  EXPECT_LT(calls_[0].took, absl::Seconds(10));
  EXPECT_EQ(calls_[0].credentials,
            (PeerCredentials{getpid(), getuid(), getgid()}));
}

// Connects as another user, on a thread that alone becomes that (the system
// call, not glibc's function, which changes all threads).
UniqueFd ConnectAs(uid_t uid, const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  std::thread([&] {
    syscall(SYS_setresuid, -1, uid, -1);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
                sizeof(address)) < 0) {
      fd.Reset();
    }
  }).join();
  if (fd) fcntl(fd.get(), F_SETFL, O_NONBLOCK);
  return fd;
}

TEST_F(ServerTest, WhoConnectsDecidesWhichServicesAreReached) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  for (uid_t uid : {0, 65534, 0, 1}) {
    UniqueFd fd = ConnectAs(uid, path_);
    ASSERT_TRUE(fd) << strerror(errno);
    auto channel = grpc::CreateInsecureChannelFromFd("agent", fd.Release());
    grpc::ClientContext context;
    v1::GetVersionResponse response;
    grpc::Status status = v1::NodeService::NewStub(channel)->GetVersion(
        &context, v1::GetVersionRequest(), &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.git_commit(), uid == 0 ? "for root" : "for others");
  }
}

TEST_F(ServerTest, ServesManyConnections) {
  for (int i = 0; i < 100; ++i) {
    v1::GetVersionResponse response;
    ASSERT_TRUE(GetVersion(&response).ok()) << i;
  }
}

TEST_F(ServerTest, HealthIsServing) {
  std::string response;
  ASSERT_TRUE(CallRaw("/grpc.health.v1.Health/Check", "", &response).ok());
  EXPECT_EQ(response, "\x08\x01");  // status: SERVING
}

TEST_F(ServerTest, ReflectionIsOn) {
  // ServerReflectionRequest{list_services: ""}, as the only message of a
  // stream.
  std::string response;
  CallRaw("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
          std::string("\x3a\x00", 2), &response);
  EXPECT_THAT(response, HasSubstr("davit.v1.NodeService"));
}

TEST_F(ServerTest, ASecondServerIsRefused) {
  ServerOptions options;
  options.socket_path = path_;
  EXPECT_THAT(
      Server::Start(
          options,
          [](Caller) { return std::vector<std::unique_ptr<grpc::Service>>(); }),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("belongs to another agent")));
  v1::GetVersionResponse response;
  EXPECT_TRUE(GetVersion(&response).ok());
}

TEST_F(ServerTest, ConnectionsOutliveTheSocketUntilShutdown) {
  auto stub = v1::NodeService::NewStub(Connect());
  v1::GetVersionResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub->GetVersion(&context, {}, &response).ok());
  }
  server_->StopAccepting();
  EXPECT_FALSE(PathExists(path_));
  EXPECT_EQ(GetVersion(&response).error_code(), grpc::StatusCode::UNAVAILABLE);
  {
    grpc::ClientContext context;
    EXPECT_TRUE(stub->GetVersion(&context, {}, &response).ok());
  }
  server_->Shutdown();
  grpc::ClientContext context;
  EXPECT_EQ(stub->GetVersion(&context, {}, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace davit
