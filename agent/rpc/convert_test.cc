#include "agent/rpc/convert.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>

#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

absl::Time At(int64_t seconds) {
  return absl::FromUnixSeconds(1700000000 + seconds) + absl::Nanoseconds(7);
}

ContainerSpec FullContainer() {
  ContainerSpec container;
  container.name = "web";
  container.image = "nginx";
  container.command = {"/bin/nginx", "-g"};
  container.args = {"daemon off;", ""};
  container.working_dir = "/srv";
  container.env = {{"A", "1"}, {"A", ""}};
  container.ports = {{"http", 80, "TCP", 8080, "192.0.2.1"},
                     {"dns", 53, "UDP"}};
  SecurityContext& security = container.security;
  security.run_as_user = 0;
  security.run_as_group = 7;
  security.run_as_non_root = false;
  security.read_only_root_filesystem = true;
  security.allow_privilege_escalation = false;
  security.privileged = true;
  security.add_capabilities = {"NET_ADMIN"};
  security.drop_capabilities = {"ALL"};
  security.confinement.seccomp = {ProfileType::kLocalhost, "web.json"};
  security.confinement.app_armor = {ProfileType::kLocalhost, "web"};
  security.confinement.se_linux = {"u", "r", "t", "s0:c1"};
  container.resources = {{{"memory", "64Mi"}}, {{"cpu", "1"}}};
  return container;
}

AppStatus Terminated() {
  AppStatus status;
  status.state = AppStatus::State::kTerminated;
  status.reason = "Error";
  status.message = "went wrong";
  status.exit_code = 137;
  status.signal = 9;
  status.started_at = At(20);
  status.finished_at = At(30);
  return status;
}

AppState App(const std::string& name, AppStatus status) {
  AppState app;
  app.name = name;
  app.image = "docker.io/library/nginx:latest";
  app.image_id = "sha256:11";
  app.status = std::move(status);
  app.status.restarts = 3;
  app.last = Terminated();
  app.started = true;
  return app;
}

AppStatus Running() {
  AppStatus status;
  status.state = AppStatus::State::kRunning;
  status.started_at = At(40);
  return status;
}

AppStatus Waiting() {
  AppStatus status;
  status.reason = "CrashLoopBackOff";
  status.message = "back-off";
  return status;
}

PodSpec FullSpec() {
  PodSpec spec;
  spec.name = "shop";
  spec.labels = {{"app", "shop"}, {"tier", ""}};
  spec.annotations = {{"note", "any text"}};
  spec.containers = {FullContainer(), FullContainer()};
  spec.containers[1].name = "side";
  spec.restart_policy = RestartPolicy::kOnFailure;
  spec.hostname = "till";
  spec.host_network = true;
  spec.termination_grace = absl::Seconds(0);
  spec.dns_policy = DnsPolicy::kNone;
  spec.dns.domain = "corp.example";
  spec.subdomain = "shop";
  spec.host_users = false;
  spec.resources = {{{"cpu", "2"}, {"memory", "1Gi"}}, {{"cpu", "500m"}}};
  spec.confinement.seccomp = {ProfileType::kLocalhost, "shop.json"};
  spec.confinement.app_armor = {ProfileType::kLocalhost, "shop"};
  spec.confinement.se_linux = {"a_u", "a_r", "shop_t", "s1"};
  spec.host_aliases = {{"192.0.2.9", {"db", "db.example"}}};
  spec.attachments = {{.name = "a",
                       .interface = "front",
                       .ips = {"10.1.2.3/24"},
                       .mac = "02:00:00:00:00:01",
                       .aliases = {"x"},
                       .host_interface = "up7",
                       .systemd_names = true}};
  spec.dns.nameservers = {"192.0.2.1"};
  spec.dns.search = {"example.org"};
  spec.dns.options = {"ndots:2", "edns0", "empty:"};
  spec.root_image = "localhost/machine";
  spec.networks = {"default", "back"};
  return spec;
}

PodExit FullExit() {
  PodExit exit;
  exit.kind = PodExit::Kind::kSignaled;
  exit.code = 5;
  exit.signal = 9;
  exit.oom_killed = true;
  exit.stop_requested = true;
  exit.at = At(60);
  return exit;
}

PodStatus FullStatus() {
  PodStatus status;
  status.state = PodState::kRunning;
  status.reason = "Reason";
  status.message = "message";
  status.started_at = At(10);
  status.finished_at = At(60);
  status.host_ip = "192.0.2.1";
  status.dns = FullSpec().dns;
  status.exit = FullExit();
  status.interfaces = {{"default",
                        "eth0",
                        "02:00:00:00:00:01",
                        "ve-shop",
                        {"172.16.28.2/24", "fd00::2/64"},
                        {"172.16.28.1"}}};
  InterfaceStatus& interface = status.interfaces[0];
  interface.routes = {{"0.0.0.0/0", "172.16.28.1"}, {"10.0.0.0/8", ""}};
  // A record must be readable whatever a plugin said.
  interface.dns.options = {":odd", "ndots:1"};
  interface.dns.nameservers = {"172.16.28.53"};
  interface.dns.search = {"a.example"};
  interface.dns.domain = "b.example";
  interface.mtu = 1460;
  status.apps = {App("web", Running()), App("side", Waiting()),
                 App("job", Terminated())};
  status.start_phases = {{"image", absl::Milliseconds(1)},
                         {"ready", absl::Seconds(2) + absl::Nanoseconds(5)}};
  status.init.pid = 4711;
  status.userns = {"/run/davit/pods/x/userns", 1 << 20};
  status.netns_path = "/var/run/netns/cni-x";
  status.cgroups = {"/sys/fs/cgroup/davit/x", "/sys/fs/cgroup/memory/x"};
  status.system_state = "degraded";
  status.paused = true;
  status.mounts = {{"/srv/a", "/data", "web", true, 77}};
  return status;
}

Pod FullPod() {
  Pod pod;
  pod.id = "6f2f5bd0-7d3c-4c0e-8a54-06cbd1a6a0c1";
  pod.spec = FullSpec();
  pod.created_at = At(0);
  pod.root_image_id = "sha256:22";
  pod.status = FullStatus();
  pod.intents = {{IntentKind::kNetwork, At(1), "plugin says no"},
                 {IntentKind::kBoot, At(2), ""}};
  return pod;
}

// The paths of all fields that no message below `message` has set; repeated
// messages count as one.
void CollectFields(const google::protobuf::Message& message,
                   const std::string& path, std::set<std::string>& set,
                   std::set<std::string>& all) {
  const auto* descriptor = message.GetDescriptor();
  const auto* reflection = message.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const auto* field = descriptor->field(i);
    std::string name = path + field->name();
    all.insert(name);
    bool is_message =
        field->cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE;
    if (field->is_repeated()) {
      int size = reflection->FieldSize(message, field);
      if (size > 0) set.insert(name);
      for (int j = 0; is_message && !field->is_map() && j < size; ++j) {
        CollectFields(reflection->GetRepeatedMessage(message, field, j),
                      name + ".", set, all);
      }
    } else if (reflection->HasField(message, field)) {
      set.insert(name);
      if (is_message &&
          field->message_type()->file()->package() == "davit.v1") {
        CollectFields(reflection->GetMessage(message, field), name + ".", set,
                      all);
      }
    }
  }
}

TEST(ConvertTest, ToProtoSetsEveryFieldOfTheApi) {
  std::set<std::string> set, all, unset;
  CollectFields(ToProto(FullPod()), "", set, all);
  std::set_difference(all.begin(), all.end(), set.begin(), set.end(),
                      std::inserter(unset, unset.begin()));
  EXPECT_THAT(unset, UnorderedElementsAre(
                         // Not kept: it only decides about the request.
                         "spec.containers.image_pull_policy",
                         // The last state is always a terminated one.
                         "status.container_statuses.last_state.running",
                         "status.container_statuses.last_state.waiting",
                         // Measured by GetPod.
                         "status.usage"));
}

TEST(ConvertTest, EverythingComesBack) {
  v1::Pod first = ToProto(FullPod());
  ASSERT_OK_AND_ASSIGN(Pod restored, FromProto(first));
  v1::Pod second = ToProto(restored);
  // Those of the record's own fields (see convert.h).
  first.mutable_status()->clear_leftovers();
  std::string difference;
  MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differencer.Compare(first, second)) << difference;

  EXPECT_EQ(restored.spec.containers, FullSpec().containers);
  EXPECT_EQ(restored.spec.dns, FullSpec().dns);
  EXPECT_EQ(restored.spec.attachments, FullSpec().attachments);
  EXPECT_EQ(restored.spec.host_aliases, FullSpec().host_aliases);
  EXPECT_EQ(restored.status.dns, FullStatus().dns);
  EXPECT_EQ(restored.status.interfaces[0].dns, FullStatus().interfaces[0].dns);
  EXPECT_EQ(restored.status.interfaces[0].routes,
            FullStatus().interfaces[0].routes);
  EXPECT_EQ(restored.spec.termination_grace, absl::ZeroDuration());
  EXPECT_EQ(restored.created_at, At(0));
  EXPECT_EQ(restored.status.exit->kind, PodExit::Kind::kSignaled);
  EXPECT_EQ(restored.status.exit->at, At(60));
  ASSERT_EQ(restored.status.apps.size(), 3);
  EXPECT_EQ(restored.status.apps[0].status, FullStatus().apps[0].status);
  EXPECT_EQ(restored.status.apps[1].status, FullStatus().apps[1].status);
  EXPECT_EQ(restored.status.apps[2].status, FullStatus().apps[2].status);
  EXPECT_EQ(restored.status.apps[1].last, Terminated());
  EXPECT_EQ(restored.status.start_phases[1].duration,
            absl::Seconds(2) + absl::Nanoseconds(5));
}

TEST(ConvertTest, EveryStateAndWordComesBack) {
  for (int state = 0; state <= static_cast<int>(PodState::kRemoving); ++state) {
    Pod pod = FullPod();
    pod.status.state = static_cast<PodState>(state);
    ASSERT_OK_AND_ASSIGN(Pod restored, FromProto(ToProto(pod)));
    EXPECT_EQ(restored.status.state, pod.status.state);
  }
  for (RestartPolicy policy : {RestartPolicy::kAlways, RestartPolicy::kNever,
                               RestartPolicy::kOnFailure}) {
    Pod pod = FullPod();
    pod.spec.restart_policy = policy;
    ASSERT_OK_AND_ASSIGN(Pod restored, FromProto(ToProto(pod)));
    EXPECT_EQ(restored.spec.restart_policy, policy);
  }
  for (int kind = 0; kind <= static_cast<int>(PodExit::Kind::kSignaled);
       ++kind) {
    Pod pod = FullPod();
    pod.status.exit->kind = static_cast<PodExit::Kind>(kind);
    ASSERT_OK_AND_ASSIGN(Pod restored, FromProto(ToProto(pod)));
    EXPECT_EQ(restored.status.exit->kind, pod.status.exit->kind);
  }
}

TEST(ConvertTest, APodThatNeverRanComesBackEmpty) {
  Pod pod;
  pod.id = "x";
  pod.spec.name = "web";
  pod.spec.hostname = "web";
  pod.created_at = At(0);
  v1::Pod proto = ToProto(pod);
  EXPECT_FALSE(proto.status().has_start_time());
  EXPECT_FALSE(proto.status().has_finish_time());
  EXPECT_FALSE(proto.status().has_machine_exit());
  EXPECT_FALSE(proto.spec().has_dns_config());
  EXPECT_EQ(proto.status().pod_ip(), "");
  ASSERT_OK_AND_ASSIGN(Pod restored, FromProto(proto));
  EXPECT_EQ(restored.status.started_at, absl::InfinitePast());
  EXPECT_EQ(restored.status.finished_at, absl::InfinitePast());
  EXPECT_FALSE(restored.status.exit.has_value());
  EXPECT_EQ(restored.spec.termination_grace, absl::Seconds(30));
}

TEST(ConvertTest, ComputesAddressesAndLeftovers) {
  v1::Pod proto = ToProto(FullPod());
  EXPECT_EQ(proto.status().pod_ip(), "172.16.28.2");
  ASSERT_EQ(proto.status().pod_ips_size(), 2);
  EXPECT_EQ(proto.status().pod_ips(1).ip(), "fd00::2");
  EXPECT_THAT(proto.status().leftovers(),
              ElementsAre("network: plugin says no"));
  EXPECT_EQ(proto.api_version(), "v1");
  EXPECT_EQ(proto.kind(), "Pod");
  EXPECT_EQ(proto.metadata().namespace_(), "default");
}

TEST(ConvertTest, PodOfTheNodesNetworkHasItsAddress) {
  Pod pod = FullPod();
  pod.status.interfaces.clear();
  EXPECT_EQ(ToProto(pod).status().pod_ip(), "192.0.2.1");
  EXPECT_EQ(ToProto(pod).status().pod_ips_size(), 1);
  EXPECT_EQ(ToProto(pod).status().port_mappings_size(), 0);
  pod.status.state = PodState::kExited;
  EXPECT_EQ(ToProto(pod).status().pod_ip(), "");
  EXPECT_EQ(ToProto(pod).status().host_ip(), "192.0.2.1");
}

TEST(ConvertTest, ReadySinceTheLastChange) {
  Pod pod = FullPod();
  pod.status.finished_at = absl::InfinitePast();
  pod.status.apps = {App("web", Running())};  // since 40
  auto since = [&] {
    return TimeFromProto(
        ToProto(pod).status().conditions(0).last_transition_time());
  };
  EXPECT_EQ(since(), At(40));
  pod.status.apps.push_back(App("job", Terminated()));  // at 30
  EXPECT_EQ(since(), At(40));
  pod.status.finished_at = At(60);
  EXPECT_EQ(since(), At(60));
}

TEST(ConvertTest, ReadyWhenRunningWithAllApps) {
  Pod pod = FullPod();
  pod.status.apps = {App("web", Running())};
  v1::PodCondition ready = ToProto(pod).status().conditions(0);
  EXPECT_EQ(ready.type(), "Ready");
  EXPECT_EQ(ready.status(), "True");
  EXPECT_TRUE(ToProto(pod).status().container_statuses(0).ready());

  pod.status.apps.push_back(App("side", Waiting()));
  ready = ToProto(pod).status().conditions(0);
  EXPECT_EQ(ready.status(), "False");
  EXPECT_EQ(ready.reason(), "ContainersNotReady");
  EXPECT_THAT(ready.message(), HasSubstr("[side]"));

  pod.status.state = PodState::kStopping;
  ready = ToProto(pod).status().conditions(0);
  EXPECT_EQ(ready.status(), "False");
  EXPECT_EQ(ready.reason(), "PodNotRunning");
}

TEST(ConvertTest, LastStateOnlyAfterAnEarlierRun) {
  Pod pod = FullPod();
  pod.status.apps[0].last = AppStatus();
  v1::Pod proto = ToProto(pod);
  EXPECT_FALSE(proto.status().container_statuses(0).has_last_state());
  EXPECT_EQ(proto.status()
                .container_statuses(1)
                .last_state()
                .terminated()
                .exit_code(),
            137);
}

TEST(ConvertTest, UsageSkipsWhatIsUnknown) {
  PodUsage usage;
  usage.memory_bytes = 0;
  usage.cpu_usec = 12;
  v1::PodUsage proto = ToProto(usage);
  EXPECT_TRUE(proto.has_memory_bytes());
  EXPECT_FALSE(proto.has_memory_peak_bytes());
  EXPECT_EQ(proto.cpu_usec(), 12);
  EXPECT_FALSE(proto.has_tasks());
  EXPECT_FALSE(proto.has_cpu_throttled_usec());
  EXPECT_FALSE(proto.has_io_pressure());
  usage.cpu_throttled_usec = 7;
  usage.io_pressure = Pressure{{1.5, 2.5, 3.5, 40}, {0.5, 0.25, 0, 20}};
  proto = ToProto(usage);
  EXPECT_EQ(proto.cpu_throttled_usec(), 7);
  EXPECT_EQ(proto.io_pressure().some_avg10(), 1.5);
  EXPECT_EQ(proto.io_pressure().full_avg60(), 0.25);
  EXPECT_EQ(proto.io_pressure().some_usec(), 40);
  EXPECT_FALSE(proto.has_cpu_pressure());
}

TEST(ConvertTest, TimesBeforeTheEpoch) {
  absl::Time time = absl::FromUnixSeconds(-2) + absl::Milliseconds(500);
  auto proto = TimeToProto(time);
  EXPECT_EQ(proto.seconds(), -2);
  EXPECT_EQ(proto.nanos(), 500000000);
  EXPECT_EQ(TimeFromProto(proto), time);
}

v1::Pod Parse(const std::string& text) {
  v1::Pod pod;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &pod));
  return pod;
}

TEST(PodSpecFromProtoTest, FillsInDefaults) {
  ASSERT_OK_AND_ASSIGN(PodSpec spec, PodSpecFromProto(Parse(R"pb(
                         metadata { name: "web" uid: "ignored" }
                         spec {
                           containers {
                             name: "a"
                             image: "b"
                             ports { container_port: 80 }
                             image_pull_policy: "Never"
                           }
                         }
                         status { phase: "ignored" }
                       )pb")));
  EXPECT_EQ(spec.hostname, "web");
  EXPECT_EQ(spec.restart_policy, RestartPolicy::kAlways);
  EXPECT_EQ(spec.termination_grace, absl::Seconds(30));
  EXPECT_EQ(spec.containers[0].ports[0].protocol, "TCP");
  EXPECT_EQ(spec.dns_policy, DnsPolicy::kDefault);
  EXPECT_TRUE(spec.networks.empty());
}

TEST(PodSpecFromProtoTest, RefusesWithThePath) {
  struct Case {
    const char* pod;
    const char* message;
  };
  const Case cases[] = {
      {R"(api_version: "v2")", R"(apiVersion: "v2" is not "v1")"},
      {R"(kind: "Deployment")", R"(kind: "Deployment" is not "Pod")"},
      {R"(metadata { namespace: "kube-system" })",
       R"(metadata.namespace: "kube-system" is not "default")"},
      {R"(spec { restart_policy: "Sometimes" })",
       R"(spec.restartPolicy: unknown value "Sometimes"; one of "Always", )"},
      {R"(spec { dns_policy: "Magic" })",
       R"(spec.dnsPolicy: unknown value "Magic")"},
      {R"(spec { dns_config { options {} options { name: "x" } } })",
       R"(spec.dnsConfig.options[0].name: "")"},
      {R"(spec { dns_config { options { name: "ndots:1" } } })",
       R"(spec.dnsConfig.options[0].name: "ndots:1")"},
      {R"(spec { containers {} containers { image_pull_policy: "Always" } })",
       R"(spec.containers[1].imagePullPolicy: "Always" is not supported)"},
      {R"(spec { containers { image_pull_policy: "Later" } })",
       R"(spec.containers[0].imagePullPolicy: unknown value "Later")"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(
        PodSpecFromProto(Parse(c.pod)),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(c.message)))
        << c.pod;
  }
}

TEST(FromProtoTest, RefusesUnknownStatusWords) {
  v1::Pod proto = ToProto(FullPod());
  proto.mutable_status()->set_state(v1::POD_STATE_UNSPECIFIED);
  EXPECT_THAT(FromProto(proto),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("status.state: unknown value 0")));
  proto = ToProto(FullPod());
  proto.mutable_status()->mutable_machine_exit()->set_kind("Exploded");
  EXPECT_THAT(FromProto(proto),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("status.machineExit.kind: unknown value")));
}

}  // namespace
}  // namespace davit
