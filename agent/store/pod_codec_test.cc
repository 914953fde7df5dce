#include "agent/store/pod_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::nlohmann::json;
using ::testing::HasSubstr;

constexpr char kId[] = "6a1c1f3e-1f0e-4b7e-9a0e-2f6b8c1d2e3f";

Pod FullPod() {
  Pod pod;
  pod.id = kId;
  pod.spec.name = "web";
  pod.spec.hostname = "web";
  pod.spec.labels = {{"tier", "front"}};
  ContainerSpec container;
  container.name = "app";
  container.image = "nginx";
  container.env = {{"A", "$(B)\n\"quoted\" \xc3\xa4"}};
  pod.spec.containers = {container};
  pod.created_at = absl::FromUnixMillis(1'700'000'000'123);
  pod.root_image_id = "sha256:root";
  pod.status.state = PodState::kStopping;
  pod.status.reason = "Stopped";
  pod.status.started_at = absl::FromUnixMillis(1'700'000'001'000);
  pod.status.netns_path = "/run/netns/cni-x";
  pod.status.init = {4711, 0};
  InterfaceStatus interface;
  interface.network = "default";
  interface.ifname = "eth0";
  interface.addresses = {"172.16.28.2/24"};
  pod.status.interfaces = {interface};
  AppState app;
  app.name = "app";
  app.image = "nginx";
  app.image_id = "sha256:app";
  app.status.state = AppStatus::State::kTerminated;
  app.status.exit_code = 143;
  app.status.finished_at = absl::FromUnixMillis(1'700'000'002'500);
  pod.status.apps = {app};
  pod.intents = {
      {IntentKind::kOverlay, absl::FromUnixMillis(1'700'000'001'001), ""},
      {IntentKind::kNetns, absl::FromUnixMillis(1'700'000'001'002), ""},
      {IntentKind::kNetwork, absl::FromUnixMillis(1'700'000'001'003), "hung"},
      {IntentKind::kBoot, absl::FromUnixMillis(1'700'000'001'004), ""},
  };
  pod.stop_requested = true;
  pod.remove_requested = true;
  return pod;
}

TEST(PodCodecTest, RoundTrip) {
  Pod pod = FullPod();
  ASSERT_OK_AND_ASSIGN(std::string text, EncodePodRecord(pod));
  ASSERT_OK_AND_ASSIGN(Pod back, DecodePodRecord(text));
  EXPECT_EQ(back.id, pod.id);
  EXPECT_EQ(back.spec.name, "web");
  EXPECT_EQ(back.spec.labels, pod.spec.labels);
  EXPECT_EQ(back.spec.containers, pod.spec.containers);
  EXPECT_EQ(back.created_at, pod.created_at);
  EXPECT_EQ(back.root_image_id, "sha256:root");
  EXPECT_EQ(back.status.state, PodState::kStopping);
  EXPECT_EQ(back.status.reason, "Stopped");
  EXPECT_EQ(back.status.started_at, pod.status.started_at);
  EXPECT_EQ(back.status.netns_path, pod.status.netns_path);
  EXPECT_EQ(back.status.init, pod.status.init);
  ASSERT_EQ(back.status.interfaces.size(), 1u);
  EXPECT_EQ(back.status.interfaces[0].addresses,
            pod.status.interfaces[0].addresses);
  ASSERT_EQ(back.status.apps.size(), 1u);
  EXPECT_EQ(back.status.apps[0].status, pod.status.apps[0].status);
  EXPECT_EQ(back.status.apps[0].image_id, "sha256:app");
  ASSERT_EQ(back.intents.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(back.intents[i].kind, pod.intents[i].kind);
    EXPECT_EQ(back.intents[i].time, pod.intents[i].time);
    EXPECT_EQ(back.intents[i].error, pod.intents[i].error);
  }
  EXPECT_TRUE(back.stop_requested);
  EXPECT_TRUE(back.remove_requested);
  // The second text is the first: nothing gets lost on the way.
  EXPECT_EQ(EncodePodRecord(back).value(), text);
}

TEST(PodCodecTest, PeopleCanReadIt) {
  ASSERT_OK_AND_ASSIGN(std::string text, EncodePodRecord(FullPod()));
  json record = json::parse(text);
  EXPECT_EQ(record["version"], 1);
  EXPECT_EQ(record["pod"]["metadata"]["name"], "web");
  EXPECT_EQ(record["intents"][2]["kind"], "network");
  EXPECT_EQ(record["imageIds"]["app"], "sha256:app");
  EXPECT_THAT(text, HasSubstr("\n"));
}

TEST(PodCodecTest, BrokenRecords) {
  const json good = json::parse(EncodePodRecord(FullPod()).value());
  const struct {
    const char* pointer;
    json value;
    const char* message;
  } cases[] = {
      {"/version", 0, "version is missing"},
      {"/pod/metadata/uid", "../../etc", "uid is no UUID"},
      {"/pod/metadata/name", "", "name"},
      {"/pod/status/state", "POD_STATE_UNSPECIFIED", "status.state"},
      {"/pod/status/containerStatuses", json::array(), "containerStatuses"},
      {"/pod/status/containerStatuses/0/name", "x",
       "containerStatuses[0].name"},
      {"/intents/1/kind", "typo", "intents[1].kind: unknown word \"typo\""},
      {"/intents", "x", ""},
  };
  for (const auto& c : cases) {
    json bad = good;
    bad[json::json_pointer(c.pointer)] = c.value;
    EXPECT_THAT(DecodePodRecord(bad.dump()),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(c.message)))
        << c.pointer;
  }
}

TEST(PodCodecTest, Garbage) {
  std::string good = EncodePodRecord(FullPod()).value();
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[]"),
        std::string("\0\xff", 2), good.substr(0, good.size() / 2),
        std::string(100'000, '{')}) {
    EXPECT_THAT(DecodePodRecord(text), StatusIs(absl::StatusCode::kDataLoss))
        << text.substr(0, 20);
  }
}

TEST(PodCodecTest, NewerVersionIsRefusedNotLost) {
  json record = json::parse(EncodePodRecord(FullPod()).value());
  record["version"] = 2;
  EXPECT_THAT(DecodePodRecord(record.dump()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("version 2 is newer")));
}

TEST(PodCodecTest, FieldsOfALaterAgentAreSkipped) {
  json record = json::parse(EncodePodRecord(FullPod()).value());
  record["later"] = {{"a", 1}};
  record["pod"]["spec"]["later"] = "x";
  EXPECT_TRUE(DecodePodRecord(record.dump()).ok());
}

}  // namespace
}  // namespace davit
