#include "tests/e2e/test_node.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

// Where Bazel puts what the test depends on.
std::string Runfile(const std::string& path) {
  const char* dir = getenv("TEST_SRCDIR");
  return absl::StrCat(dir == nullptr ? "bazel-bin" : dir,
                      dir == nullptr ? "/" : "/davit/", path);
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines =
      absl::StrSplit(text, '\n', absl::SkipEmpty());
  std::sort(lines.begin(), lines.end());
  return lines;
}

// A network namespace of a test, pinned so that programs can enter it.
void PinNetns(const std::string& path) {
  ShellResult made = Sh(absl::StrCat("touch ", path, " && unshare --net=", path,
                                     " ip link set lo up"));
  ASSERT_EQ(made.code, 0) << made.err;
}

void Unpin(const std::string& path) {
  Sh(absl::StrCat("umount ", path, " 2>/dev/null; rm -f ", path));
}

// "PID command" of each process in a cgroup below `cgroup`, or of `program`.
// Not by a shell: that starts four programs for each process of the machine.
std::vector<std::string> Processes(const std::string& cgroup,
                                   const std::string& program) {
  std::vector<std::string> processes;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string pid = entry.path().filename();
    if (!absl::c_all_of(pid, absl::ascii_isdigit)) continue;
    auto read = [&](const char* name) {
      return ReadFile(entry.path() / name).value_or("");
    };
    std::error_code gone;
    bool ours =
        absl::StrContains(read("cgroup"), cgroup) ||
        std::filesystem::read_symlink(entry.path() / "exe", gone) == program;
    // Dead already, and this machine's init is slow to reap.
    if (!ours || absl::StrContains(read("status"), "\nState:\tZ")) continue;
    processes.push_back(absl::StrCat(
        pid, " ",
        absl::StrReplaceAll(read("cmdline"), {{std::string(1, '\0'), " "}})));
  }
  std::sort(processes.begin(), processes.end());
  return processes;
}

int FreePort() {
  ShellResult r = Sh("shuf -i 20000-29999 -n 1");
  return std::stoi(r.out);
}

}  // namespace

TestNode::TestNode()
    : cgroup_parent_(absl::StrCat("davit-test-", NewUuid().substr(0, 8))),
      metrics_address_(absl::StrCat("127.0.0.1:", FreePort())) {
  MakeNetworks();
  InstallBinaries();
  for (const std::string& d : {root(), state(), conf_dir(), netns_dir()}) {
    EXPECT_TRUE(MakeDirectories(d).ok());
  }
  WriteNetwork("default", DefaultConflist("default", "172.16.28.0/24"));
}

TestNode::~TestNode() {
  if (agent_pid_ > 0) {
    Ctl({"delete", "--all", "--force"});
    EndAgent(SIGTERM);
  }
  if (::testing::Test::HasFailure()) {
    Sh(absl::StrCat("echo '--- davitd:' >&2; tail -n 60 ", agent_log(),
                    " >&2"));
    absl::StatusOr<std::string> log = ReadFile(agent_log());
    if (log.ok()) {
      size_t from = log->size() > 8000 ? log->size() - 8000 : 0;
      fprintf(stderr, "--- davitd's log:\n%s\n", log->substr(from).c_str());
    }
  }
  Unpin(node_netns());
  Unpin(outside_netns());
}

// node 192.0.2.1 ── veth ── 192.0.2.2 outside. Only TEST-NET-1 addresses.
void TestNode::MakeNetworks() {
  PinNetns(node_netns());
  PinNetns(outside_netns());
  ShellResult r = RunProgram(
      {"sh", "-ec",
       absl::StrCat("ip link add up0 type veth peer name up1\n"
                    "exec 3<",
                    outside_netns(),
                    "\n"
                    "ip link set up1 netns /proc/$$/fd/3\n"
                    "ip addr add ",
                    kNodeAddress,
                    "/24 dev up0\nip link set up0 up\n"
                    "nsenter --net=",
                    outside_netns(), " sh -ec 'ip addr add ", kOutsideAddress,
                    "/24 dev up1; ip link set up1 up'\n")},
      node_netns());
  EXPECT_EQ(r.code, 0) << r.err;
}

void TestNode::InstallBinaries() {
  ShellResult r = Sh(absl::StrCat(
      "set -e; mkdir -p ", dir_ / "libexec/cni", " ", bin_dir(), "\n", "cp -L ",
      Runfile("agent/davitd"), " ", Runfile("cli/davitctl"), " ",
      Runfile("runtime/boot/davit-shim"), " ", Runfile("runtime/app/davit-app"),
      " ", dir_ / "libexec", "\n", "cp -L ", Runfile("net/plugins/davit-cni"),
      " ", dir_ / "libexec/cni/davit-cni", "\n",
      "for p in bandwidth bridge firewall host-local loopback macvlan portmap "
      "ptp static tuning; do ln -s davit-cni ",
      dir_ / "libexec/cni", "/$p; done\n"));
  EXPECT_EQ(r.code, 0) << r.err;
}

std::vector<std::string> TestNode::AgentArguments() const {
  return {dir_ / "libexec/davitd",
          "--root",
          root(),
          "--state",
          state(),
          "--listen",
          absl::StrCat("unix://", state(), "/davit.sock"),
          "--metrics",
          metrics_address_,
          "--libexec",
          dir_ / "libexec",
          "--cni-conf-dir",
          conf_dir(),
          "--seccomp-dir",
          seccomp_dir(),
          "--cni-bin-dir",
          bin_dir(),
          "--cni-bin-dir",
          dir_ / "libexec/cni",
          "--cni-timeout",
          absl::FormatDuration(Patience(absl::Seconds(5))),
          "--ready-timeout",
          absl::FormatDuration(Patience(absl::Seconds(30))),
          "--node-netns",
          node_netns(),
          "--netns-dir",
          netns_dir(),
          "--cgroup-parent",
          cgroup_parent_};
}

void TestNode::StartAgent(const std::vector<std::string>& prefix) {
  SubprocessSpec spec;
  spec.argv = prefix;
  for (const std::string& a : AgentArguments()) spec.argv.push_back(a);
  spec.path = spec.argv[0];
  spec.env = {"PATH=/usr/bin:/bin"};
  UniqueFd log(open(agent_log().c_str(),
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  spec.fds = {{log.get(), 1}, {log.get(), 2}};
  absl::StatusOr<pid_t> pid = StartDetached(spec);
  ASSERT_TRUE(pid.ok()) << pid.status();
  agent_pid_ = *pid;
  absl::Time deadline = absl::Now() + Patience(absl::Seconds(30));
  while (Ctl({"version"}).code != 0) {
    ASSERT_EQ(waitpid(agent_pid_, nullptr, WNOHANG), 0)
        << "davitd ended: " << ReadFile(agent_log()).value_or("");
    ASSERT_LT(absl::Now(), deadline) << ReadFile(agent_log()).value_or("");
    absl::SleepFor(absl::Milliseconds(50));
  }
}

void TestNode::EndAgent(int signal) {
  kill(agent_pid_, signal);
  absl::Time deadline = absl::Now() + Patience(absl::Seconds(20));
  while (waitpid(agent_pid_, nullptr, WNOHANG) == 0) {
    if (absl::Now() > deadline) {
      ADD_FAILURE() << "davitd did not end within 20 s of signal " << signal;
      kill(agent_pid_, SIGKILL);
      waitpid(agent_pid_, nullptr, 0);
      break;
    }
    absl::SleepFor(absl::Milliseconds(20));
  }
  agent_pid_ = -1;
}

void TestNode::ImportImages() {
  std::string images = ImagesDirectory();
  MustCtl({"image", "import", images + "/stage1.tar", "--name",
           "localhost/davit/stage1:latest"});
  MustCtl({"image", "import", images + "/busybox.tar"});
  MustCtl({"image", "import", images + "/demo.tar"});
}

void TestNode::ImportMachine() {
  MustCtl({"image", "import", ImagesDirectory() + "/machine.tar", "--name",
           "localhost/davit/machine:latest"});
}

ShellResult TestNode::Ctl(const std::vector<std::string>& args,
                          const std::string& input,
                          absl::Duration timeout) const {
  std::vector<std::string> argv = {
      dir_ / "libexec/davitctl",
      absl::StrCat("--address=unix://", state(), "/davit.sock")};
  argv.insert(argv.end(), args.begin(), args.end());
  return RunProgram(argv, "", input, timeout);
}

std::string TestNode::MustCtl(const std::vector<std::string>& args,
                              const std::string& input) const {
  ShellResult result = Ctl(args, input);
  EXPECT_EQ(result.code, 0)
      << "davitctl " << ::testing::PrintToString(args) << "\n"
      << result.out << result.err;
  return result.out;
}

nlohmann::json TestNode::GetPod(const std::string& name) const {
  ShellResult result = Ctl({"get", "pod", name, "-o", "json"});
  if (result.code != 0) return nullptr;
  return nlohmann::json::parse(result.out, nullptr, false);
}

std::string TestNode::PodIp(const std::string& name) const {
  nlohmann::json pod = GetPod(name);
  if (!pod.is_object() || !pod.contains("status")) return "";
  return pod["status"].value("podIP", "");
}

bool TestNode::WaitForStatus(const std::string& name, const std::string& field,
                             const std::vector<std::string>& values,
                             absl::Duration timeout) const {
  absl::Time deadline = absl::Now() + Patience(timeout);
  std::string last;
  while (absl::Now() < deadline) {
    nlohmann::json pod = GetPod(name);
    if (pod.is_object() && pod.contains("status")) {
      last = pod["status"].value(field, "");
      if (std::find(values.begin(), values.end(), last) != values.end()) {
        return true;
      }
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
  ADD_FAILURE() << name << ": status." << field << " is \"" << last << "\"";
  return false;
}

HostSnapshot TestNode::Snapshot() const {
  HostSnapshot snapshot;
  auto list = [&](const std::string& kind, const std::string& script,
                  const std::string& netns = "") {
    ShellResult result = Sh(script, netns);
    EXPECT_EQ(result.code, 0) << kind << ": " << result.err;
    snapshot[kind] = Lines(result.out);
  };
  list("pins", absl::StrCat("ls ", netns_dir(),
                            "; ls /run/netns 2>/dev/null; "
                            "ls /var/run/netns 2>/dev/null; true"));
  list("node links", "ip -o link | sed 's/^[0-9]*: //; s/@.*//; s/:.*//'",
       node_netns());
  list("node addresses", "ip -o addr | awk '{print $2, $4}'", node_netns());
  list("node routes", "ip route; ip -6 route", node_netns());
  list("node nft", "nft list ruleset", node_netns());
  list("machine links", "ls /sys/class/net");
  list("machine nft", "nft list ruleset");
  list("leases",
       absl::StrCat("find ", lease_dir(),
                    " -type f ! -name lock ! -name 'last_reserved_ip.*' "
                    "2>/dev/null || true"));
  list("id ranges",
       "ls /run/davit-id-ranges 2>/dev/null | grep -vx lock; true");
  list("mounts", "awk '{print $5, $9}' /proc/self/mountinfo");
  // On a systemd host the slice stays until the machine stops.
  list("cgroups", absl::StrCat("find /sys/fs/cgroup -type d -path '*",
                               cgroup_parent_, "*' ! -name '*.slice'"));
  snapshot["processes"] =
      Processes(cgroup_parent_, dir_ / "libexec/davit-shim");
  // The lock and the socket of the agent, its copy of the app launcher, and
  // what the image store holds, are not a pod's.
  list("files",
       absl::StrCat("cd ", dir_.path(),
                    " && find root ! -path 'root/images*' ! -name lock"
                    " ! -path 'root/launcher*'; cd ",
                    state_dir_.path(),
                    " && find state ! -name 'davit.sock*' ! -name lock"));
  return snapshot;
}

std::vector<std::string> Difference(const HostSnapshot& before,
                                    const HostSnapshot& after) {
  std::vector<std::string> difference;
  for (const auto& [kind, lines] : before) {
    std::multiset<std::string> was(lines.begin(), lines.end());
    for (const std::string& line : after.at(kind)) {
      auto found = was.find(line);
      if (found != was.end()) {
        was.erase(found);
      } else {
        difference.push_back(absl::StrCat("+", kind, ": ", line));
      }
    }
    for (const std::string& line : was) {
      difference.push_back(absl::StrCat("-", kind, ": ", line));
    }
  }
  return difference;
}

void TestNode::WriteNetwork(const std::string& name,
                            const std::string& conflist) {
  EXPECT_TRUE(WriteFileAtomic(absl::StrCat(conf_dir(), "/", name, ".conflist"),
                              conflist)
                  .ok());
}

std::string TestNode::DefaultConflist(const std::string& name,
                                      const std::string& subnet) const {
  return absl::StrReplaceAll(
      R"({"cniVersion": "1.0.0", "name": "$NAME", "plugins": [
          {"type": "ptp", "ipMasq": true, "ipam": {"type": "host-local",
           "subnet": "$SUBNET", "dataDir": "$LEASES",
           "routes": [{"dst": "0.0.0.0/0"}]}}]})",
      {{"$NAME", name}, {"$SUBNET", subnet}, {"$LEASES", lease_dir()}});
}

std::string ImagesDirectory() {
  const char* directory = getenv("DAVIT_TEST_IMAGES");
  std::string path =
      directory != nullptr ? directory : "/var/cache/davit/images/current";
  if (PathExists(path + "/stage1.tar")) return path;
  fprintf(stderr,
          "no root images in %s: deploy/test makes them (DAVIT_TEST_IMAGES)\n",
          path.c_str());
  return "";
}

}  // namespace davit::testing
