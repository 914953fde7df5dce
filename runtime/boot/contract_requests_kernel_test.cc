// systemd's Container Interface, the rows that depend on what is asked for:
// host name, machine id, terminals, time zone, journal, sockets, users.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kPreset[] = "0123456789abcdef0123456789abcdef";
constexpr char kPresetUuid[] = "01234567-89ab-cdef-0123-456789abcdef";
constexpr char kZone[] = "/usr/share/zoneinfo/Europe/Berlin";

// A socket unit and its service, which says hello to each connection.
std::vector<PodFile> HelloOn(const std::string& path) {
  return {{.path = "/etc/systemd/system/hello.socket",
           .content = absl::StrCat("[Unit]\nDefaultDependencies=no\n[Socket]\n"
                                   "Accept=yes\nListenStream=",
                                   path, "\n")},
          {.path = "/etc/systemd/system/hello@.service",
           .content = "[Unit]\nDefaultDependencies=no\n[Service]\n"
                      "StandardOutput=socket\nExecStart=/bin/echo hello\n"},
          {.path = "/etc/systemd/system/sockets.target.wants/hello.socket",
           .symlink_target = "../hello.socket"},
          // The default target of stage1 wants nothing else.
          {.path = "/etc/systemd/system/davit.target.wants/hello.socket",
           .symlink_target = "../hello.socket"}};
}

// What is said to who connects to the socket at `path`.
std::string HearAt(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", path.c_str());
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) < 0) {
    return strerror(errno);
  }
  char buffer[256];
  ssize_t n = read(fd.get(), buffer, sizeof(buffer));
  return n < 0 ? strerror(errno) : std::string(buffer, static_cast<size_t>(n));
}

UniqueFd ListenAt(const std::string& path) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  snprintf(address.sun_path, sizeof(address.sun_path), "%s", path.c_str());
  EXPECT_EQ(
      bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0)
      << path << ": " << strerror(errno);
  EXPECT_EQ(listen(fd.get(), 8), 0);
  return fd;
}

class ContractRequestsTest : public PodFixture {
 protected:
  std::vector<std::string> Environ(const PodProcess& pod) {
    std::string raw =
        ReadFile(absl::StrCat("/proc/", pod.init().pid, "/environ"))
            .value_or("");
    return absl::StrSplit(raw, '\0', absl::SkipEmpty());
  }
  void NewLauncherWith(LauncherOptions options) {
    options.shim_path = ShimPath();
    options.cgroup_parent = cgroup_parent_;
    options.unified_dir = UnifiedDir();
    launcher_.reset();
    ASSERT_OK_AND_ASSIGN(launcher_, NewLauncher(options));
  }
};

TEST_F(ContractRequestsTest, TheImagesHostNameWins) {  // EE1
  BootRequest request = NewRequest(AnyGuest());
  request.files = {{.path = "/etc/hostname", .content = "its-own\n"}};
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"uname", "-n"}), "its-own");
}

TEST_F(ContractRequestsTest, TheImagesMachineIdIsTheContainersUuid) {  // EV2
  BootRequest request = NewRequest(AnyGuest());
  ASSERT_THAT(WriteFileAtomic(request.rootfs + "/etc/machine-id",
                              absl::StrCat(kPreset, "\n")),
              IsOk());
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(Environ(*pod),
              Contains(absl::StrCat("container_uuid=", kPresetUuid)));
  EXPECT_EQ(OutOf(*pod, {"cat", "/etc/machine-id"}), kPreset);
  EXPECT_EQ(OutOf(*pod, {"cat", "/run/host/container-uuid"}), kPresetUuid);
}

TEST_F(ContractRequestsTest, AMissingMachineIdBecomesThePods) {  // EV2
  BootRequest request = NewRequest(AnyGuest());
  ASSERT_EQ(unlink((request.rootfs + "/etc/machine-id").c_str()), 0);
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(Environ(*pod), Contains("container_uuid=" + request.pod_id));
  EXPECT_EQ(OutOf(*pod, {"cat", "/etc/machine-id"}),
            MachineIdOfUuid(request.pod_id));
}

TEST_F(ContractRequestsTest, LoginsOnMorePtys) {  // EV3
  BootRequest request = NewRequest();
  request.extra_ttys = 2;
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(Environ(*pod), Contains("container_ttys=pts/1 pts/2"));
  EXPECT_EQ(OutOf(*pod, {"systemctl", "is-active", "container-getty@1",
                         "container-getty@2", "console-getty"}),
            "active\nactive\nactive");
  EXPECT_EQ(OutOf(*pod, {"ls", "/dev/pts"}), "0\n1\n2\nptmx");
  // Far more than a pty holds: somebody reads it.
  EXPECT_TRUE(RunUnit(*pod, "head -c 300000 /dev/zero | tr '\\0' x >/dev/pts/1",
                      {"RuntimeMaxSec=20"})
                  .ExitedWith(0));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(20))));
  EXPECT_EQ(exit.kind, PodExit::Kind::kPowerOff);
}

TEST_F(ContractRequestsTest, NoMoreTerminalsThanAsked) {
  BootRequest request = NewRequest(AnyGuest());
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(Environ(*pod), Not(Contains(StartsWith("container_ttys="))));
  EXPECT_EQ(OutOf(*pod, {"ls", "/dev/pts"}), "0\nptmx");
}

// A generator that can find nothing to do without arguments, here one that says
// that it ran.
void MakeTellTaleGenerator(const BootRequest& request) {
  ASSERT_THAT(
      WriteFileAtomic(
          request.rootfs +
              "/usr/lib/systemd/system-generators/systemd-run-generator",
          "#!/bin/sh\necho >/run/generator-ran\n", 0755),
      IsOk());
}

TEST_F(ContractRequestsTest, TheStartIsSparedWhatHasNothingToDo) {
  const std::vector<std::string> list_mounts = {
      "systemctl", "list-units", "--no-legend", "run-credentials-*.mount"};
  const std::vector<std::string> show_drop_ins = {
      "systemctl", "show", "-P", "DropInPaths", "systemd-sysctl.service"};
  BootRequest request = NewRequest();
  MakeTellTaleGenerator(request);
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(
      OutOf(*pod, {"find", "/run", "-maxdepth", "1", "-name", "generator-ran"}),
      "");
  EXPECT_EQ(OutOf(*pod, list_mounts), "");
  EXPECT_THAT(OutOf(*pod, show_drop_ins), HasSubstr("davit-start.conf"));
  // From now on there may be something.
  OutOf(*pod, {"systemctl", "daemon-reload"});
  EXPECT_EQ(OutOf(*pod, {"cat", "/run/generator-ran"}), "");
  EXPECT_EQ(OutOf(*pod, show_drop_ins), "");
}

TEST_F(ContractRequestsTest, AStartThatIsToldMoreIsNotSpared) {
  BootRequest request = NewRequest();
  MakeTellTaleGenerator(request);
  request.credentials["sysctl.extra"] = "net.ipv4.ip_default_ttl = 63\n";
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"cat", "/run/generator-ran"}), "");
  EXPECT_EQ(OutOf(*pod, {"cat", "/proc/sys/net/ipv4/ip_default_ttl"}), "63");
}

TEST_F(ContractRequestsTest, TheTimeZoneIsTheHosts) {  // AI1
  BootRequest request = NewRequest();
  std::string link = request.state_dir + "/localtime";
  ASSERT_EQ(symlink(kZone, link.c_str()), 0);
  NewLauncherWith({.localtime = link});
  std::filesystem::remove(request.rootfs + kZone);
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(OutOf(*pod, {"readlink", "/etc/localtime"}),
            absl::StrCat("..", kZone));
  // The image lacks this zone: the file is the host's.
  EXPECT_THAT(MountOptionsOf(*pod, kZone), StartsWith("ro"));
  EXPECT_THAT(OutOf(*pod, {"date", "+%Z"}), ::testing::AnyOf("CET", "CEST"));
  EXPECT_EQ(std::filesystem::read_symlink(request.rootfs + "/etc/localtime"),
            absl::StrCat("..", kZone));
  ASSERT_EQ(unlink(link.c_str()), 0);
}

TEST_F(ContractRequestsTest, AZoneOfTheImageIsNotCovered) {  // AI1
  BootRequest request = NewRequest();
  std::string link = request.state_dir + "/localtime";
  ASSERT_EQ(symlink(kZone, link.c_str()), 0);
  NewLauncherWith({.localtime = link});
  ASSERT_THAT(MakeDirectories(request.rootfs + "/usr/share/zoneinfo/Europe"),
              IsOk());
  ASSERT_TRUE(std::filesystem::copy_file(
      "/usr/share/zoneinfo/Asia/Tokyo", request.rootfs + kZone,
      std::filesystem::copy_options::overwrite_existing));
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(MountOptionsOf(*pod, kZone), "");
  EXPECT_EQ(OutOf(*pod, {"date", "+%Z"}), "JST");
  ASSERT_EQ(unlink(link.c_str()), 0);
}

TEST_F(ContractRequestsTest, TheJournalIsLinkedIntoTheHosts) {  // AI2
  BootRequest request = NewRequest();
  std::string host = request.state_dir + "/host-journal";
  std::string own = request.state_dir + "/journal";
  ASSERT_THAT(MakeDirectories(host), IsOk());
  ASSERT_THAT(MakeDirectories(own), IsOk());
  request.journal_dir = own;
  request.binds = {{own, "/var/log/journal", false}};
  NewLauncherWith({.journal_root = host});
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_TRUE(
      RunUnit(*pod, "echo seen >&2", {"StandardError=journal"}).ExitedWith(0));
  OutOf(*pod, {"journalctl", "--flush", "--sync"});
  std::string id = MachineIdOfUuid(request.pod_id);
  EXPECT_EQ(std::filesystem::read_symlink(host + "/" + id), own + "/" + id);
  EXPECT_TRUE(PathExists(host + "/" + id + "/system.journal"));
  // Another machine with that id would mix both journals: it has none there.
  BootRequest twin = NewRequest(AnyGuest());
  twin.journal_dir = twin.state_dir;
  ASSERT_THAT(WriteFileAtomic(twin.rootfs + "/etc/machine-id", id + "\n"),
              IsOk());
  auto second = StartReady(twin);
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(std::filesystem::read_symlink(host + "/" + id), own + "/" + id);
  ASSERT_THAT(second->Stop(Patience(absl::Seconds(20))), IsOk());
  ASSERT_THAT(launcher_->Destroy(twin.pod_id, twin.runtime_dir), IsOk());
  EXPECT_TRUE(std::filesystem::is_symlink(host + "/" + id));
  ASSERT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
  ASSERT_THAT(launcher_->Destroy(request.pod_id, request.runtime_dir), IsOk());
  EXPECT_FALSE(std::filesystem::is_symlink(host + "/" + id));
  EXPECT_TRUE(PathExists(own + "/" + id));
  std::filesystem::remove_all(own);
  std::filesystem::remove_all(host);
}

TEST_F(ContractRequestsTest, SocketsArePassedOn) {  // AI4
  BootRequest request = NewRequest(AnyGuest());
  std::string path = request.state_dir + "/hello";
  UniqueFd listener = ListenAt(path);
  UniqueFd other = ListenAt(request.state_dir + "/other");
  request.listen_fds = {other.get(), listener.get()};
  request.files = HelloOn(path);
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  listener.Reset();
  EXPECT_THAT(Environ(*pod), Contains("LISTEN_FDS=2"));
  EXPECT_THAT(Environ(*pod), Contains("LISTEN_PID=1"));
  EXPECT_EQ(HearAt(path), "hello\n");
  // Nobody but the pod holds it: it ends with the pod.
  ASSERT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
  EXPECT_EQ(HearAt(path), strerror(ECONNREFUSED));
  unlink(path.c_str());
  unlink((request.state_dir + "/other").c_str());
}

TEST_F(ContractRequestsTest, ExportedSocketsAreReachedFromTheHost) {  // RH8
  BootRequest request = NewRequest(AnyGuest());
  request.files = HelloOn("/run/host/unix-export/hello");
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  std::string outside = request.runtime_dir + "/unix-export";
  EXPECT_EQ(HearAt(outside + "/hello"), "hello\n");
  UniqueFd file(open((outside + "/x").c_str(), O_CREAT | O_WRONLY, 0600));
  EXPECT_EQ(errno, EROFS);
  EXPECT_FALSE(file.valid());
  EXPECT_THAT(MountOptionsOf(*pod, "/run/host/unix-export"),
              AllOf(StartsWith("rw"), HasSubstr("nosuid,nodev,noexec")));
  // It can fill no more than its own file system.
  EXPECT_THAT(RunUnit(*pod,
                      "cd /run/host/unix-export; i=0; "
                      "while touch $i; do i=$((i+1)); done")
                  .err,
              HasSubstr("No space left"));
  ASSERT_THAT(pod->Stop(Patience(absl::Seconds(20))), IsOk());
  EXPECT_FALSE(PathExists(outside));
}

TEST_F(ContractRequestsTest, SshListensThereByItself) {  // RH9
  BootRequest request = NewRequest("machine-trixie");
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  EXPECT_TRUE(RunUnit(*pod, "ssh-keygen -A").ExitedWith(0));
  EXPECT_THAT(HearAt(request.runtime_dir + "/unix-export/ssh"),
              StartsWith("SSH-2.0-OpenSSH"));
}

TEST_F(ContractRequestsTest, UsersAndHomesOfTheHost) {  // RH10, RH11
  BootRequest request = NewRequest("machine-trixie");
  std::string home = request.state_dir + "/home";
  ASSERT_THAT(MakeDirectories(home), IsOk());
  ASSERT_EQ(chown(home.c_str(), 4711, 4712), 0);
  request.users = {{.name = "alice", .uid = 4711, .gid = 4712, .home = home}};
  auto pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  std::string entry = "alice:x:4711:4712:alice:/run/host/home/alice:/bin/sh";
  EXPECT_EQ(OutOf(*pod, {"getent", "passwd", "alice"}), entry);
  EXPECT_EQ(OutOf(*pod, {"getent", "passwd", "4711"}), entry);
  EXPECT_EQ(OutOf(*pod, {"getent", "group", "4712"}), "alice:x:4712:");
  SubprocessResult unit =
      RunUnit(*pod, "id -un; cd; echo mine >file; pwd", {"User=alice"});
  EXPECT_EQ(unit.out, "alice\n/run/host/home/alice\n") << unit.err;
  struct stat st = {};
  ASSERT_EQ(stat((home + "/file").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, 4711u);
  EXPECT_THAT(MountOptionsOf(*pod, "/run/host"), StartsWith("ro"));
  std::filesystem::remove_all(home);
}

}  // namespace
}  // namespace davit::testing
