#include "agent/rpc/pod_service.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>

#include "absl/time/clock.h"
#include "agent/rpc/grpc_status.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

v1::Pod PodOf(const std::string& name) {
  v1::Pod pod;
  pod.mutable_metadata()->set_name(name);
  (*pod.mutable_metadata()->mutable_labels())["name"] = name;
  v1::Container* container = pod.mutable_spec()->add_containers();
  container->set_name("app");
  container->set_image("busybox");
  return pod;
}

std::string Describe(const v1::WatchPodsResponse& event) {
  return v1::WatchPodsResponse::Type_Name(event.type()) + " " +
         event.pod().metadata().name() + " " +
         v1::PodState_Name(event.pod().status().state());
}

class PodServiceTest : public ::testing::Test {
 protected:
  PodServiceTest() {
    service_ = NewPodService(&manager_, nullptr);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::PodService::NewStub(server_->InProcessChannel({}));
  }

  ~PodServiceTest() override { server_->Shutdown(); }

  template <typename Request, typename Response>
  absl::Status Call(grpc::Status (v1::PodService::Stub::*method)(
                        grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    return FromGrpcStatus((stub_.get()->*method)(&context, request, response));
  }

  absl::Status Run(const v1::Pod& pod) {
    v1::RunPodRequest request;
    *request.mutable_pod() = pod;
    return Call(&v1::PodService::Stub::RunPod, request, &run_response_);
  }

  void RunAll(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
      ASSERT_THAT(Run(PodOf(name)), IsOk());
    }
  }

  FakePodManager manager_;
  v1::RunPodResponse run_response_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::PodService::Stub> stub_;
};

TEST_F(PodServiceTest, RunAnswersWithTheRunningPod) {
  PodUsage usage;
  usage.memory_bytes = 4096;
  manager_.SetUsage(usage);
  ASSERT_THAT(Run(PodOf("web")), IsOk());
  EXPECT_EQ(run_response_.pod().metadata().name(), "web");
  EXPECT_EQ(run_response_.pod().spec().hostname(), "web");
  EXPECT_EQ(run_response_.pod().status().state(), v1::POD_STATE_RUNNING);
  EXPECT_EQ(run_response_.pod().status().usage().memory_bytes(), 4096);
}

TEST_F(PodServiceTest, UsersAreTheAgentsDefaultUnlessTheSpecSaysIt) {
  ASSERT_THAT(Run(PodOf("web")), IsOk());
  EXPECT_TRUE(run_response_.pod().spec().host_users());
  std::unique_ptr<grpc::Service> other =
      NewPodService(&manager_, nullptr, {.host_users = false});
  grpc::ServerBuilder builder;
  builder.RegisterService(other.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  stub_ = v1::PodService::NewStub(server->InProcessChannel({}));
  ASSERT_THAT(Run(PodOf("own")), IsOk());
  EXPECT_TRUE(run_response_.pod().spec().has_host_users());
  EXPECT_FALSE(run_response_.pod().spec().host_users());
  v1::Pod pod = PodOf("hosts");
  pod.mutable_spec()->set_host_users(true);
  ASSERT_THAT(Run(pod), IsOk());
  EXPECT_TRUE(run_response_.pod().spec().host_users());
  // The default counts when the spec is checked.
  pod = PodOf("big");
  pod.mutable_spec()
      ->mutable_containers(0)
      ->mutable_security_context()
      ->set_run_as_user(70000);
  EXPECT_THAT(Run(pod), StatusIs(absl::StatusCode::kInvalidArgument,
                                 HasSubstr("runAsUser: 70000")));
  stub_.reset();
  server->Shutdown();
}

TEST_F(PodServiceTest, ResourcesAndPausesReachTheManager) {
  RunAll({"web"});
  v1::UpdatePodResourcesRequest resources;
  resources.set_pod("web");
  (*resources.mutable_resources()->mutable_limits())["memory"] = "64Mi";
  v1::UpdatePodResourcesResponse updated;
  ASSERT_THAT(
      Call(&v1::PodService::Stub::UpdatePodResources, resources, &updated),
      IsOk());
  EXPECT_EQ(updated.pod().spec().resources().limits().at("memory"), "64Mi");
  v1::PausePodRequest pause;
  pause.set_pod("web");
  v1::PausePodResponse paused;
  ASSERT_THAT(Call(&v1::PodService::Stub::PausePod, pause, &paused), IsOk());
  EXPECT_TRUE(paused.pod().status().paused());
  v1::UnpausePodRequest unpause;
  unpause.set_pod("web");
  v1::UnpausePodResponse unpaused;
  ASSERT_THAT(Call(&v1::PodService::Stub::UnpausePod, unpause, &unpaused),
              IsOk());
  EXPECT_FALSE(unpaused.pod().status().paused());
  pause.set_pod("nope");
  EXPECT_THAT(Call(&v1::PodService::Stub::PausePod, pause, &paused),
              StatusIs(absl::StatusCode::kNotFound));
}

TEST_F(PodServiceTest, VolumesAreForRootAlone) {
  RunAll({"web"});
  v1::MountVolumeRequest mount;
  mount.set_pod("web");
  mount.set_source("/srv");
  mount.set_target("/data");
  v1::MountVolumeResponse mounted;
  auto denied = StatusIs(absl::StatusCode::kPermissionDenied,
                         "volumes are for root of the node alone");
  EXPECT_THAT(Call(&v1::PodService::Stub::MountVolume, mount, &mounted),
              denied);
  v1::UnmountVolumeRequest unmount;
  unmount.set_pod("web");
  unmount.set_target("/data");
  v1::UnmountVolumeResponse unmounted;
  EXPECT_THAT(Call(&v1::PodService::Stub::UnmountVolume, unmount, &unmounted),
              denied);

  std::unique_ptr<grpc::Service> service =
      NewPodService(&manager_, nullptr, {.for_root = true});
  grpc::ServerBuilder builder;
  builder.RegisterService(service.get());
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  stub_ = v1::PodService::NewStub(server->InProcessChannel({}));
  ASSERT_THAT(Call(&v1::PodService::Stub::MountVolume, mount, &mounted),
              IsOk());
  ASSERT_EQ(mounted.pod().status().mounts_size(), 1);
  EXPECT_EQ(mounted.pod().status().mounts(0).source(), "/srv");
  ASSERT_THAT(Call(&v1::PodService::Stub::UnmountVolume, unmount, &unmounted),
              IsOk());
  EXPECT_EQ(unmounted.pod().status().mounts_size(), 0);
  for (const char* bad : {"", "data", "/", "/a//b", "/a/../b", "/a/.", "/a/"}) {
    mount.set_target(bad);
    EXPECT_THAT(
        Call(&v1::PodService::Stub::MountVolume, mount, &mounted),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("target: ")))
        << bad;
  }
  mount.set_target("/data");
  mount.set_source("srv");
  EXPECT_THAT(
      Call(&v1::PodService::Stub::MountVolume, mount, &mounted),
      StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("source: ")));
  stub_.reset();
  server->Shutdown();
}

TEST_F(PodServiceTest, BadSpecsNeverReachTheManager) {
  v1::Pod pod = PodOf("web");
  pod.mutable_spec()->set_restart_policy("Perhaps");
  EXPECT_THAT(Run(pod), StatusIs(absl::StatusCode::kInvalidArgument,
                                 StartsWith("spec.restartPolicy: ")));
  pod = PodOf("web");
  pod.mutable_spec()->mutable_containers(0)->set_image("");
  v1::CreatePodRequest request;
  *request.mutable_pod() = pod;
  v1::CreatePodResponse response;
  EXPECT_THAT(Call(&v1::PodService::Stub::CreatePod, request, &response),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("spec.containers[0].image: is required")));
  EXPECT_TRUE(manager_.List().pods.empty());
}

TEST_F(PodServiceTest, ErrorsOfTheManagerComeThrough) {
  manager_.FailNext(absl::DeadlineExceededError("plugin \"ptp\" hung"));
  EXPECT_THAT(Run(PodOf("web")), StatusIs(absl::StatusCode::kDeadlineExceeded,
                                          "plugin \"ptp\" hung"));
  v1::GetPodRequest request;
  request.set_pod("nope");
  v1::GetPodResponse response;
  EXPECT_THAT(Call(&v1::PodService::Stub::GetPod, request, &response),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("nope")));
}

TEST_F(PodServiceTest, APodMustBeNamed) {
  v1::StartPodResponse start;
  EXPECT_THAT(Call(&v1::PodService::Stub::StartPod, {}, &start),
              StatusIs(absl::StatusCode::kInvalidArgument, "pod: is required"));
  v1::RemovePodResponse remove;
  EXPECT_THAT(Call(&v1::PodService::Stub::RemovePod, {}, &remove),
              StatusIs(absl::StatusCode::kInvalidArgument, "pod: is required"));
}

TEST_F(PodServiceTest, StopPassesTheGrace) {
  RunAll({"web"});
  v1::StopPodRequest request;
  request.set_pod("web");
  v1::StopPodResponse response;
  ASSERT_THAT(Call(&v1::PodService::Stub::StopPod, request, &response), IsOk());
  EXPECT_EQ(manager_.last_grace(), std::nullopt);
  EXPECT_EQ(response.pod().status().state(), v1::POD_STATE_EXITED);
  EXPECT_FALSE(response.pod().status().has_usage());

  request.set_grace_period_seconds(0);
  ASSERT_THAT(Call(&v1::PodService::Stub::StopPod, request, &response), IsOk());
  EXPECT_EQ(manager_.last_grace(), absl::ZeroDuration());

  request.set_grace_period_seconds(-1);
  EXPECT_THAT(Call(&v1::PodService::Stub::StopPod, request, &response),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("gracePeriodSeconds: -1 ")));
}

TEST_F(PodServiceTest, RemoveSaysWhetherThereWasOne) {
  RunAll({"web"});
  v1::RemovePodRequest request;
  request.set_pod("web");
  v1::RemovePodResponse response;
  ASSERT_THAT(Call(&v1::PodService::Stub::RemovePod, request, &response),
              IsOk());
  EXPECT_FALSE(response.missing());
  ASSERT_THAT(Call(&v1::PodService::Stub::RemovePod, request, &response),
              IsOk());
  EXPECT_TRUE(response.missing());
}

TEST_F(PodServiceTest, ListsInPages) {
  RunAll({"c", "a", "b"});
  v1::ListPodsRequest request;
  request.set_page_size(2);
  v1::ListPodsResponse first, second;
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, request, &first), IsOk());
  ASSERT_EQ(first.pods_size(), 2);
  EXPECT_EQ(first.pods(0).metadata().name(), "a");
  EXPECT_EQ(first.pods(1).metadata().name(), "b");
  ASSERT_NE(first.next_page_token(), "");

  RunAll({"d"});  // between the pages
  request.set_page_token(first.next_page_token());
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, request, &second), IsOk());
  ASSERT_EQ(second.pods_size(), 2);
  EXPECT_EQ(second.pods(0).metadata().name(), "c");
  EXPECT_EQ(second.pods(1).metadata().name(), "d");
  EXPECT_EQ(second.next_page_token(), "");
  // Continues after the first page, so that nothing is missed.
  EXPECT_EQ(second.cursor(), first.cursor());
}

TEST_F(PodServiceTest, ListsByLabels) {
  RunAll({"a", "b"});
  v1::ListPodsRequest request;
  (*request.mutable_label_selector())["name"] = "b";
  v1::ListPodsResponse response;
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, request, &response),
              IsOk());
  ASSERT_EQ(response.pods_size(), 1);
  EXPECT_EQ(response.pods(0).metadata().name(), "b");
  (*request.mutable_label_selector())["other"] = "";
  response.Clear();
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, request, &response),
              IsOk());
  EXPECT_EQ(response.pods_size(), 0);
}

TEST_F(PodServiceTest, ListRefusesBadPages) {
  v1::ListPodsRequest request;
  v1::ListPodsResponse response;
  request.set_page_token("nonsense");
  EXPECT_THAT(Call(&v1::PodService::Stub::ListPods, request, &response),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("pageToken: \"nonsense\"")));
  request.Clear();
  request.set_page_size(-3);
  EXPECT_THAT(
      Call(&v1::PodService::Stub::ListPods, request, &response),
      StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("pageSize: -3")));
}

TEST_F(PodServiceTest, WatchBeginsWithAllThenFollows) {
  RunAll({"a", "b"});
  grpc::ClientContext context;
  auto reader = stub_->WatchPods(&context, {});
  std::vector<std::string> seen;
  v1::WatchPodsResponse event;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&event));
    seen.push_back(Describe(event));
  }
  EXPECT_NE(event.cursor(), "");
  RunAll({"c"});
  manager_.Remove("c", std::nullopt).IgnoreError();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(reader->Read(&event));
    seen.push_back(Describe(event));
  }
  EXPECT_THAT(
      seen, ElementsAre(
                "ADDED a POD_STATE_RUNNING", "ADDED b POD_STATE_RUNNING",
                "SYNCED  POD_STATE_UNSPECIFIED", "ADDED c POD_STATE_CREATED",
                "MODIFIED c POD_STATE_RUNNING", "DELETED c POD_STATE_RUNNING"));
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_THAT(FromGrpcStatus(reader->Finish()),
              StatusIs(absl::StatusCode::kCancelled));
}

TEST_F(PodServiceTest, WatchResumesFromACursor) {
  RunAll({"a"});
  v1::ListPodsResponse list;
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, {}, &list), IsOk());
  RunAll({"b"});

  v1::WatchPodsRequest request;
  request.set_cursor(list.cursor());
  grpc::ClientContext context;
  auto reader = stub_->WatchPods(&context, request);
  v1::WatchPodsResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(Describe(event), "ADDED b POD_STATE_CREATED");

  // An event's cursor goes on after the event.
  request.set_cursor(event.cursor());
  grpc::ClientContext context2;
  auto reader2 = stub_->WatchPods(&context2, request);
  ASSERT_TRUE(reader2->Read(&event));
  EXPECT_EQ(Describe(event), "MODIFIED b POD_STATE_RUNNING");
  context.TryCancel();
  context2.TryCancel();
  reader->Finish();
  reader2->Finish();
}

TEST_F(PodServiceTest, WatchByLabels) {
  RunAll({"a", "b"});
  v1::WatchPodsRequest request;
  (*request.mutable_label_selector())["name"] = "b";
  grpc::ClientContext context;
  auto reader = stub_->WatchPods(&context, request);
  v1::WatchPodsResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(Describe(event), "ADDED b POD_STATE_RUNNING");
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.type(), v1::WatchPodsResponse::SYNCED);
  manager_.Update("a", [](Pod&) {});
  manager_.Update("b", [](Pod& pod) { pod.status.reason = "x"; });
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.pod().metadata().name(), "b");
  context.TryCancel();
  reader->Finish();
}

TEST_F(PodServiceTest, WatchRefusesOldAndForeignCursors) {
  v1::ListPodsResponse list;
  ASSERT_THAT(Call(&v1::PodService::Stub::ListPods, {}, &list), IsOk());
  RunAll({"a"});
  manager_.ForgetEventsBefore(manager_.List().sequence);
  struct Case {
    std::string cursor;
    absl::StatusCode code;
  };
  for (const Case& c : {Case{list.cursor(), absl::StatusCode::kOutOfRange},
                        Case{"another:1", absl::StatusCode::kOutOfRange},
                        Case{"nonsense", absl::StatusCode::kInvalidArgument}}) {
    v1::WatchPodsRequest request;
    request.set_cursor(c.cursor);
    grpc::ClientContext context;
    auto reader = stub_->WatchPods(&context, request);
    v1::WatchPodsResponse event;
    EXPECT_FALSE(reader->Read(&event));
    EXPECT_THAT(FromGrpcStatus(reader->Finish()), StatusIs(c.code)) << c.cursor;
  }
}

TEST_F(PodServiceTest, WatchEndsWhenTheAgentDrains) {
  grpc::ClientContext context;
  auto reader = stub_->WatchPods(&context, {});
  v1::WatchPodsResponse event;
  ASSERT_TRUE(reader->Read(&event));
  manager_.Drain(absl::ZeroDuration());
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_THAT(FromGrpcStatus(reader->Finish()),
              StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(PodServiceTest, WatchUnsubscribesWhenTheClientGoes) {
  {
    grpc::ClientContext context;
    auto reader = stub_->WatchPods(&context, {});
    v1::WatchPodsResponse event;
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(manager_.subscriptions(), 1);
    context.TryCancel();
    reader->Finish();
  }
  absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (manager_.subscriptions() > 0 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(manager_.subscriptions(), 0);
}

}  // namespace
}  // namespace davit
