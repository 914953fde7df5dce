#include "agent/rpc/log_stream.h"

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "absl/time/clock.h"
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
using ::testing::ElementsAre;
using ::testing::StartsWith;

// What a test's journal holds, and how it was read.
struct FakeLog {
  std::vector<LogEntry> entries;
  LogOptions options;
  std::atomic<int> asked = 0;
  absl::Status result;

  absl::Status Read(const LogOptions& wanted,
                    const std::function<bool(const LogEntry&)>& sink,
                    const std::function<bool()>& ended) {
    options = wanted;
    for (const LogEntry& entry : entries) {
      if (!sink(entry)) return absl::OkStatus();
    }
    while (wanted.follow) {
      ++asked;
      if (ended()) break;
      absl::SleepFor(absl::Milliseconds(10));
    }
    return result;
  }
};

LogEntry Entry(const std::string& message, bool is_stderr = false) {
  LogEntry entry;
  entry.at = absl::FromUnixSeconds(1700000000);
  entry.is_stderr = is_stderr;
  entry.app = "app";
  entry.message = message;
  return entry;
}

class GetLogsTest : public ::testing::Test {
 protected:
  GetLogsTest() {
    PodSpec spec;
    spec.name = "web";
    manager_.Run(spec).IgnoreError();
    service_ = NewPodService(
        &manager_,
        [this](const auto& options, const auto& sink, const auto& ended) {
          return log_.Read(options, sink, ended);
        });
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::PodService::NewStub(server_->InProcessChannel({}));
  }

  ~GetLogsTest() override { server_->Shutdown(); }

  // All lines, "stream:message", and the status.
  absl::Status Read(const v1::GetLogsRequest& request) {
    grpc::ClientContext context;
    auto reader = stub_->GetLogs(&context, request);
    v1::GetLogsResponse response;
    while (reader->Read(&response)) {
      ++messages_;
      for (const v1::LogLine& line : response.lines()) {
        lines_.push_back(line.stream() + ":" + line.message());
      }
    }
    return FromGrpcStatus(reader->Finish());
  }

  FakePodManager manager_;
  FakeLog log_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::PodService::Stub> stub_;
  std::vector<std::string> lines_;
  int messages_ = 0;
};

TEST_F(GetLogsTest, InOrderWithAnyBytes) {
  log_.entries = {Entry("one"), Entry("two", true), Entry("\xff\x01")};
  v1::GetLogsRequest request;
  request.set_pod("web");
  request.set_app("app");
  ASSERT_THAT(Read(request), IsOk());
  EXPECT_THAT(lines_,
              ElementsAre("stdout:one", "stderr:two", "stdout:\xff\x01"));
  EXPECT_EQ(log_.options.app, "app");
  EXPECT_EQ(log_.options.journal_dir, "/journal/web");
  EXPECT_FALSE(log_.options.follow);
  EXPECT_EQ(log_.options.tail_lines, -1);
  EXPECT_EQ(log_.options.since, absl::InfinitePast());
}

TEST_F(GetLogsTest, ManyLinesTravelTogether) {
  log_.entries.assign(100000, Entry("a line of some length"));
  v1::GetLogsRequest request;
  request.set_pod("web");
  ASSERT_THAT(Read(request), IsOk());
  EXPECT_EQ(lines_.size(), 100000);
  EXPECT_LT(messages_, 500);
}

TEST_F(GetLogsTest, PassesTheOptions) {
  v1::GetLogsRequest request;
  request.set_pod("web");
  request.set_tail_lines(0);
  request.mutable_since_time()->set_seconds(1234);
  ASSERT_THAT(Read(request), IsOk());
  EXPECT_EQ(log_.options.tail_lines, 0);
  EXPECT_EQ(log_.options.since, absl::FromUnixSeconds(1234));

  request.mutable_since()->set_seconds(60);  // wins
  ASSERT_THAT(Read(request), IsOk());
  EXPECT_NEAR(absl::ToDoubleSeconds(absl::Now() - log_.options.since), 60, 20);
}

TEST_F(GetLogsTest, RefusesBadRequests) {
  v1::GetLogsRequest request;
  EXPECT_THAT(Read(request),
              StatusIs(absl::StatusCode::kInvalidArgument, "pod: is required"));
  request.set_pod("nope");
  EXPECT_THAT(Read(request), StatusIs(absl::StatusCode::kNotFound));
  request.set_pod("web");
  request.set_tail_lines(-2);
  EXPECT_THAT(Read(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                      StartsWith("tailLines: -2")));
  request.clear_tail_lines();
  request.mutable_since()->set_seconds(-1);
  EXPECT_THAT(Read(request), StatusIs(absl::StatusCode::kInvalidArgument,
                                      StartsWith("since: -1s")));
}

TEST_F(GetLogsTest, FollowSendsWaitingLinesAndEndsWithThePod) {
  log_.entries = {Entry("old one"), Entry("old two")};
  v1::GetLogsRequest request;
  request.set_pod("web");
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->GetLogs(&context, request);
  v1::GetLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));  // though the pod runs on
  EXPECT_EQ(response.lines_size(), 2);
  manager_.EndLog();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_THAT(FromGrpcStatus(reader->Finish()), IsOk());
}

TEST_F(GetLogsTest, FollowSendsAFreshLineAtOnce) {
  LogEntry fresh = Entry("fresh");
  fresh.at = absl::Now();
  log_.entries = {Entry("old"), fresh, Entry("last")};
  v1::GetLogsRequest request;
  request.set_pod("web");
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->GetLogs(&context, request);
  v1::GetLogsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.lines_size(), 2);
  manager_.EndLog();
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.lines(0).message(), "last");
}

TEST_F(GetLogsTest, FollowEndsWhenTheClientGoes) {
  v1::GetLogsRequest request;
  request.set_pod("web");
  request.set_follow(true);
  grpc::ClientContext context;
  auto reader = stub_->GetLogs(&context, request);
  while (log_.asked == 0) absl::SleepFor(absl::Milliseconds(5));
  context.TryCancel();
  EXPECT_THAT(FromGrpcStatus(reader->Finish()),
              StatusIs(absl::StatusCode::kCancelled));
  server_->Shutdown();  // returns only when the handler has
  int asked = log_.asked;
  absl::SleepFor(absl::Milliseconds(50));
  EXPECT_EQ(log_.asked, asked);
}

TEST_F(GetLogsTest, ReadErrorsComeAfterTheLines) {
  log_.entries = {Entry("good")};
  log_.result = absl::DataLossError("journal is broken");
  v1::GetLogsRequest request;
  request.set_pod("web");
  EXPECT_THAT(Read(request),
              StatusIs(absl::StatusCode::kDataLoss, "journal is broken"));
  EXPECT_THAT(lines_, ElementsAre("stdout:good"));
}

}  // namespace
}  // namespace davit
