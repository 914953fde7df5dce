#include "agent/rpc/validate.h"

#include <google/protobuf/text_format.h>

#include <functional>
#include <string>

#include "agent/rpc/convert.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::StartsWith;

PodSpec GoodSpec() {
  PodSpec spec;
  spec.name = "shop";
  spec.hostname = "shop";
  ContainerSpec container;
  container.name = "web";
  container.image = "docker.io/library/nginx:latest";
  container.env = {{"PATH", "/bin"}, {"my.dotted-NAME_1", ""}};
  container.ports = {{"http", 80, "TCP"}, {"", 65535, "SCTP"}};
  container.working_dir = "/";
  container.security.add_capabilities = {"NET_ADMIN", "cap_sys_ptrace"};
  container.security.drop_capabilities = {"ALL", "CAP_CHOWN"};
  spec.containers = {container};
  spec.labels = {{"app", "shop"}, {"example.org/tier", "a_b.C-1"}, {"e", ""}};
  spec.annotations = {{"example.org/text", "any thing\n"}};
  spec.networks = {"default", "net_2.x-"};
  return spec;
}

TEST(ValidateTest, AcceptsAGoodSpec) {
  EXPECT_THAT(ValidatePodSpec(GoodSpec()), IsOk());
}

TEST(ValidateTest, AcceptsAMachineWithoutApps) {
  PodSpec spec = GoodSpec();
  spec.containers.clear();
  spec.root_image = "localhost/davit/machine:latest";
  EXPECT_THAT(ValidatePodSpec(spec), IsOk());
}

TEST(ValidateTest, AcceptsNamesAndIdsOfImages) {
  for (const std::string& image :
       {std::string("nginx"), std::string("localhost/davit/x:1.0"),
        "sha256:" + std::string(64, 'a'), std::string(64, '0'),
        std::string("sha256:abcd"), std::string("deadbeef")}) {
    PodSpec spec = GoodSpec();
    spec.containers[0].image = spec.root_image = image;
    EXPECT_THAT(ValidatePodSpec(spec), IsOk());
  }
}

TEST(ValidateTest, AcceptsTheBounds) {
  PodSpec spec = GoodSpec();
  spec.name = spec.hostname = std::string(63, 'a');
  spec.containers.resize(64, spec.containers[0]);
  for (size_t i = 0; i < 64; ++i) {
    spec.containers[i].name = "c" + std::to_string(i);
  }
  spec.containers[0].args = {std::string((128 << 10) - 1, 'x')};
  spec.termination_grace = absl::ZeroDuration();
  spec.networks = {"none"};
  EXPECT_THAT(ValidatePodSpec(spec), IsOk());
}

struct Case {
  std::function<void(PodSpec&, ContainerSpec&)> spoil;
  std::string message;  // its beginning
};

void ExpectFaults(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    PodSpec spec = GoodSpec();
    ContainerSpec container = spec.containers[0];
    c.spoil(spec, container);
    if (!spec.containers.empty()) spec.containers[0] = container;
    EXPECT_THAT(
        ValidatePodSpec(spec),
        StatusIs(absl::StatusCode::kInvalidArgument, StartsWith(c.message)))
        << c.message;
  }
}

TEST(ValidateTest, Metadata) {
  ExpectFaults({
      {[](auto& s, auto&) { s.name = ""; }, "metadata.name: is required"},
      {[](auto& s, auto&) { s.name = "Web"; },
       "metadata.name: \"Web\" is not a DNS-1123 label"},
      {[](auto& s, auto&) { s.name = "-web"; }, "metadata.name: \"-web\""},
      {[](auto& s, auto&) { s.name = "web-"; }, "metadata.name: \"web-\""},
      {[](auto& s, auto&) { s.name = "a.b"; }, "metadata.name: \"a.b\""},
      {[](auto& s, auto&) { s.name = "../x"; }, "metadata.name: \"../x\""},
      {[](auto& s, auto&) { s.name = std::string("a\0b", 3); },
       "metadata.name: \""},
      {[](auto& s, auto&) { s.name = std::string(64, 'a'); },
       "metadata.name: \"aaa"},
      {[](auto& s, auto&) { s.labels["-x"] = ""; },
       "metadata.labels[\"-x\"]: \"-x\" is not a key"},
      {[](auto& s, auto&) { s.labels[""] = ""; },
       "metadata.labels[\"\"]: \"\" is not a key"},
      {[](auto& s, auto&) { s.labels["A.org/x"] = ""; },
       "metadata.labels[\"A.org/x\"]: \"A.org\" is not a DNS subdomain"},
      {[](auto& s, auto&) { s.labels["x"] = "a b"; },
       "metadata.labels[\"x\"]: value \"a b\" is not a label value"},
      {[](auto& s, auto&) { s.labels["x"] = std::string(64, 'a'); },
       "metadata.labels[\"x\"]: value"},
      {[](auto& s, auto&) {
         for (int i = 0; i < 257; ++i) s.labels[std::to_string(i)] = "";
       },
       "metadata.labels: 260 entries are more than 256"},
      {[](auto& s, auto&) { s.annotations["a b"] = ""; },
       "metadata.annotations[\"a b\"]: \"a b\" is not a key"},
      {[](auto& s, auto&) {
         s.annotations = {{"x", std::string(256 << 10, 'a')}};
       },
       "metadata.annotations: 262145 bytes are more than 262144"},
  });
}

TEST(ValidateTest, Spec) {
  ExpectFaults({
      {[](auto& s, auto&) { s.containers.clear(); },
       "spec.containers: at least one is needed"},
      {[](auto& s, auto&) { s.containers.resize(65); },
       "spec.containers: 65 entries are more than 64"},
      {[](auto& s, auto&) { s.hostname = "under_score"; },
       "spec.hostname: \"under_score\""},
      {[](auto& s, auto&) { s.termination_grace = absl::Seconds(-1); },
       "spec.terminationGracePeriodSeconds: -1 is not between 0 and"},
      {[](auto& s, auto&) { s.termination_grace = absl::InfiniteDuration(); },
       "spec.terminationGracePeriodSeconds: 9223372036854775807 is not"},
      {[](auto& s, auto&) { s.root_image = "a b"; },
       "spec.rootImage: image name \"a b\" is malformed"},
      {[](auto& s, auto&) { s.host_network = true; },
       "spec.networks: must be empty with hostNetwork"},
      {[](auto& s, auto&) {
         s.networks = {"a", "../b"};
       },
       "spec.networks[1]: \"../b\" is not the name of a network"},
      {[](auto& s, auto&) { s.networks = {""}; }, "spec.networks[0]: \"\""},
      {[](auto& s, auto&) { s.networks = {"-a"}; }, "spec.networks[0]: \"-a\""},
      {[](auto& s, auto&) {
         s.networks = {"host", "a"};
       },
       "spec.networks[0]: \"host\" must stand alone"},
      {[](auto& s, auto&) {
         s.networks = {"a", "none"};
       },
       "spec.networks[1]: \"none\" must stand alone"},
      {[](auto& s, auto&) {
         s.networks = {"a", "a"};
       },
       "spec.networks[1]: \"a\" is joined twice"},
      {[](auto& s, auto&) { s.networks.resize(17, "a"); },
       "spec.networks: 17 entries are more than 16"},
      {[](auto& s, auto&) { s.dns_policy = DnsPolicy::kNone; },
       "spec.dnsConfig.nameservers: at least one is needed"},
      {[](auto& s, auto&) {
         s.dns.nameservers = {"192.0.2.1", "ns1"};
       },
       "spec.dnsConfig.nameservers[1]: \"ns1\" is not an IP address"},
      {[](auto& s, auto&) { s.dns.nameservers.resize(4, "192.0.2.1"); },
       "spec.dnsConfig.nameservers: 4 entries are more than 3"},
      {[](auto& s, auto&) { s.dns.search = {"a\nnameserver 192.0.2.9"}; },
       "spec.dnsConfig.searches[0]: \"a\nname"},
      {[](auto& s, auto&) { s.dns.options = {"a b"}; },
       "spec.dnsConfig.options[0]: \"a b\""},
  });
}

TEST(ValidateTest, AcceptsNetworksWithRequests) {
  PodSpec spec = GoodSpec();
  spec.networks.clear();
  spec.attachments = {{.name = "a",
                       .interface = "front-15-bytes.",
                       .ips = {"10.1.2.3", "fd00::2/64"},
                       .mac = "02:00:00:00:00:fF",
                       .aliases = {"db"}},
                      {.name = "b", .systemd_names = true},
                      {.name = "c", .host_interface = "ve-x"}};
  spec.containers[0].ports = {{"", 80, "TCP", 8080, "::1"},
                              {"", 80, "UDP", 8080, ""}};
  spec.annotations["kubernetes.io/egress-bandwidth"] = "1M";
  spec.host_aliases = {{"::1", {"a.b"}}};
  spec.subdomain = "shop";
  EXPECT_THAT(ValidatePodSpec(spec), IsOk());
  spec = GoodSpec();
  spec.networks = {"host"};
  spec.containers[0].ports = {{"", 80, "TCP", 80, ""}};
  EXPECT_THAT(ValidatePodSpec(spec), IsOk());
}

// Makes the first attachment what `change` says.
std::function<void(PodSpec&, ContainerSpec&)> Attach(
    const std::function<void(NetworkAttachment&)>& change) {
  return [change](PodSpec& spec, ContainerSpec&) {
    spec.networks.clear();
    spec.attachments = {{.name = "a"}};
    change(spec.attachments[0]);
  };
}

TEST(ValidateTest, Attachments) {
  const std::string first = "spec.networkAttachments[0]";
  ExpectFaults({
      {[](auto& s, auto&) { s.attachments = {{.name = "a"}}; },
       "spec.networkAttachments: must be empty when spec.networks is given"},
      {Attach([](auto& a) { a.name = "host"; }),
       first + ".name: \"host\" is not a network"},
      {Attach([](auto& a) { a.name = ""; }), first + ".name: \"\" is not"},
      {Attach([](auto& a) { a.interface = "sixteen-bytes-xx"; }),
       first + ".interface: \"sixteen"},
      {Attach([](auto& a) { a.interface = "lo"; }), first + ".interface: \"lo"},
      {Attach([](auto& a) { a.host_interface = "a/b"; }),
       first + ".hostInterface: \"a/b\""},
      {Attach([](auto& a) {
         a.systemd_names = true;
         a.interface = "x";
       }),
       first + ".systemdNames: interface and hostInterface must be empty"},
      {Attach([](auto& a) { a.ips = {"10.1.2.3/33"}; }),
       first + ".ips[0]: \"10.1.2.3/33\" is not an IP address"},
      {Attach([](auto& a) { a.ips = {"10.1.2.3/"}; }), first + ".ips[0]"},
      {Attach([](auto& a) { a.ips = {"10.1.2.3/-1"}; }), first + ".ips[0]"},
      {Attach([](auto& a) { a.mac = "02-00-00-00-00-01"; }),
       first + ".mac: \"02-00-00-00-00-01\" is not a MAC address"},
      {Attach([](auto& a) { a.mac = "03:00:00:00:00:01"; }),
       first + ".mac: \"03:00:00:00:00:01\" is not the address of a single"},
      {Attach([](auto& a) { a.aliases = {"a b"}; }), first + ".aliases[0]"},
      {[](auto& s, auto&) {
         s.networks.clear();
         s.attachments = {{.name = "a", .interface = "eth1"}, {.name = "b"}};
       },
       "spec.networkAttachments[1].interface: \"eth1\" is used twice"},
  });
}

TEST(ValidateTest, PortsBandwidthAndHosts) {
  const std::string port = "spec.containers[0].ports[0]";
  ExpectFaults({
      {[](auto&, auto& c) {
         c.ports = {{"", 80, "TCP", 65536, ""}};
       },
       port + ".hostPort: 65536 is not between"},
      {[](auto&, auto& c) {
         c.ports = {{"", 80, "TCP", 0, "::1"}};
       },
       port + ".hostIP: needs a hostPort"},
      {[](auto&, auto& c) {
         c.ports = {{"", 80, "TCP", 80, "here"}};
       },
       port + ".hostIP: \"here\" is not an IP address"},
      {[](auto&, auto& c) {
         c.ports = {{"", 80, "TCP", 8080, ""}, {"", 81, "TCP", 8080, "::1"}};
       },
       "spec.containers[0].ports[1].hostPort: 8080/TCP is taken by "
       "spec.containers[0].ports[0].hostPort"},
      {[](auto& s, auto& c) {
         s.networks = {"none"};
         c.ports = {{"", 80, "TCP", 8080, ""}};
       },
       port + ".hostPort: a pod without a network has no port maps"},
      {[](auto& s, auto& c) {
         s.networks = {"host"};
         c.ports = {{"", 80, "TCP", 8080, ""}};
       },
       "spec.containers[].ports[].hostPort: 8080 must be the containerPort, "
       "80"},
      {[](auto& s, auto&) {
         s.annotations["kubernetes.io/ingress-bandwidth"] = "fast";
       },
       "metadata.annotations[\"kubernetes.io/ingress-bandwidth\"]: \"fast\" is "
       "not a quantity"},
      {[](auto& s, auto&) {
         s.host_aliases = {{"db", {"x"}}};
       },
       "spec.hostAliases[0].ip: \"db\" is not an IP address"},
      {[](auto& s, auto&) {
         s.host_aliases = {{"::1", {}}};
       },
       "spec.hostAliases[0].hostnames: at least one is needed"},
      {[](auto& s, auto&) {
         s.host_aliases = {{"::1", {"a\n::2"}}};
       },
       "spec.hostAliases[0].hostnames[0]: \"a\n::2\" is not a DNS name"},
      {[](auto& s, auto&) { s.subdomain = "a.b"; }, "spec.subdomain: \"a.b\""},
  });
}

TEST(ValidateTest, Container) {
  ExpectFaults({
      {[](auto&, auto& c) { c.name = "Web"; },
       "spec.containers[0].name: \"Web\" is not a DNS-1123 label"},
      {[](auto& s, auto& c) { s.containers.push_back(c); },
       "spec.containers[1].name: \"web\" is used twice"},
      {[](auto&, auto& c) { c.image = ""; },
       "spec.containers[0].image: is required"},
      {[](auto&, auto& c) { c.image = "Shop"; },
       "spec.containers[0].image: image name \"Shop\" is malformed"},
      {[](auto&, auto& c) { c.image = std::string(513, 'a'); },
       "spec.containers[0].image: 513 bytes are more than 512"},
      {[](auto&, auto& c) { c.working_dir = "srv"; },
       "spec.containers[0].workingDir: \"srv\" is not an absolute path"},
      {[](auto&, auto& c) { c.working_dir = std::string("/a\0b", 4); },
       "spec.containers[0].workingDir: must not contain a NUL byte"},
      {[](auto&, auto& c) { c.command = {""}; },
       "spec.containers[0].command[0]: must not be empty"},
      {[](auto&, auto& c) {
         c.command = {"a", std::string("b\0", 2)};
       },
       "spec.containers[0].command[1]: must not contain a NUL byte"},
      {[](auto&, auto& c) { c.args = {std::string(128 << 10, 'x')}; },
       "spec.containers[0].args[0]: 131072 bytes are more than 131071"},
      {[](auto&, auto& c) {
         c.args = std::vector<std::string>(9, std::string(128 << 9, 'x'));
         c.command = c.args;
       },
       "spec.containers[0]: command, args and env take 1179"},
  });
}

TEST(ValidateTest, EnvAndPorts) {
  ExpectFaults({
      {[](auto&, auto& c) { c.env[1].name = ""; },
       "spec.containers[0].env[1].name: \"\" is not the name"},
      {[](auto&, auto& c) { c.env[1].name = "1A"; },
       "spec.containers[0].env[1].name: \"1A\""},
      {[](auto&, auto& c) { c.env[1].name = "A=B"; },
       "spec.containers[0].env[1].name: \"A=B\""},
      {[](auto&, auto& c) { c.env[0].value = std::string("\0", 1); },
       "spec.containers[0].env[0].value: must not contain a NUL byte"},
      {[](auto&, auto& c) { c.env[0].value = std::string(131071, 'x'); },
       "spec.containers[0].env[0].value: 131071 bytes are more than 131066"},
      {[](auto&, auto& c) {
         c.env.resize(4097, {"A", ""});
       },
       "spec.containers[0].env: 4097 entries are more than 4096"},
      {[](auto&, auto& c) { c.ports[1].container_port = 0; },
       "spec.containers[0].ports[1].containerPort: 0 is not between"},
      {[](auto&, auto& c) { c.ports[1].container_port = 65536; },
       "spec.containers[0].ports[1].containerPort: 65536"},
      {[](auto&, auto& c) { c.ports[0].protocol = "tcp"; },
       "spec.containers[0].ports[0].protocol: unknown value \"tcp\""},
      {[](auto&, auto& c) { c.ports[0].name = "123"; },
       "spec.containers[0].ports[0].name: \"123\" is not a port name"},
      {[](auto&, auto& c) { c.ports[0].name = "sixteen-chars-xx"; },
       "spec.containers[0].ports[0].name: \"sixteen-chars-xx\""},
      {[](auto&, auto& c) { c.ports[1].name = "http"; },
       "spec.containers[0].ports[1].name: \"http\" is used twice"},
  });
}

TEST(ValidateTest, SecurityContext) {
  const std::string path = "spec.containers[0].securityContext.";
  ExpectFaults({
      {[](auto&, auto& c) { c.security.run_as_user = -1; },
       path + "runAsUser: -1 is not between 0 and 2147483647"},
      {[](auto&, auto& c) { c.security.run_as_user = int64_t{1} << 31; },
       path + "runAsUser: 2147483648"},
      {[](auto&, auto& c) { c.security.run_as_group = -1; },
       path + "runAsGroup: -1"},
      {[](auto& spec, auto& c) {
         spec.host_users = false;
         c.security.run_as_user = 65536;
       },
       path + "runAsUser: 65536 is not between 0 and 65535, the ids of a pod "
              "with hostUsers false"},
      {[](auto& spec, auto& c) {
         spec.host_users = false;
         c.security.run_as_group = 1 << 20;
       },
       path + "runAsGroup: 1048576 is not between 0 and 65535"},
      {[](auto&, auto& c) {
         c.security.run_as_user = 0;
         c.security.run_as_non_root = true;
       },
       path + "runAsUser: 0 contradicts runAsNonRoot"},
      {[](auto&, auto& c) {
         c.security.privileged = true;
         c.security.allow_privilege_escalation = false;
       },
       path + "allowPrivilegeEscalation: false contradicts privileged"},
      {[](auto&, auto& c) {
         c.security.add_capabilities = {"CHOWN", "FLY"};
       },
       path + "capabilities.add[1]: \"FLY\" is not a capability"},
      {[](auto&, auto& c) {
         c.security.add_capabilities = {"CHOWN,SYS_ADMIN"};
       },
       path + "capabilities.add[0]: \"CHOWN,SYS_ADMIN\""},
      {[](auto&, auto& c) {
         c.security.confinement.seccomp = {ProfileType::kLocalhost, ""};
       },
       path + "seccompProfile.localhostProfile: is required"},
      {[](auto&, auto& c) {
         c.security.confinement.seccomp = {ProfileType::kUnconfined, "a"};
       },
       path + "seccompProfile.localhostProfile: is for type \"Localhost\""},
      {[](auto&, auto& c) {
         c.security.confinement.seccomp = {ProfileType::kLocalhost, "/etc/a"};
       },
       path + "seccompProfile.localhostProfile: \"/etc/a\" is not relative"},
      {[](auto&, auto& c) {
         c.security.confinement.seccomp = {ProfileType::kLocalhost,
                                           "a/../../b"};
       },
       path + "seccompProfile.localhostProfile: \"a/../../b\" has a \"..\""},
      {[](auto&, auto& c) {
         c.security.confinement.app_armor = {ProfileType::kLocalhost, "a\nb"};
       },
       path + "appArmorProfile.localhostProfile: is no name of a profile"},
      {[](auto&, auto& c) { c.security.confinement.se_linux.type = "a:b"; },
       path + "seLinuxOptions.type: \"a:b\" is no word of a security context"},
      {[](auto& spec, auto&) { spec.confinement.se_linux.level = "s0 x"; },
       "spec.securityContext.seLinuxOptions.level: \"s0 x\" is no word"},
      {[](auto&, auto& c) { c.security.add_capabilities = {"21"}; },
       path + "capabilities.add[0]: \"21\""},
      {[](auto&, auto& c) { c.security.drop_capabilities = {""}; },
       path + "capabilities.drop[0]: \"\""},
  });
}

TEST(ValidateTest, NegativeGraceOfARequest) {
  v1::Pod pod;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(metadata { name: "a" }
         spec { root_image: "m" termination_grace_period_seconds: -5 })",
      &pod));
  ASSERT_OK_AND_ASSIGN(PodSpec spec, PodSpecFromProto(pod));
  EXPECT_THAT(ValidatePodSpec(spec),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("spec.terminationGracePeriodSeconds: -5")));
}

}  // namespace
}  // namespace davit
