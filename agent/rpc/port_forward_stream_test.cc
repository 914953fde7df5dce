#include "agent/rpc/port_forward_stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "agent/rpc/grpc_status.h"
#include "agent/rpc/pod_service.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;

using Stream =
    grpc::ClientReaderWriter<v1::PortForwardRequest, v1::PortForwardResponse>;

// A pod "web" at whose port one connection waits: `pod_` is its end.
class PortForwardTest : public ::testing::Test {
 protected:
  PortForwardTest() {
    service_ = NewPodService(&manager_, nullptr);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::PodService::NewStub(server_->InProcessChannel({}));
    PodSpec spec;
    spec.name = "web";
    EXPECT_THAT(manager_.Run(spec), IsOk());
    int pair[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pod_ = UniqueFd(pair[0]);
    manager_.SetDial(
        [this, agents = pair[1]](const std::string& pod, uint16_t port) {
          dialled_ = pod + ":" + std::to_string(port);
          fcntl(agents, F_SETFL, O_NONBLOCK);
          return absl::StatusOr<UniqueFd>(UniqueFd(agents));
        });
  }

  ~PortForwardTest() override { server_->Shutdown(); }

  void Open(const std::string& pod = "web", int port = 8080) {
    stream_ = stub_->PortForward(&rpc_);
    v1::PortForwardRequest request;
    request.mutable_start()->set_pod(pod);
    request.mutable_start()->set_port(port);
    stream_->Write(request);
  }

  void ExpectConnected() {
    v1::PortForwardResponse response;
    ASSERT_TRUE(stream_->Read(&response));
    EXPECT_TRUE(response.connected());
  }

  void Send(const std::string& data) {
    v1::PortForwardRequest request;
    request.set_data(data);
    ASSERT_TRUE(stream_->Write(request));
  }

  void SendEof() {
    v1::PortForwardRequest request;
    request.set_eof(true);
    ASSERT_TRUE(stream_->Write(request));
  }

  // What the pod gets until its end of input.
  std::string PodReadsAll() {
    std::string all;
    char buffer[65536];
    for (ssize_t n; (n = read(pod_.get(), buffer, sizeof(buffer))) > 0;) {
      all.append(buffer, static_cast<size_t>(n));
    }
    return all;
  }

  // What the client gets until eof or the end of the stream.
  std::string ClientReadsAll() {
    std::string all;
    v1::PortForwardResponse response;
    while (stream_->Read(&response) && !response.eof()) all += response.data();
    return all;
  }

  absl::Status Finish() { return FromGrpcStatus(stream_->Finish()); }

  FakePodManager manager_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::PodService::Stub> stub_;
  grpc::ClientContext rpc_;
  std::unique_ptr<Stream> stream_;
  UniqueFd pod_;
  std::string dialled_;
};

TEST_F(PortForwardTest, EachDirectionEndsOnItsOwn) {
  Open();
  ExpectConnected();
  EXPECT_EQ(dialled_, "web:8080");
  Send("hello ");
  Send("pod");
  SendEof();
  EXPECT_EQ(PodReadsAll(), "hello pod");
  // The pod answers after the client's end.
  ASSERT_EQ(write(pod_.get(), "hello client", 12), 12);
  pod_.Reset();
  EXPECT_EQ(ClientReadsAll(), "hello client");
  EXPECT_THAT(Finish(), IsOk());
}

TEST_F(PortForwardTest, ThePodMayEndFirst) {
  Open();
  ExpectConnected();
  ASSERT_EQ(write(pod_.get(), "bye", 3), 3);
  shutdown(pod_.get(), SHUT_WR);
  EXPECT_EQ(ClientReadsAll(), "bye");
  Send("one more word");
  SendEof();
  EXPECT_EQ(PodReadsAll(), "one more word");
  EXPECT_THAT(Finish(), IsOk());
}

TEST_F(PortForwardTest, MuchDataGoesBothWaysAtOnce) {
  Open();
  ExpectConnected();
  const std::string much(8 << 20, 'x');
  std::string from_client;
  std::thread reader([&] { from_client = PodReadsAll(); });
  std::thread writer([&] {
    for (size_t at = 0; at < much.size();) {
      ssize_t n = write(pod_.get(), much.data() + at, much.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    shutdown(pod_.get(), SHUT_WR);
  });
  std::thread sender([&] {
    for (size_t at = 0; at < much.size(); at += 1 << 16) {
      Send(much.substr(at, 1 << 16));
    }
    SendEof();
  });
  EXPECT_EQ(ClientReadsAll().size(), much.size());
  reader.join();
  writer.join();
  sender.join();
  EXPECT_EQ(from_client.size(), much.size());
  EXPECT_THAT(Finish(), IsOk());
}

TEST_F(PortForwardTest, ConnectionIsClosedWhenTheClientGoes) {
  Open();
  ExpectConnected();
  rpc_.TryCancel();
  EXPECT_EQ(PodReadsAll(), "");
  EXPECT_THAT(Finish(), StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(PortForwardTest, APodThatTakesNoMoreIsAnError) {
  Open();
  ExpectConnected();
  pod_.Reset();
  EXPECT_EQ(ClientReadsAll(), "");
  Send("into the void");
  EXPECT_THAT(Finish(), StatusIs(absl::StatusCode::kAborted,
                                 HasSubstr("send(): Broken pipe")));
}

TEST_F(PortForwardTest, NobodyListens) {
  manager_.SetDial([](const std::string&, uint16_t) {
    return absl::StatusOr<UniqueFd>(
        absl::UnavailableError("connect(127.0.0.1:80): refused"));
  });
  Open("web", 80);
  v1::PortForwardResponse response;
  EXPECT_FALSE(stream_->Read(&response));
  EXPECT_THAT(Finish(), StatusIs(absl::StatusCode::kUnavailable,
                                 "connect(127.0.0.1:80): refused"));
}

TEST_F(PortForwardTest, BadStartsAreRefused) {
  Open("web", 65536);
  EXPECT_THAT(Finish(), StatusIs(absl::StatusCode::kInvalidArgument,
                                 "start.port: 65536 is not between 1 and "
                                 "65535"));
  grpc::ClientContext rpc;
  auto stream = stub_->PortForward(&rpc);
  v1::PortForwardRequest request;
  request.set_data("x");
  stream->Write(request);
  EXPECT_THAT(FromGrpcStatus(stream->Finish()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "start: the first message must hold it"));
}

}  // namespace
}  // namespace davit
