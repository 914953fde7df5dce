#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/boot/epoll.h"
#include "runtime/boot/packet_socket.h"
#include "runtime/boot/shim/channel.h"
#include "runtime/boot/shim/console_hub.h"
#include "runtime/boot/shim/console_log.h"
#include "runtime/boot/shim/control.h"
#include "runtime/boot/shim/device_policy.h"
#include "runtime/boot/shim/exit_status.h"
#include "runtime/boot/shim/notify.h"
#include "runtime/boot/shim/stop_sequence.h"
#include "runtime/boot/shim/sysctl_policy.h"
#include "runtime/boot/shim_state.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;
using Action = StopSequence::Action;

// --- ParseNotify, NotifySocket ---------------------------------------------

TEST(ParseNotify, UnderstandsWhatSystemdSays) {
  NotifyMessage message = ParseNotify(
      "X_SYSTEMD_UNIT_ACTIVE=basic.target\nREADY=1\nSTATUS=Ready.\n");
  EXPECT_TRUE(message.ready);
  EXPECT_FALSE(message.stopping);
  EXPECT_EQ(message.status, "Ready.");
  EXPECT_EQ(ParseNotify("X_SYSTEMD_SIGNALS_LEVEL=2").signals_level, 2);
  EXPECT_TRUE(ParseNotify("STOPPING=1").stopping);
}

TEST(ParseNotify, TakesNothingElseForIt) {
  for (const char* text : {"", "READY=10", "READY=0", "XREADY=1", "ready=1",
                           " READY=1", "STATUS", "X_SYSTEMD_SIGNALS_LEVEL=x"}) {
    NotifyMessage message = ParseNotify(text);
    EXPECT_FALSE(message.ready) << text;
    EXPECT_EQ(message.signals_level, 0) << text;
    EXPECT_FALSE(message.status.has_value()) << text;
  }
}

TEST(ParseNotify, BoundsAndCleansTheStatus) {
  EXPECT_EQ(ParseNotify(absl::StrCat("STATUS=", std::string(9999, 'x')))
                .status->size(),
            1024u);
  EXPECT_EQ(*ParseNotify("STATUS=a\x1b[31mb\x07").status, "a [31mb ");
}

TEST(NotifySocket, HearsInitOnly) {
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, fds), 0);
  UniqueFd ours(fds[0]), theirs(fds[1]);
  int on = 1;
  setsockopt(ours.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
  NotifySocket socket(std::move(ours), getpid());
  auto count_ready = [&] {
    int ready = 0;
    socket.Drain([&](const NotifyMessage& m) { ready += m.ready; });
    return ready;
  };
  pid_t child = fork();
  if (child == 0) {
    _exit(send(theirs.get(), "READY=1", 7, 0) == 7 ? 0 : 1);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(count_ready(), 0);
  ASSERT_EQ(send(theirs.get(), "READY=1", 7, 0), 7);
  ASSERT_EQ(send(theirs.get(), "READY=1", 7, 0), 7);
  EXPECT_EQ(count_ready(), 2);
  EXPECT_EQ(count_ready(), 0);
}

// --- StopSequence ----------------------------------------------------------

absl::Time T(double seconds) {
  return absl::UnixEpoch() + absl::Seconds(seconds);
}

TEST(StopSequence, DoesNothingUnasked) {
  StopSequence stop;
  EXPECT_EQ(stop.Next(T(1)), Action::kNone);
  EXPECT_EQ(stop.next_wakeup(), absl::InfiniteFuture());
  EXPECT_FALSE(stop.requested());
}

TEST(StopSequence, SignalsAtOnceAndAgainUntilSystemdStops) {
  StopSequence stop;
  stop.OnCanTakeSignal();
  stop.Request(T(10), absl::Seconds(30));
  EXPECT_EQ(stop.Next(T(10)), Action::kSignal);
  EXPECT_EQ(stop.Next(T(10)), Action::kNone);
  EXPECT_EQ(stop.next_wakeup(), T(11));
  EXPECT_EQ(stop.Next(T(11)), Action::kSignal);
  stop.OnStopping();
  EXPECT_EQ(stop.next_wakeup(), T(40));
  EXPECT_EQ(stop.Next(T(13)), Action::kNone);
  EXPECT_EQ(stop.Next(T(40)), Action::kKill);
  EXPECT_EQ(stop.Next(T(41)), Action::kNone);
  EXPECT_EQ(stop.next_wakeup(), absl::InfiniteFuture());
}

TEST(StopSequence, WaitsForASystemdThatHasJustStarted) {
  StopSequence stop;
  stop.Request(T(0), absl::Seconds(30));
  EXPECT_EQ(stop.Next(T(0)), Action::kNone);
  EXPECT_EQ(stop.next_wakeup(), T(1));
  stop.OnCanTakeSignal();
  EXPECT_EQ(stop.Next(T(0.2)), Action::kSignal);
  StopSequence silent;
  silent.Request(T(0), absl::Seconds(30));
  EXPECT_EQ(silent.Next(T(1)), Action::kSignal);
}

TEST(StopSequence, OnlyShortensTheGrace) {
  StopSequence stop;
  stop.OnCanTakeSignal();
  stop.Request(T(0), absl::Seconds(5));
  stop.Request(T(1), absl::Seconds(60));
  EXPECT_EQ(stop.Next(T(5)), Action::kKill);
  StopSequence other;
  other.Request(T(0), absl::Seconds(60));
  other.Request(T(1), absl::ZeroDuration());
  EXPECT_EQ(other.Next(T(1)), Action::kKill);
}

// --- ExitOfWaitStatus ------------------------------------------------------

TEST(ExitOfWaitStatus, Table) {
  struct {
    int status;
    PodExit::Kind kind;
    int code;
    int signal;
  } table[] = {
      {42 << 8, PodExit::Kind::kExited, 42, 0},
      {0, PodExit::Kind::kExited, 0, 0},
      {SIGINT, PodExit::Kind::kPowerOff, 0, 0},
      {SIGHUP, PodExit::Kind::kReboot, 0, 0},
      {SIGKILL, PodExit::Kind::kSignaled, 0, SIGKILL},
      {SIGSEGV | 0x80, PodExit::Kind::kSignaled, 0, SIGSEGV},  // core dumped
  };
  for (const auto& row : table) {
    PodExit exit = ExitOfWaitStatus(row.status);
    EXPECT_EQ(exit.kind, row.kind) << row.status;
    EXPECT_EQ(exit.code, row.code) << row.status;
    EXPECT_EQ(exit.signal, row.signal) << row.status;
  }
}

// --- ConsoleLog ------------------------------------------------------------

TEST(ConsoleLog, KeepsTheLastTwoPiecesOnly) {
  TempDir dir;
  std::string path = dir / "console.log";
  ASSERT_THAT(WriteFileAtomic(path + ".1", "of an earlier run"), IsOk());
  ASSERT_OK_AND_ASSIGN(ConsoleLog log, ConsoleLog::Open(path, 10));
  EXPECT_FALSE(PathExists(path + ".1"));
  log.Append("0123456");
  EXPECT_EQ(ReadFile(path).value(), "0123456");
  log.Append("789abcdefghijKLMN");
  EXPECT_EQ(ReadFile(path).value(), "KLMN");
  EXPECT_EQ(ReadFile(path + ".1").value(), "abcdefghij");
  log.Append(std::string(1000, 'z'));
  EXPECT_LE(ReadFile(path)->size(), 10u);
  EXPECT_EQ(ReadFile(path + ".1").value(), std::string(10, 'z'));
  EXPECT_THAT(ConsoleLog::Open(dir / "no/log", 10),
              StatusIs(absl::StatusCode::kNotFound));
}

// --- Channel ---------------------------------------------------------------

TEST(Channel, CarriesDescriptorsAndErrors) {
  ASSERT_OK_AND_ASSIGN(auto pair, Channel::MakePair());
  int fds[2];
  ASSERT_EQ(pipe2(fds, O_CLOEXEC), 0);
  UniqueFd read_end(fds[0]), write_end(fds[1]);
  ASSERT_THAT(pair.first.Send(ChannelTag::kConsole, "t", write_end.get()),
              IsOk());
  ASSERT_OK_AND_ASSIGN(ChannelMessage message,
                       pair.second.Expect(ChannelTag::kConsole));
  EXPECT_EQ(message.text, "t");
  ASSERT_EQ(write(message.fd.get(), "x", 1), 1);
  pair.first.SendError(absl::PermissionDeniedError("mount /proc: no"));
  EXPECT_EQ(pair.second.Receive().status(),
            absl::PermissionDeniedError("mount /proc: no"));
  ASSERT_THAT(pair.first.Send(ChannelTag::kExec), IsOk());
  EXPECT_THAT(pair.second.Expect(ChannelTag::kMountsDone),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("'x'")));
  { Channel closed = std::move(pair.first); }
  EXPECT_THAT(pair.second.Receive(), StatusIs(absl::StatusCode::kOutOfRange));
}

// --- BuildDeviceProgram ----------------------------------------------------

// What the program answers, by interpreting the few instructions it uses.
bool Allows(const std::vector<bpf_insn>& code, int type, int access,
            unsigned major, unsigned minor) {
  int64_t reg[11] = {};
  unsigned context[] = {static_cast<unsigned>(access << 16 | type), major,
                        minor};
  for (size_t pc = 0; pc < code.size(); ++pc) {
    const bpf_insn& insn = code[pc];
    switch (insn.code) {
      case BPF_LDX | BPF_MEM | BPF_W:
        reg[insn.dst_reg] = context[insn.off / 4];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_X:
        reg[insn.dst_reg] = reg[insn.src_reg];
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        reg[insn.dst_reg] = insn.imm;
        break;
      case BPF_ALU64 | BPF_AND | BPF_K:
        reg[insn.dst_reg] &= insn.imm;
        break;
      case BPF_ALU64 | BPF_RSH | BPF_K:
        reg[insn.dst_reg] >>= insn.imm;
        break;
      case BPF_JMP | BPF_JNE | BPF_K:
        if (reg[insn.dst_reg] != insn.imm) pc += insn.off;
        break;
      case BPF_JMP | BPF_EXIT:
        return reg[0] == 1;
      default:
        ADD_FAILURE() << "unexpected instruction " << int{insn.code};
        return false;
    }
  }
  ADD_FAILURE() << "the program runs off its end";
  return false;
}

TEST(BuildDeviceProgram, AllowsWhatTheRulesSayAndNothingElse) {
  constexpr int kBlock = BPF_DEVCG_DEV_BLOCK, kChar = BPF_DEVCG_DEV_CHAR;
  constexpr int kMknod = BPF_DEVCG_ACC_MKNOD, kRead = BPF_DEVCG_ACC_READ,
                kWrite = BPF_DEVCG_ACC_WRITE;
  std::vector<bpf_insn> code = BuildDeviceProgram(
      {{'c', 1, 3, "rwm"}, {'c', 136, -1, "rw"}, {'b', 7, 0, "r"}});
  EXPECT_TRUE(Allows(code, kChar, kRead | kWrite | kMknod, 1, 3));
  EXPECT_TRUE(Allows(code, kChar, kMknod, 1, 3));
  EXPECT_FALSE(Allows(code, kBlock, kRead, 1, 3));
  EXPECT_FALSE(Allows(code, kChar, kRead, 1, 4));
  EXPECT_TRUE(Allows(code, kChar, kRead | kWrite, 136, 77));
  EXPECT_FALSE(Allows(code, kChar, kMknod, 136, 77));
  EXPECT_TRUE(Allows(code, kBlock, kRead, 7, 0));
  EXPECT_FALSE(Allows(code, kBlock, kRead | kWrite, 7, 0));
  EXPECT_FALSE(Allows(code, kBlock, kMknod, 7, 0));
  EXPECT_FALSE(Allows(BuildDeviceProgram({}), kChar, kRead, 1, 3));
}

// Its last word is the same for all: no.
TEST(BuildSysctlProgram, AllowsTheOwnNetworkAtMost) {
  std::vector<bpf_insn> host = BuildSysctlProgram(false);
  std::vector<bpf_insn> own = BuildSysctlProgram(true);
  auto calls = [](const std::vector<bpf_insn>& code) {
    int count = 0;
    for (const bpf_insn& insn : code)
      count += insn.code == (BPF_JMP | BPF_CALL);
    return count;
  };
  EXPECT_EQ(calls(host), 0);
  EXPECT_EQ(calls(own), 1);
  for (const auto& code : {host, own}) {
    ASSERT_GE(code.size(), 2u);
    EXPECT_EQ(code.back().code, BPF_JMP | BPF_EXIT);
    EXPECT_EQ(code[code.size() - 2].imm, 0);
  }
}

TEST(ApplyDevicePolicy, RefusesToRunWithoutAny) {
  EXPECT_THAT(ApplyDevicePolicy({}, {{.controllers = {"memory"}}}),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

// --- ConsoleTail, ConsoleHub ------------------------------------------------

TEST(ConsoleTail, KeepsTheLastBytesByTheirPosition) {
  ConsoleTail tail;
  uint64_t position = 0;
  EXPECT_EQ(tail.From(position), "");
  tail.Append("one");
  EXPECT_EQ(tail.From(position), "one");
  position = 2;
  EXPECT_EQ(tail.From(position), "e");
  for (int i = 0; i < 5; ++i) tail.Append(std::string(50000, 'a' + i));
  position = 0;
  absl::string_view kept = tail.From(position);
  EXPECT_EQ(kept.size(), ConsoleTail::kLimit);
  EXPECT_EQ(position, 3 + 250000 - ConsoleTail::kLimit);
  EXPECT_EQ(kept.front(), 'd');
  EXPECT_EQ(kept.back(), 'e');
  position = 250003;
  EXPECT_EQ(tail.From(position), "");
}

class ConsoleHubTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Epoll epoll, Epoll::Create());
    epoll_ = std::make_unique<Epoll>(std::move(epoll));
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    console_.Reset(ends[0]);
    pod_.Reset(ends[1]);
    hub_ = std::make_unique<ConsoleHub>(*epoll_, console_.get());
  }
  UniqueFd Attach() {
    int ends[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    hub_->Add(UniqueFd(ends[1]));
    return UniqueFd(ends[0]);
  }
  void Turn() { ASSERT_THAT(epoll_->Wait(absl::ZeroDuration()), IsOk()); }
  static std::string Read(const UniqueFd& fd) {
    std::string text(1 << 20, '\0');
    ssize_t n = read(fd.get(), text.data(), text.size());
    text.resize(n < 0 ? 0 : n);
    return text;
  }

  std::unique_ptr<Epoll> epoll_;
  UniqueFd console_, pod_;  // what the pod reads comes out of `pod_`
  std::unique_ptr<ConsoleHub> hub_;
};

TEST_F(ConsoleHubTest, ShowsTheTailAndThenAllToEveryone) {
  hub_->Show("before ");
  UniqueFd a = Attach();
  EXPECT_EQ(Read(a), "before ");
  UniqueFd b = Attach();
  hub_->Show("now");
  EXPECT_EQ(Read(a), "now");
  EXPECT_EQ(Read(b), "before now");
}

TEST_F(ConsoleHubTest, PassesOnWhatIsTyped) {
  UniqueFd a = Attach(), b = Attach();
  ASSERT_EQ(write(a.get(), "root\n", 5), 5);
  Turn();
  ASSERT_EQ(write(b.get(), "x", 1), 1);
  Turn();
  EXPECT_EQ(Read(pod_), "root\nx");
  // The end of its input is not the end of its looking.
  shutdown(a.get(), SHUT_WR);
  Turn();
  hub_->Show("still");
  EXPECT_EQ(Read(a), "still");
}

TEST_F(ConsoleHubTest, WhoDoesNotReadMissesTheOldest) {
  UniqueFd slow = Attach(), quick = Attach();
  std::string seen;
  for (int i = 0; i < 100; ++i) {
    hub_->Show(std::string(16384, 'a' + i % 26));
    seen += Read(quick);
  }
  EXPECT_EQ(seen.size(), 100u * 16384);
  std::string late;
  for (int i = 0; i < 100; ++i) {
    late += Read(slow);
    Turn();
  }
  EXPECT_LT(late.size(), 100u * 16384);
  EXPECT_GE(late.size(), ConsoleTail::kLimit);
  EXPECT_EQ(late.back(), 'a' + 99 % 26);
}

TEST_F(ConsoleHubTest, TypingWaitsForAConsoleThatIsFull) {
  UniqueFd a = Attach();
  std::string typed(4096, 'x');
  size_t sent = 0;
  for (int i = 0; i < 1000; ++i) {
    ssize_t n = write(a.get(), typed.data(), typed.size());
    if (n > 0) sent += n;
    Turn();
  }
  EXPECT_LT(sent, 1000u * 4096);  // it came to a stop
  size_t received = 0;
  for (int i = 0; i < 2000 && received < sent; ++i) {
    received += Read(pod_).size();
    hub_->OnConsoleWritable();
  }
  EXPECT_EQ(received, sent);
}

TEST_F(ConsoleHubTest, ForgetsWhoHasGone) {
  UniqueFd a = Attach(), b = Attach();
  a.Reset();
  Turn();
  hub_->Show("x");
  EXPECT_EQ(Read(b), "x");
  b.Reset();
  hub_->Show("y");  // before the hub has heard of it
}

// --- ControlServer ---------------------------------------------------------

class ControlServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(Epoll epoll, Epoll::Create());
    epoll_ = std::make_unique<Epoll>(std::move(epoll));
    server_ = std::make_unique<ControlServer>(
        *epoll_,
        ControlServer::Handlers{
            .stop = [this](absl::Duration grace) { stops_.push_back(grace); },
            .attach = [this](UniqueFd fd) { attached_ = std::move(fd); },
            .resize =
                [this](uint16_t rows, uint16_t columns) {
                  window_ = absl::StrCat(rows, "x", columns);
                }});
    ASSERT_OK_AND_ASSIGN(UniqueFd listener, ListenForPackets(path_));
    ASSERT_THAT(server_->Serve(std::move(listener)), IsOk());
  }
  UniqueFd Connect() { return ConnectForPackets(path_).value(); }
  void Turn() { ASSERT_THAT(epoll_->Wait(absl::ZeroDuration()), IsOk()); }

  TempDir dir_;
  std::string path_ = dir_ / "s";
  std::unique_ptr<Epoll> epoll_;
  std::unique_ptr<ControlServer> server_;
  std::vector<absl::Duration> stops_;
  UniqueFd attached_;
  std::string window_;
};

TEST_F(ControlServerTest, PassesConsolesOnAndAnswers) {
  server_->Publish("state");
  UniqueFd client = Connect();
  Turn();
  EXPECT_EQ(ReceivePacket(client.get()).value(), "state");
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  ASSERT_THAT(
      SendPacketWithFd(client.get(),
                       EncodeShimCommand({.kind = ShimCommand::Kind::kAttach}),
                       theirs.get()),
      IsOk());
  theirs.Reset();
  Turn();
  EXPECT_EQ(ReceivePacket(client.get()).value(), "state");
  ASSERT_TRUE(attached_);
  ASSERT_EQ(write(attached_.get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(read(ours.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_NE(fcntl(attached_.get(), F_GETFD) & FD_CLOEXEC, 0);
  ASSERT_THAT(SendPacket(client.get(),
                         EncodeShimCommand({.kind = ShimCommand::Kind::kResize,
                                            .rows = 50,
                                            .columns = 132})),
              IsOk());
  Turn();
  EXPECT_EQ(window_, "50x132");
  // One that forgot the socket.
  ASSERT_THAT(
      SendPacket(client.get(),
                 EncodeShimCommand({.kind = ShimCommand::Kind::kAttach})),
      IsOk());
  Turn();
  EXPECT_THAT(ReceivePacket(client.get()),
              StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(ControlServerTest, TellsTheStateOnConnectAndAtChanges) {
  server_->Publish("one");
  UniqueFd a = Connect();
  Turn();
  EXPECT_EQ(ReceivePacket(a.get()).value(), "one");
  UniqueFd b = Connect();
  Turn();
  server_->Publish("two");
  EXPECT_EQ(ReceivePacket(a.get()).value(), "two");
  EXPECT_EQ(ReceivePacket(b.get()).value(), "one");
  EXPECT_EQ(ReceivePacket(b.get()).value(), "two");
}

TEST_F(ControlServerTest, TakesStopsAndDropsNonsense) {
  UniqueFd client = Connect();
  Turn();
  ASSERT_THAT(
      SendPacket(client.get(), EncodeShimCommand({.grace = absl::Seconds(7)})),
      IsOk());
  Turn();
  EXPECT_THAT(stops_, ::testing::ElementsAre(absl::Seconds(7)));
  ASSERT_THAT(SendPacket(client.get(), "\xff\xff\xff"), IsOk());
  Turn();
  EXPECT_THAT(ReceivePacket(client.get()),
              StatusIs(absl::StatusCode::kOutOfRange));
  EXPECT_EQ(stops_.size(), 1u);
}

TEST_F(ControlServerTest, HearsWhoSpeaksAndLeaves) {
  server_->Publish("state");
  {
    UniqueFd brief = Connect();
    ASSERT_THAT(
        SendPacket(brief.get(), EncodeShimCommand({.grace = absl::Seconds(1)})),
        IsOk());
  }
  Turn();  // accept
  Turn();  // read
  EXPECT_THAT(stops_, ::testing::ElementsAre(absl::Seconds(1)));
  UniqueFd client = Connect();
  Turn();
  ASSERT_THAT(
      SendPacket(client.get(), EncodeShimCommand({.grace = absl::Seconds(2)})),
      IsOk());
  client.Reset();
  // A change of the state comes before the turn of that client.
  server_->Publish("next");
  EXPECT_EQ(stops_.size(), 2u);
}

TEST_F(ControlServerTest, CutsOffWhoDoesNotRead) {
  UniqueFd deaf = Connect();
  UniqueFd good = Connect();
  Turn();
  Turn();
  std::string big(10000, 'x');
  for (int i = 0; i < 1000; ++i) {
    server_->Publish(big);
    ASSERT_EQ(ReceivePacket(good.get()).value(), big);
  }
  absl::Status last;
  for (int i = 0; i < 1000 && last.ok(); ++i) {
    last = ReceivePacket(deaf.get()).status();
  }
  EXPECT_THAT(last, StatusIs(absl::StatusCode::kOutOfRange));
}

TEST_F(ControlServerTest, RefusesWhoIsNotRoot) {
  if (getuid() != 0) GTEST_SKIP() << "needs root";
  server_->Publish("secret");
  ASSERT_EQ(chmod(dir_.path().c_str(), 0755), 0);
  ASSERT_EQ(chmod(path_.c_str(), 0666), 0);
  pid_t child = fork();
  if (child == 0) {
    if (setresuid(65534, 65534, 65534) != 0) _exit(1);
    absl::StatusOr<UniqueFd> fd = ConnectForPackets(path_);
    if (!fd.ok()) _exit(2);
    char byte;
    // The blocking read ends with the refusal.
    if (fcntl(fd->get(), F_SETFL, 0) != 0) _exit(3);
    ssize_t n = recv(fd->get(), &byte, 1, 0);
    _exit(n <= 0 ? 0 : 4);
  }
  ASSERT_THAT(epoll_->Wait(absl::Seconds(10)), IsOk());
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace davit
