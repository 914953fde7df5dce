#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/boot/journal_link.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/record_reader.h"
#include "runtime/boot/root_inspector.h"
#include "runtime/boot/shim_record.h"
#include "runtime/boot/shim_state.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Kind = PodExit::Kind;

constexpr char kBoot[] = "11111111-4b5c-4d6e-8f70-112233445566";

absl::Time At(int64_t usec) { return absl::FromUnixMicros(usec); }

ShimState Sample() {
  ShimState state;
  state.shim = {12, 3456};
  state.init = {13, uint64_t{1} << 60};
  state.phases = {{"cgroup", At(1700000000000001)},
                  {"ready", At(1700000000400000)}};
  state.ready = true;
  state.status = "Startup finished \"x\"";
  return state;
}

void ExpectSameExit(const PodExit& a, const PodExit& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.signal, b.signal);
  EXPECT_EQ(a.oom_killed, b.oom_killed);
  EXPECT_EQ(a.stop_requested, b.stop_requested);
  EXPECT_EQ(a.at, b.at);
}

TEST(ShimState, RoundTrip) {
  ShimState state = Sample();
  state.exit = PodExit{
      .kind = Kind::kSignaled, .signal = 9, .oom_killed = true, .at = At(5)};
  ASSERT_OK_AND_ASSIGN(ShimState back, DecodeShimState(EncodeShimState(state)));
  EXPECT_EQ(back.shim, state.shim);
  EXPECT_EQ(back.init, state.init);
  ASSERT_EQ(back.phases.size(), 2u);
  EXPECT_EQ(back.phases[1].name, "ready");
  EXPECT_EQ(back.phases[1].at, state.phases[1].at);
  EXPECT_TRUE(back.ready);
  EXPECT_EQ(back.status, state.status);
  ASSERT_TRUE(back.exit.has_value());
  ExpectSameExit(*back.exit, *state.exit);
  EXPECT_THAT(back.failure, IsOk());
}

TEST(ShimState, CarriesAFailureAsItIs) {
  ShimState state;
  state.failure = absl::NotFoundError("bind /x: open_tree: no such file");
  ASSERT_OK_AND_ASSIGN(ShimState back, DecodeShimState(EncodeShimState(state)));
  EXPECT_EQ(back.failure, state.failure);
  EXPECT_THAT(DecodeShimState("\xff\xff"),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ShimCommandTest, AttachAndResizeRoundTrip) {
  ASSERT_OK_AND_ASSIGN(
      ShimCommand back,
      DecodeShimCommand(EncodeShimCommand(
          {.kind = ShimCommand::Kind::kResize, .rows = 40, .columns = 65535})));
  EXPECT_EQ(back.kind, ShimCommand::Kind::kResize);
  EXPECT_EQ(back.rows, 40);
  EXPECT_EQ(back.columns, 65535);
  std::string attach = EncodeShimCommand({.kind = ShimCommand::Kind::kAttach});
  EXPECT_FALSE(attach.empty());
  EXPECT_EQ(DecodeShimCommand(attach)->kind, ShimCommand::Kind::kAttach);
  // resize { rows: 65536 }
  EXPECT_THAT(DecodeShimCommand("\x1a\x04\x08\x80\x80\x04"),
              StatusIs(absl::StatusCode::kDataLoss));
}

TEST(StopCommand, RoundTrip) {
  EXPECT_EQ(
      DecodeShimCommand(EncodeShimCommand({.grace = absl::Seconds(3)}))->grace,
      absl::Seconds(3));
  EXPECT_EQ(
      DecodeShimCommand(EncodeShimCommand({.grace = absl::Seconds(-3)}))->grace,
      absl::ZeroDuration());
  EXPECT_FALSE(EncodeShimCommand({}).empty());
  EXPECT_THAT(DecodeShimCommand(""), StatusIs(absl::StatusCode::kDataLoss));
}

TEST(ExitRecord, RoundTripOfEveryKind) {
  TempDir dir;
  std::string path = ExitRecordPath(dir.path());
  for (Kind kind : {Kind::kUnknown, Kind::kExited, Kind::kPowerOff,
                    Kind::kReboot, Kind::kSignaled}) {
    PodExit exit = {.kind = kind,
                    .code = 42,
                    .signal = 15,
                    .oom_killed = kind == Kind::kSignaled,
                    .stop_requested = kind == Kind::kPowerOff,
                    .at = At(1700000000123456)};
    ASSERT_THAT(WriteFileAtomic(path, FormatExitRecord(exit)), IsOk());
    ASSERT_OK_AND_ASSIGN(PodExit back, ReadExitRecord(path));
    ExpectSameExit(back, exit);
  }
}

TEST(ShimRecord, RoundTripWithinOneBoot) {
  TempDir dir;
  std::string path = ShimRecordPath(dir.path());
  EXPECT_THAT(ReadShimRecord(path, kBoot),
              StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(WriteFileAtomic(path, FormatShimRecord("id", kBoot, Sample())),
              IsOk());
  ASSERT_OK_AND_ASSIGN(ShimState back, ReadShimRecord(path, kBoot));
  EXPECT_EQ(back.shim, Sample().shim);
  EXPECT_EQ(back.init, Sample().init);
  ASSERT_EQ(back.phases.size(), 2u);
  EXPECT_EQ(back.phases[0].at, Sample().phases[0].at);
  EXPECT_THAT(ReadShimRecord(path, "another boot"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("earlier boot")));
}

TEST(Records, DamageIsDataLoss) {
  TempDir dir;
  std::string path = dir / "x.json";
  for (const char* text :
       {"", "{", "[1]", "{\"version\": 1}", "{\"version\": 7}",
        "{\"version\": 1, \"kind\": 5, \"boot_id\": 1}"}) {
    ASSERT_THAT(WriteFileAtomic(path, text), IsOk());
    EXPECT_THAT(ReadExitRecord(path),
                StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)))
        << text;
    EXPECT_THAT(ReadShimRecord(path, kBoot),
                StatusIs(absl::StatusCode::kDataLoss))
        << text;
  }
}

TEST(PacketSocket, CarriesPacketsOverALongPath) {
  TempDir dir;
  std::string deep = dir / std::string(100, 'd');
  ASSERT_THAT(MakeDirectories(deep), IsOk());
  std::string path = deep + "/shim.sock";
  EXPECT_THAT(ConnectForPackets(path), StatusIs(absl::StatusCode::kNotFound));
  {
    ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenForPackets(path));
    ASSERT_OK_AND_ASSIGN(UniqueFd client, ConnectForPackets(path));
    UniqueFd server(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    ASSERT_TRUE(server.valid());
    EXPECT_THAT(ReceivePacket(client.get()),
                StatusIs(absl::StatusCode::kUnavailable));
    ASSERT_THAT(SendPacket(server.get(), "one"), IsOk());
    ASSERT_THAT(SendPacket(server.get(), "two"), IsOk());
    server.Reset();
    EXPECT_EQ(ReceivePacket(client.get()).value(), "one");
    EXPECT_EQ(ReceivePacket(client.get()).value(), "two");
    EXPECT_THAT(ReceivePacket(client.get()),
                StatusIs(absl::StatusCode::kOutOfRange));
    EXPECT_THAT(SendPacket(client.get(), "x"),
                StatusIs(absl::StatusCode::kUnavailable));
  }
  // The dead listener's file is still there; a new one takes its place.
  EXPECT_THAT(ConnectForPackets(path),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(ListenForPackets(path), IsOk());
}

TEST(PacketSocket, NeverBlocksOnAFullQueue) {
  ASSERT_OK_AND_ASSIGN(auto pair, MakePacketPair());
  absl::Status status;
  for (int i = 0; i < 100000 && status.ok(); ++i) {
    status = SendPacket(pair.first.get(), std::string(1000, 'x'));
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnavailable,
                               HasSubstr("queue is full")));
}

class InspectRootTest : public ::testing::Test {
 protected:
  void Make(const std::string& path, mode_t mode) {
    std::string full = root_.path() + path;
    ASSERT_THAT(MakeDirectories(full.substr(0, full.rfind('/'))), IsOk());
    ASSERT_THAT(WriteFileAtomic(full, "x", mode), IsOk());
  }
  TempDir root_;
};

TEST_F(InspectRootTest, SaysThatThereIsNoSystemd) {
  EXPECT_THAT(
      InspectRoot(root_.path(), true),
      StatusIs(absl::StatusCode::kFailedPrecondition,
               HasSubstr("root image has no systemd: none of /sbin/init, "
                         "/usr/lib/systemd/systemd, /lib/systemd/systemd "
                         "exists")));
  EXPECT_THAT(InspectRoot(root_.path(), false), IsOk());
  EXPECT_THAT(InspectRoot(root_ / "absent", true),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  Make("/sbin/init", 0644);  // not executable
  EXPECT_THAT(InspectRoot(root_.path(), true),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(InspectRootTest, FollowsSymlinksInsideTheRootOnly) {
  // Absolute, as in Debian: leads to the root's own file, not to ours.
  Make("/usr/lib/systemd/systemd", 0755);
  ASSERT_THAT(MakeDirectories(root_ / "sbin"), IsOk());
  ASSERT_EQ(symlink("/usr/lib/systemd/systemd", (root_ / "sbin/init").c_str()),
            0);
  ASSERT_OK_AND_ASSIGN(GuestFacts facts, InspectRoot(root_.path(), true));
  EXPECT_EQ(facts.init, "/sbin/init");
  // /bin/sh exists on the host but not in the root.
  ASSERT_EQ(unlink((root_ / "sbin/init").c_str()), 0);
  ASSERT_EQ(symlink("/bin/sh", (root_ / "sbin/init").c_str()), 0);
  ASSERT_OK_AND_ASSIGN(facts, InspectRoot(root_.path(), true));
  EXPECT_EQ(facts.init, "/usr/lib/systemd/systemd");
}

TEST_F(InspectRootTest, ReadsTheMachineId) {
  auto preset = [&](const std::string& content) {
    EXPECT_THAT(MakeDirectories(root_ / "etc"), IsOk());
    EXPECT_THAT(WriteFileAtomic(root_ / "etc/machine-id", content), IsOk());
    return InspectRoot(root_.path(), false)->preset_uuid;
  };
  EXPECT_EQ(InspectRoot(root_.path(), false)->preset_uuid, "");
  constexpr char kId[] = "0123456789abcdef0123456789abcdef";
  constexpr char kUuid[] = "01234567-89ab-cdef-0123-456789abcdef";
  EXPECT_EQ(preset(std::string(kId) + "\n"), kUuid);
  EXPECT_EQ(preset(kId), kUuid);
  for (const char* none :
       {"", "\n", "uninitialized\n", "0123456789abcdef0123456789abcdef0",
        "0123456789ABCDEF0123456789ABCDEF\n",
        "00000000000000000000000000000000\n"}) {
    EXPECT_EQ(preset(none), "") << none;
  }
  ASSERT_EQ(unlink((root_ / "etc/machine-id").c_str()), 0);
  ASSERT_EQ(mkfifo((root_ / "etc/machine-id").c_str(), 0600), 0);
  EXPECT_EQ(InspectRoot(root_.path(), false)->preset_uuid, "");
}

TEST_F(InspectRootTest, LooksForTheTimeZone) {
  EXPECT_FALSE(InspectRoot(root_.path(), false, "Asia/Tokyo")->has_timezone);
  Make("/usr/share/zoneinfo/Asia/Tokyo", 0644);
  EXPECT_TRUE(InspectRoot(root_.path(), false, "Asia/Tokyo")->has_timezone);
  EXPECT_FALSE(InspectRoot(root_.path(), false, "")->has_timezone);
}

TEST_F(InspectRootTest, FindsTheGeneratorsThatHaveNothingToDo) {
  EXPECT_THAT(InspectRoot(root_.path(), false)->idle_generators, IsEmpty());
  const std::string generators = "/usr/lib/systemd/system-generators/";
  Make(generators + "systemd-fstab-generator", 0755);
  Make(generators + "systemd-gpt-auto-generator", 0755);
  Make(generators + "systemd-cryptsetup-generator", 0644);  // systemd skips it
  EXPECT_THAT(InspectRoot(root_.path(), false)->idle_generators,
              ElementsAre("systemd-gpt-auto-generator"));
}

TEST_F(InspectRootTest, FindsTheGeneratorsThatHaveNothingToDoNow) {
  const std::string lib = "/usr/lib/systemd/";
  for (const char* name : {"fstab", "rc-local", "sysv", "system-update",
                           "debug", "run", "getty"}) {
    Make(absl::StrCat(lib, "system-generators/systemd-", name, "-generator"),
         0755);
  }
  auto paused = [&] {
    std::string names;
    absl::StatusOr<GuestFacts> guest = InspectRoot(root_.path(), false);
    for (const PausedGenerator& generator : guest->paused_generators) {
      absl::string_view name = generator.name;
      absl::ConsumePrefix(&name, "systemd-");
      absl::ConsumeSuffix(&name, "-generator");
      absl::StrAppend(&names, name, " ");
    }
    return names;
  };
  // Nothing would end the pause.
  EXPECT_EQ(paused(), "");
  Make(lib + "system/sysinit.target.wants/systemd-tmpfiles-setup.service",
       0644);
  EXPECT_EQ(paused(), "fstab rc-local sysv system-update debug run ");
  auto write = [&](const std::string& text) {
    ASSERT_THAT(MakeDirectories(root_ / "etc"), IsOk());
    ASSERT_THAT(WriteFileAtomic(root_ / "etc/fstab", text), IsOk());
  };
  write("# a comment\n\n");
  EXPECT_EQ(paused(), "fstab rc-local sysv system-update debug run ");
  write("# a comment\n tmpfs /x tmpfs\n");
  EXPECT_EQ(paused(), "rc-local sysv system-update debug run ");
  Make("/etc/init.d/known.sh", 0755);
  Make(lib + "system/known.service", 0644);
  Make("/etc/init.d/README", 0644);
  EXPECT_EQ(paused(), "rc-local sysv system-update debug run ");
  Make("/etc/init.d/unknown", 0755);
  EXPECT_EQ(paused(), "rc-local system-update debug run ");
  Make("/etc/rc.local", 0755);
  ASSERT_EQ(symlink("/nowhere", (root_ / "system-update").c_str()), 0);
  EXPECT_EQ(paused(), "debug run ");
}

TEST_F(InspectRootTest, FindsTheServicesThatAskForNoCredentials) {
  const std::string lib = "/usr/lib/systemd/";
  Make(lib + "system/systemd-sysctl.service", 0644);
  Make(lib + "system/sysinit.target.wants/systemd-tmpfiles-setup.service",
       0644);
  auto readers = [&] {
    return InspectRoot(root_.path(), false)->credential_readers;
  };
  EXPECT_THAT(readers(), IsEmpty());  // nobody knows the version
  Make(lib + "libsystemd-shared-252.so", 0644);
  EXPECT_THAT(readers(), ElementsAre("systemd-sysctl.service"));
  ASSERT_THAT(MakeDirectories(root_ / "etc/credstore"), IsOk());
  EXPECT_THAT(readers(), ElementsAre("systemd-sysctl.service"));
  Make("/etc/credstore/sysctl.extra", 0600);
  EXPECT_THAT(readers(), IsEmpty());
  EXPECT_THAT(RemoveTree(root_ / "etc/credstore"), IsOk());
  Make(lib + "libsystemd-shared-257.so", 0644);
  EXPECT_THAT(readers(), IsEmpty());
}

class JournalLinkTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_THAT(MakeDirectories(dir_ / "host"), IsOk()); }
  JournalLink Link() {
    return {.host_root = dir_ / "host",
            .host_id = "h",
            .machine_id = "m",
            .pod_root = dir_ / "pod",
            .intent = dir_ / "intent"};
  }
  std::string Target() {
    char target[256] = {};
    ssize_t n = readlink((dir_ / "host/m").c_str(), target, sizeof(target) - 1);
    return n < 0 ? "" : target;
  }
  TempDir dir_;
};

TEST_F(JournalLinkTest, IsMadeOnceAndTakenAway) {
  EXPECT_THAT(LinkJournal(Link()), IsOk());
  EXPECT_EQ(Target(), dir_ / "pod/m");
  EXPECT_THAT(LinkJournal(Link()), IsOk());
  EXPECT_EQ(Target(), dir_ / "pod/m");
  EXPECT_THAT(UnlinkJournal(Link().intent), IsOk());
  EXPECT_EQ(Target(), "");
  EXPECT_THAT(UnlinkJournal(Link().intent), IsOk());
}

TEST_F(JournalLinkTest, NotWhereThereIsNoJournalNorForTheHostsId) {
  JournalLink link = Link();
  link.host_id = "m";
  EXPECT_THAT(LinkJournal(link), IsOk());
  EXPECT_EQ(Target(), "");
  link = Link();
  link.host_root = dir_ / "absent";
  EXPECT_THAT(LinkJournal(link), IsOk());
  EXPECT_FALSE(PathExists(dir_ / "absent"));
}

TEST_F(JournalLinkTest, LeavesTheLinksOfOthersAlone) {
  ASSERT_EQ(symlink("/usr/else", (dir_ / "host/m").c_str()), 0);
  EXPECT_THAT(LinkJournal(Link()), IsOk());
  EXPECT_EQ(Target(), "/usr/else");
  EXPECT_THAT(UnlinkJournal(Link().intent), IsOk());
  EXPECT_EQ(Target(), "/usr/else");
  ASSERT_EQ(unlink((dir_ / "host/m").c_str()), 0);
  ASSERT_THAT(LinkJournal(Link()), IsOk());
  ASSERT_EQ(unlink((dir_ / "host/m").c_str()), 0);
  ASSERT_EQ(symlink("/usr/else", (dir_ / "host/m").c_str()), 0);
  EXPECT_THAT(UnlinkJournal(Link().intent), IsOk());
  EXPECT_EQ(Target(), "/usr/else");
}

TEST_F(JournalLinkTest, ReplacesTheLinkOfAPodThatIsGone) {
  ASSERT_EQ(symlink("/no/such/pod/m", (dir_ / "host/m").c_str()), 0);
  EXPECT_THAT(LinkJournal(Link()), IsOk());
  EXPECT_EQ(Target(), dir_ / "pod/m");
}

TEST_F(InspectRootTest, FindsTheVersion) {
  EXPECT_EQ(InspectRoot(root_.path(), false)->systemd_version, 0);
  Make("/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", 0644);
  EXPECT_EQ(InspectRoot(root_.path(), false)->systemd_version, 252);
  Make("/usr/lib64/systemd/libsystemd-shared-258.1-2.fc43.so", 0644);
  EXPECT_EQ(InspectRoot(root_.path(), false)->systemd_version, 258);
  Make("/usr/lib/systemd/libsystemd-shared-x.so", 0644);
  EXPECT_EQ(InspectRoot(root_.path(), false)->systemd_version, 258);
}

}  // namespace
}  // namespace davit
