#include "net/plugins/plugin_world.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

constexpr int kConnectTimeoutMs = 3000;

void Require(bool condition, const std::string& what) {
  if (condition) return;
  perror(what.c_str());
  abort();
}

// Once a program: mounts made from now on are nobody else's.
void EnterOwnMountNamespace() {
  static const bool done = [] {
    Require(unshare(CLONE_NEWNS) == 0, "unshare(CLONE_NEWNS)");
    Require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
            "mount(/, MS_PRIVATE)");
    return true;
  }();
  (void)done;
}

// The plugin binary, which the test's BUILD rule names.
std::string OurBinary() {
  const char* path = getenv("DAVIT_CNI");
  Require(path != nullptr, "DAVIT_CNI");
  char* resolved = realpath(path, nullptr);
  Require(resolved != nullptr, path);
  std::string result = resolved;
  free(resolved);
  return result;
}

std::vector<std::string> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  closedir(directory);
  return names;
}

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

SocketAddress MakeSocketAddress(const IpAddress& ip, uint16_t port) {
  SocketAddress address;
  if (ip.is_v6()) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    memcpy(&v6->sin6_addr, ip.data(), ip.size());
    address.size = sizeof(*v6);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    memcpy(&v4->sin_addr, ip.data(), ip.size());
    address.size = sizeof(*v4);
  }
  return address;
}

IpAddress IpOf(const SocketAddress& address) {
  if (address.storage.ss_family == AF_INET6) {
    const auto* v6 = reinterpret_cast<const sockaddr_in6*>(&address.storage);
    return *IpAddress::FromBytes(&v6->sin6_addr, 16);
  }
  const auto* v4 = reinterpret_cast<const sockaddr_in*>(&address.storage);
  return *IpAddress::FromBytes(&v4->sin_addr, 4);
}

constexpr uint16_t kPort = 7777;

absl::StatusOr<UniqueFd> Listen(const TestNetns& netns, const IpAddress& ip) {
  UniqueFd fd;
  RETURN_IF_ERROR(netns.Run([&]() -> absl::Status {
    fd.Reset(socket(ip.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    int one = 1;
    setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    SocketAddress address = MakeSocketAddress(ip, kPort);
    if (bind(fd.get(), address.get(), address.size) < 0 ||
        listen(fd.get(), 1) < 0) {
      return ErrnoError("listen on %s", ip.ToString());
    }
    return absl::OkStatus();
  }));
  return fd;
}

absl::Status Connect(const TestNetns& netns, const IpAddress& ip,
                     UniqueFd* fd) {
  return netns.Run([&]() -> absl::Status {
    fd->Reset(socket(ip.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval timeout = {kConnectTimeoutMs / 1000, 0};
    setsockopt(fd->get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    SocketAddress address = MakeSocketAddress(ip, kPort);
    if (connect(fd->get(), address.get(), address.size) < 0) {
      return ErrnoError("connect to %s", ip.ToString());
    }
    return absl::OkStatus();
  });
}

// The kernel may take a second to see a carrier, and so long IPv6 hears no
// neighbour solicitation; the next is a second later.
void AwaitOperational(Netlink& netlink, int index) {
  const absl::Time deadline = absl::Now() + Patience(absl::Seconds(10));
  while (!netlink.GetLink(index)->operational) {
    Require(absl::Now() < deadline, "carrier");
    absl::SleepFor(absl::Milliseconds(5));
  }
}

}  // namespace

PluginWorld::PluginWorld() {
  EnterOwnMountNamespace();
  const std::string binary = OurBinary();
  Require(MakeDirectories(our_plugins()).ok(), our_plugins());
  Require(MakeDirectories(path("netns")).ok(), "netns directory");
  for (const char* type :
       {"bandwidth", "bridge", "firewall", "host-local", "loopback", "macvlan",
        "portmap", "ptp", "static", "tuning"}) {
    std::string link = absl::StrCat(our_plugins(), "/", type);
    Require(symlink(binary.c_str(), link.c_str()) == 0, link);
  }
  node_link_ = std::make_unique<Netlink>(*Netlink::OpenIn(node_.fd()));
}

PluginWorld::~PluginWorld() {
  for (const auto& [path, netns] : pods_) {
    umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
}

std::string PluginWorld::AddPod(const std::string& name) {
  std::string pin = path("netns/" + name);
  UniqueFd file(open(pin.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  Require(file.valid(), pin);
  auto netns = std::make_unique<TestNetns>();
  std::string source = absl::StrCat("/proc/self/fd/", netns->fd());
  Require(mount(source.c_str(), pin.c_str(), nullptr, MS_BIND, nullptr) == 0,
          "mount " + pin);
  pods_[pin] = std::move(netns);
  return pin;
}

void PluginWorld::Unpin(const std::string& netns_path, bool keep) {
  Require(umount2(netns_path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0,
          "umount " + netns_path);
  if (!keep) pods_.erase(netns_path);
}

PluginAnswer PluginWorld::Run(const std::string& path,
                              const std::string& cni_path,
                              const PluginCall& call) const {
  SubprocessSpec spec;
  spec.path = path;
  spec.argv = {path};
  spec.env = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
              "CNI_COMMAND=" + call.command,
              "CNI_CONTAINERID=" + call.container_id,
              "CNI_NETNS=" + call.netns,
              "CNI_IFNAME=" + call.ifname,
              "CNI_ARGS=" + call.args,
              "CNI_PATH=" + cni_path};
  spec.stdin_data = call.config;
  spec.netns_fd = node_.fd();
  spec.timeout = absl::Seconds(60);
  absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
  PluginAnswer answer;
  if (!result.ok()) {
    answer.out = result.status().ToString();
    return answer;
  }
  answer.exit_code = WEXITSTATUS(result->wait_status);
  answer.out = result->out;
  if (!answer.out.empty()) {
    answer.json = Json::parse(answer.out, nullptr, /*allow_exceptions=*/false);
  }
  return answer;
}

std::vector<std::string> PluginWorld::Interfaces() const {
  std::vector<std::string> names;
  node_
      .Run([&names] {
        struct if_nameindex* all = if_nameindex();
        for (auto* entry = all; entry != nullptr && entry->if_index != 0;
             ++entry) {
          if (strcmp(entry->if_name, "lo") != 0)
            names.push_back(entry->if_name);
        }
        if_freenameindex(all);
        return absl::OkStatus();
      })
      .IgnoreError();
  return names;
}

std::string PluginWorld::Ruleset() const {
  SubprocessSpec nft;
  nft.path = "/usr/sbin/nft";
  nft.argv = {"nft", "list", "ruleset"};
  nft.netns_fd = node_.fd();
  absl::StatusOr<SubprocessResult> result = RunSubprocess(nft);
  return result.ok() ? result->out : result.status().ToString();
}

std::vector<std::string> PluginWorld::Leases() const {
  std::vector<std::string> leases;
  for (const std::string& network : ListDirectory(data_dir())) {
    for (const std::string& name : ListDirectory(data_dir() + "/" + network)) {
      if (IpAddress::Parse(name).ok()) leases.push_back(name);
    }
  }
  return leases;
}

void ConnectOutside(PluginWorld& world, const TestNetns& outside,
                    const std::vector<std::string>& subnets) {
  Netlink& node = world.node_link();
  Require(node.AddVethPair({.name = "up0",
                            .peer_name = "eth0",
                            .peer_netns_fd = outside.fd()})
              .ok(),
          "veth to the outside");
  Netlink there = *Netlink::OpenIn(outside.fd());
  const int theirs = there.GetLink("eth0")->index;
  const int ours = node.GetLink("up0")->index;
  auto add = [](Netlink& netlink, int index, const char* prefix) {
    Address address{index, *IpPrefix::Parse(prefix), false, true};
    Require(netlink.AddAddress(address).ok(), prefix);
  };
  add(node, ours, "192.0.2.1/24");
  add(node, ours, "2001:db8::1/64");
  add(there, theirs, "192.0.2.2/24");
  add(there, theirs, "2001:db8::2/64");
  // Without one that is no longer tentative a router asks for no neighbour.
  add(node, ours, "fe80::1/64");
  add(there, theirs, "fe80::2/64");
  Require(node.SetLinkUp(ours, true).ok(), "up0");
  Require(there.SetLinkUp(theirs, true).ok(), "eth0");
  AwaitOperational(node, ours);
  AwaitOperational(there, theirs);
  for (const std::string& subnet : subnets) {
    LinkRoute route;
    route.index = theirs;
    route.destination = *IpPrefix::Parse(subnet);
    route.gateway = *IpAddress::Parse(
        route.destination.address.is_v6() ? "2001:db8::1" : "192.0.2.1");
    Require(there.AddRoute(route).ok(), subnet);
  }
}

std::string PtpJson(const PluginWorld& world, const std::string& subnet,
                    const std::string& more, const std::string& version) {
  return absl::StrFormat(
      R"({"cniVersion": "%s", "name": "net", "type": "ptp", %s
          "ipam": {"type": "host-local", "subnet": "%s", "dataDir": "%s",
                   "routes": [{"dst": "%s"}]}})",
      version, more.empty() ? "" : more + ",", subnet, world.data_dir(),
      subnet.find(':') == std::string::npos ? "0.0.0.0/0" : "::/0");
}

std::string WithPrevResult(const std::string& config, const Json& result) {
  Json json = Json::parse(config);
  json["prevResult"] = result;
  return json.dump();
}

absl::StatusOr<std::string> ConnectAndSeePeer(const TestNetns& client,
                                              const TestNetns& server,
                                              const IpAddress& ip) {
  ASSIGN_OR_RETURN(UniqueFd listener, Listen(server, ip));
  UniqueFd connection;
  RETURN_IF_ERROR(Connect(client, ip, &connection));
  pollfd waiting = {listener.get(), POLLIN, 0};
  if (poll(&waiting, 1, kConnectTimeoutMs) != 1) {
    return absl::DeadlineExceededError("accept");
  }
  SocketAddress peer;
  UniqueFd accepted(
      accept4(listener.get(), peer.get(), &peer.size, SOCK_CLOEXEC));
  if (!accepted) return ErrnoError("accept4");
  return IpOf(peer).ToString();
}

}  // namespace davit::testing
