#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "cli/detach_keys.h"
#include "cli/manifest.h"
#include "cli/net_flags.h"
#include "cli/output.h"
#include "cli/pod_view.h"
#include "tests/support/matchers.h"
#include "yaml-cpp/yaml.h"

namespace davit::cli {
namespace {

using ::absl::StatusCode;
using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kManifest[] = R"(
apiVersion: v1
kind: Pod
metadata:
  name: web
  creationTimestamp: null
  labels: {app: web, tier: "1"}
spec:
  restartPolicy: OnFailure
  terminationGracePeriodSeconds: 7
  containers:
  - name: httpd
    image: localhost/davit/demo
    args: ["-p", "80"]
    env:
    - name: N
      value: "5"
    ports:
    - containerPort: 80
    resources: {limits: {cpu: 1.5, memory: 64Mi}, requests: {cpu: 2}}
    securityContext:
      runAsUser: 33
      capabilities: {drop: [ALL]}
status: {}
)";

TEST(ManifestTest, ReadsWhatKubectlWrites) {
  ASSERT_OK_AND_ASSIGN(std::vector<v1::Pod> pods, ParseManifest(kManifest));
  ASSERT_EQ(pods.size(), 1u);
  const v1::Pod& pod = pods[0];
  EXPECT_EQ(pod.metadata().name(), "web");
  EXPECT_EQ(pod.metadata().labels().at("tier"), "1");
  EXPECT_EQ(pod.spec().restart_policy(), "OnFailure");
  EXPECT_EQ(pod.spec().termination_grace_period_seconds(), 7);
  ASSERT_EQ(pod.spec().containers_size(), 1);
  const v1::Container& app = pod.spec().containers(0);
  EXPECT_EQ(app.args(1), "80");
  EXPECT_EQ(app.env(0).value(), "5");
  EXPECT_EQ(app.ports(0).container_port(), 80);
  EXPECT_EQ(app.resources().limits().at("cpu"), "1.5");
  EXPECT_EQ(app.resources().limits().at("memory"), "64Mi");
  EXPECT_EQ(app.resources().requests().at("cpu"), "2");
  EXPECT_EQ(app.security_context().run_as_user(), 33);
  EXPECT_EQ(app.security_context().capabilities().drop(0), "ALL");
}

TEST(ManifestTest, ReadsJsonListsAndSeveralDocuments) {
  std::string pod =
      R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}})";
  ASSERT_OK_AND_ASSIGN(auto list, ParseManifest(R"({"kind":"List","items":[)" +
                                                pod + "," + pod + "]}"));
  EXPECT_EQ(list.size(), 2u);
  ASSERT_OK_AND_ASSIGN(auto documents,
                       ParseManifest(pod + "\n---\n" + pod + "\n---\n"));
  EXPECT_EQ(documents.size(), 2u);
}

struct BadManifest {
  const char* spec;
  const char* error;
};

TEST(ManifestTest, NamesThePathOfWhatItDoesNotSupport) {
  const BadManifest kBad[] = {
      {"{containers: [{name: a, image: b, livenessProbe: {exec: {command: "
       "[x]}}}]}",
       "spec.containers[0].livenessProbe: not supported"},
      {"{volumes: [{name: v}]}", "spec.volumes: not supported"},
      {"{containers: {name: a}}",
       "spec.containers: must be a list, but is a map"},
      {"{containers: [{name: 5}]}",
       "spec.containers[0].name: must be a string, but is a number"},
      {"{containers: [{env: [{name: A, value: 5}]}]}",
       "spec.containers[0].env[0].value: must be a string, but is a number"},
      {"{hostNetwork: \"yes\"}",
       "spec.hostNetwork: must be a boolean, but is a string"},
      {"{terminationGracePeriodSeconds: 1.5}",
       "spec.terminationGracePeriodSeconds: must be an integer, but is a "
       "number"},
      {"7", "spec: must be a map, but is a number"},
  };
  for (const BadManifest& bad : kBad) {
    EXPECT_THAT(ParseManifest(std::string("apiVersion: v1\nkind: Pod\nspec: ") +
                              bad.spec),
                StatusIs(StatusCode::kInvalidArgument, std::string(bad.error)));
  }
}

TEST(ManifestTest, RefusesOtherKindsAndNonsense) {
  EXPECT_THAT(
      ParseManifest("apiVersion: apps/v1\nkind: Deployment\n"),
      StatusIs(StatusCode::kInvalidArgument, HasSubstr("apps/v1/Deployment")));
  EXPECT_THAT(ParseManifest("a: [b"),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("cannot read")));
  EXPECT_THAT(ParseManifest(""),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("no pod")));
  EXPECT_THAT(ParseManifest("hello"), StatusIs(StatusCode::kInvalidArgument,
                                               HasSubstr("must be a map")));
  EXPECT_THAT(ParseManifest("kind: 5\napiVersion: v1"),
              StatusIs(StatusCode::kInvalidArgument, StartsWith("kind: ")));
}

TEST(ManifestTest, FindsWhatApplyWouldChange) {
  ASSERT_OK_AND_ASSIGN(auto wanted, ParseManifest(kManifest));
  v1::Pod actual = wanted[0];
  actual.mutable_spec()->set_hostname("web");  // the agent fills defaults
  EXPECT_THAT(CheckUnchanged(wanted[0], actual), IsOk());
  actual.mutable_spec()->mutable_containers(0)->set_args(1, "81");
  EXPECT_THAT(CheckUnchanged(wanted[0], actual),
              StatusIs(StatusCode::kFailedPrecondition,
                       StartsWith("spec.containers[0].args[1] would change")));
}

TEST(OutputTest, SaysDurationsAsKubectlDoes) {
  EXPECT_EQ(HumanDuration(absl::Seconds(-4)), "0s");
  EXPECT_EQ(HumanDuration(absl::Seconds(119)), "119s");
  EXPECT_EQ(HumanDuration(absl::Seconds(120)), "2m");
  EXPECT_EQ(HumanDuration(absl::Seconds(192)), "3m12s");
  EXPECT_EQ(HumanDuration(absl::Minutes(179)), "179m");
  EXPECT_EQ(HumanDuration(absl::Minutes(185)), "3h5m");
  EXPECT_EQ(HumanDuration(absl::Hours(47)), "47h");
  EXPECT_EQ(HumanDuration(absl::Hours(50)), "2d2h");
  EXPECT_EQ(HumanDuration(absl::Hours(24 * 20)), "20d");
}

TEST(OutputTest, AlignsTables) {
  Table table({"NAME", "AGE"});
  table.AddRow({"a-long-name", "5s"});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(), "NAME          AGE\na-long-name   5s\n");
}

TEST(OutputTest, YamlKeepsTypes) {
  Json json = {{"text", "5"},    {"yes", "true"},    {"n", 5},
               {"empty", ""},    {"list", {1, "a"}}, {"none", Json::object()},
               {"line", "a\nb"}, {"colon", "a: b"}};
  std::string yaml = ToYaml(json);
  YAML::Node back = YAML::Load(yaml);
  EXPECT_EQ(back["text"].Tag(), "!") << yaml;
  EXPECT_EQ(back["yes"].Tag(), "!") << yaml;
  EXPECT_EQ(back["n"].Tag(), "?") << yaml;
  EXPECT_EQ(back["line"].as<std::string>(), "a\nb");
  EXPECT_EQ(back["colon"].as<std::string>(), "a: b");
  EXPECT_EQ(back["empty"].as<std::string>(), "");
  EXPECT_TRUE(back["none"].IsMap());
}

v1::Pod PodIn(v1::PodState state) {
  v1::Pod pod;
  pod.mutable_status()->set_state(state);
  pod.mutable_spec()->add_containers()->set_image("img");
  return pod;
}

TEST(PodViewTest, TellsTheStatusInKubectlsWords) {
  v1::Pod pod = PodIn(v1::POD_STATE_RUNNING);
  EXPECT_EQ(PodStatusWord(pod), "Running");
  v1::ContainerStatus* app = pod.mutable_status()->add_container_statuses();
  app->mutable_state()->mutable_waiting()->set_reason("CrashLoopBackOff");
  EXPECT_EQ(PodStatusWord(pod), "CrashLoopBackOff");
  pod.mutable_status()->set_paused(true);
  EXPECT_EQ(PodStatusWord(pod), "Paused");
  pod.mutable_status()->set_paused(false);
  app->mutable_state()->clear_waiting();
  app->mutable_state()->mutable_terminated()->set_exit_code(3);
  EXPECT_EQ(PodStatusWord(pod), "Error");
  pod.mutable_status()->set_state(v1::POD_STATE_EXITED);
  EXPECT_EQ(PodStatusWord(pod), "Error");
  app->mutable_state()->mutable_terminated()->set_exit_code(0);
  EXPECT_EQ(PodStatusWord(pod), "Completed");
  pod.mutable_status()->set_state(v1::POD_STATE_REMOVING);
  EXPECT_EQ(PodStatusWord(pod), "Terminating");
}

TEST(PodViewTest, CountsReadyAppsAndRestarts) {
  v1::Pod pod = PodIn(v1::POD_STATE_RUNNING);
  pod.mutable_metadata()->set_name("web");
  pod.mutable_metadata()->mutable_creation_timestamp()->set_seconds(1000);
  pod.mutable_status()->set_pod_ip("10.0.0.2");
  v1::ContainerStatus* app = pod.mutable_status()->add_container_statuses();
  app->set_ready(true);
  app->set_restart_count(2);
  EXPECT_THAT(PodRow(pod, true, absl::FromUnixSeconds(1060)),
              ::testing::ElementsAre("web", "1/1", "Running", "2", "60s",
                                     "10.0.0.2", "img", ""));
}

// --- Detach keys ---

TEST(DetachKeysTest, AreFoundWhereverTheTypedIsCut) {
  ASSERT_OK_AND_ASSIGN(DetachKeys keys, DetachKeys::Parse("ctrl-p,ctrl-q"));
  DetachKeys::Typed typed = keys.Filter("ls\n\x10");
  EXPECT_EQ(typed.pass_on, "ls\n");
  EXPECT_FALSE(typed.detached);
  // It was no detaching: the held key is passed on.
  EXPECT_EQ(keys.Filter("x").pass_on, "\x10x");
  EXPECT_EQ(keys.Filter("\x10\x10").pass_on, "\x10");
  typed = keys.Filter("\x11more");
  EXPECT_EQ(typed.pass_on, "");
  EXPECT_TRUE(typed.detached);
}

TEST(DetachKeysTest, OtherKeysAndNone) {
  ASSERT_OK_AND_ASSIGN(DetachKeys keys, DetachKeys::Parse("ctrl-],ctrl-@,q"));
  EXPECT_TRUE(keys.Filter(std::string("a\x1d\0q", 4)).detached);
  ASSERT_OK_AND_ASSIGN(keys, DetachKeys::Parse(""));
  EXPECT_EQ(keys.Filter("\x10\x11").pass_on, "\x10\x11");
  for (const char* bad : {"ctrl-", "ctrl-1", "ctrl-p,", "alt-x", "ctrl-pq"}) {
    EXPECT_THAT(DetachKeys::Parse(bad), StatusIs(StatusCode::kInvalidArgument,
                                                 HasSubstr("--detach-keys")))
        << bad;
  }
}

// --- Flags of networks ---

MATCHER_P(IsOkAndHolds, value, "") { return arg.ok() && *arg == value; }

absl::StatusOr<std::string> Networks(const std::vector<std::string>& flags) {
  v1::PodSpec spec;
  absl::Status status = AddNetworks(flags, &spec);
  if (!status.ok()) return status;
  return spec.ShortDebugString();
}

TEST(NetFlagsTest, NetworksInRktsSyntax) {
  EXPECT_THAT(Networks({"a,b", "c"}),
              IsOkAndHolds("networks: \"a\" networks: \"b\" networks: \"c\""));
  EXPECT_THAT(
      Networks({"a,b:ips=10.1.2.3,mac=02:00:00:00:00:01,c:IP=fd00::2;alias=x"}),
      IsOkAndHolds("network_attachments { name: \"a\" } "
                   "network_attachments { name: \"b\" ips: \"10.1.2.3\" "
                   "mac: \"02:00:00:00:00:01\" } "
                   "network_attachments { name: \"c\" ips: \"fd00::2\" "
                   "aliases: \"x\" }"));
  EXPECT_THAT(
      Networks({"a:ips=10.1.2.3|10.1.2.4;interface=x;host-interface=y"}),
      IsOkAndHolds("network_attachments { name: \"a\" interface: \"x\" "
                   "ips: \"10.1.2.3\" ips: \"10.1.2.4\" "
                   "host_interface: \"y\" }"));
  EXPECT_THAT(Networks({"a:systemd-names=true"}),
              IsOkAndHolds("network_attachments { name: \"a\" "
                           "systemd_names: true }"));
  EXPECT_THAT(Networks({}), IsOkAndHolds(""));
}

TEST(NetFlagsTest, BadNetworksAreQuoted) {
  EXPECT_THAT(Networks({"a,,b"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--network \"a,,b\": a name is missing"));
  EXPECT_THAT(Networks({"ips=10.1.2.3"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("names no network")));
  EXPECT_THAT(Networks({"a:speed=1"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("\"speed=1\": the arguments are")));
  EXPECT_THAT(Networks({"a:ips"}), StatusIs(absl::StatusCode::kInvalidArgument,
                                            HasSubstr("must be KEY=VALUE")));
}

absl::StatusOr<std::string> Ports(const std::string& flag) {
  v1::Container app;
  absl::Status status = AddPort(flag, &app);
  if (!status.ok()) return status;
  return app.ShortDebugString();
}

TEST(NetFlagsTest, Ports) {
  EXPECT_THAT(Ports("80"),
              IsOkAndHolds("ports { container_port: 80 protocol: \"TCP\" }"));
  EXPECT_THAT(Ports("8080:80/udp"),
              IsOkAndHolds("ports { container_port: 80 protocol: \"UDP\" "
                           "host_port: 8080 }"));
  EXPECT_THAT(Ports("127.0.0.1:8080:80"),
              IsOkAndHolds("ports { container_port: 80 protocol: \"TCP\" "
                           "host_port: 8080 host_ip: \"127.0.0.1\" }"));
  EXPECT_THAT(Ports("[::1]:8080:80"),
              IsOkAndHolds("ports { container_port: 80 protocol: \"TCP\" "
                           "host_port: 8080 host_ip: \"::1\" }"));
  EXPECT_THAT(Ports("8080-8081:80-81"),
              IsOkAndHolds("ports { container_port: 80 protocol: \"TCP\" "
                           "host_port: 8080 } ports { container_port: 81 "
                           "protocol: \"TCP\" host_port: 8081 }"));
  for (const char* bad : {"", "http", "0", "65536", "80:", ":80", "1:2:3:4:",
                          "-1", "9-8", "[::1]:80", "8080-8082:80-81"}) {
    EXPECT_THAT(Ports(bad), StatusIs(absl::StatusCode::kInvalidArgument,
                                     HasSubstr("--port")))
        << bad;
  }
}

TEST(NetFlagsTest, ForwardedPorts) {
  ASSERT_OK_AND_ASSIGN(ForwardedPort port, ParseForwardedPort("8080:80"));
  EXPECT_EQ(port.local, 8080);
  EXPECT_EQ(port.remote, 80);
  EXPECT_EQ(ParseForwardedPort("80")->local, 80);
  EXPECT_EQ(ParseForwardedPort(":80")->local, 0);
  for (const char* bad : {"", "x", "1:2:3", "0", "80:0", "80-81", "70000"}) {
    EXPECT_THAT(ParseForwardedPort(bad),
                StatusIs(absl::StatusCode::kInvalidArgument))
        << bad;
  }
}

TEST(NetFlagsTest, AddedHosts) {
  v1::PodSpec spec;
  ASSERT_THAT(AddHost("db,db.example:fd00::9", &spec), IsOk());
  EXPECT_EQ(spec.ShortDebugString(),
            "host_aliases { ip: \"fd00::9\" hostnames: \"db\" "
            "hostnames: \"db.example\" }");
  EXPECT_THAT(AddHost("db", &spec),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace davit::cli
