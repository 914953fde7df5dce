#include "agent/rpc/exec_stream.h"

#include <dirent.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "agent/rpc/grpc_status.h"
#include "agent/rpc/pod_service.h"
#include "agent/rpc/testing/fake_pod_manager.h"
#include "agent/rpc/testing/local_exec_session.h"
#include "davit/v1/pod_service.grpc.pb.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::FakePodManager;
using ::davit::testing::IsOk;
using ::davit::testing::LocalExecSession;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Stream = grpc::ClientReaderWriter<v1::ExecRequest, v1::ExecResponse>;

int CountEntries(const char* directory) {
  DIR* dir = opendir(directory);
  int count = 0;
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

v1::ExecRequest StartOf(const std::vector<std::string>& command) {
  v1::ExecRequest request;
  request.mutable_start()->set_pod("web");
  request.mutable_start()->set_app("app");
  request.mutable_start()->mutable_command()->Assign(command.begin(),
                                                     command.end());
  request.mutable_start()->set_stdin(true);
  return request;
}

v1::ExecRequest Shell(const std::string& script) {
  return StartOf({"/bin/sh", "-c", script});
}

v1::ExecRequest Data(const std::string& data) {
  v1::ExecRequest request;
  request.set_stdin_data(data);
  return request;
}

// What a whole call gave.
struct Outcome {
  std::string out, err;
  int exit_code = -1;
  bool code_was_last = false;
  absl::Status status;
};

// `before_finish` is for what must end first: Finish may not be called while
// another thread writes.
Outcome ReadAll(
    Stream& stream, const std::function<void()>& before_finish = [] {}) {
  Outcome outcome;
  v1::ExecResponse response;
  while (stream.Read(&response)) {
    outcome.out += response.stdout_data();
    outcome.err += response.stderr_data();
    outcome.code_was_last = response.has_exit_code();
    if (response.has_exit_code()) outcome.exit_code = response.exit_code();
  }
  before_finish();
  outcome.status = FromGrpcStatus(stream.Finish());
  return outcome;
}

class ExecStreamTest : public ::testing::Test {
 protected:
  ExecStreamTest() {
    signal(SIGPIPE, SIG_IGN);
    PodSpec spec;
    spec.name = "web";
    manager_.Run(spec).IgnoreError();
    manager_.SetExec([this](const std::string&, const ExecRequest& request) {
      request_ = request;
      return LocalExecSession::Start(request);
    });
    service_ = NewPodService(&manager_, nullptr);
    // A real connection: the in-process one has no flow control.
    const std::string address = "unix:" + (dir_ / "sock");
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::PodService::NewStub(
        grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }

  ~ExecStreamTest() override {
    server_->Shutdown();
    EXPECT_EQ(LocalExecSession::alive(), 0);
  }

  std::unique_ptr<Stream> Open() { return stub_->Exec(&context_); }

  // Sends `messages`, ends the input, reads the rest.
  Outcome Exec(const std::vector<v1::ExecRequest>& messages) {
    auto stream = Open();
    for (const v1::ExecRequest& message : messages) stream->Write(message);
    stream->WritesDone();
    return ReadAll(*stream);
  }

  TempDir dir_;
  FakePodManager manager_;
  ExecRequest request_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::PodService::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(ExecStreamTest, KeepsOutputsApartAndTheCodeLast) {
  Outcome outcome = Exec({Shell("echo out; echo err >&2; exit 3")});
  EXPECT_THAT(outcome.status, IsOk());
  EXPECT_EQ(outcome.out, "out\n");
  EXPECT_EQ(outcome.err, "err\n");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_TRUE(outcome.code_was_last);
}

TEST_F(ExecStreamTest, PassesTheRequest) {
  v1::ExecRequest start = StartOf({"/bin/true", "", "a b"});
  start.mutable_start()->set_stdin(false);
  EXPECT_EQ(Exec({start}).exit_code, 0);
  EXPECT_EQ(request_.app, "app");
  EXPECT_THAT(request_.argv, ::testing::ElementsAre("/bin/true", "", "a b"));
  EXPECT_FALSE(request_.tty);
  EXPECT_FALSE(request_.stdin_open);
  EXPECT_EQ(request_.rows, 24);
  EXPECT_EQ(request_.columns, 80);
}

TEST_F(ExecStreamTest, FeedsInputUntilItsEnd) {
  Outcome outcome =
      Exec({StartOf({"/bin/cat"}), Data("one "), Data(""), Data("two")});
  EXPECT_EQ(outcome.out, "one two");
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(ExecStreamTest, StdinEofMessageEndsInputWhileTheCallGoesOn) {
  auto stream = Open();
  stream->Write(StartOf({"/bin/cat"}));
  stream->Write(Data("x"));
  v1::ExecRequest eof;
  eof.set_stdin_eof(true);
  stream->Write(eof);
  // The client's side stays open: the answer must not wait for it.
  Outcome outcome = ReadAll(*stream);
  EXPECT_THAT(outcome.status, IsOk());
  EXPECT_EQ(outcome.out, "x");
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(ExecStreamTest, MegabytesThroughBothDirections) {
  auto stream = Open();
  stream->Write(StartOf({"/bin/cat"}));
  constexpr int kChunks = 128;
  const std::string chunk(64 << 10, 'x');
  std::thread writer([&] {
    for (int i = 0; i < kChunks; ++i) stream->Write(Data(chunk));
    stream->WritesDone();
  });
  Outcome outcome = ReadAll(*stream, [&] { writer.join(); });
  EXPECT_THAT(outcome.status, IsOk());
  EXPECT_EQ(outcome.out.size(), kChunks * chunk.size());
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(ExecStreamTest, AllOutputOfACommandThatEndsAtOnce) {
  Outcome outcome =
      Exec({Shell("head -c 3000000 /dev/zero; head -c 60000 /dev/zero >&2")});
  EXPECT_EQ(outcome.out.size(), 3000000);
  EXPECT_EQ(outcome.err.size(), 60000);
}

TEST_F(ExecStreamTest, ASlowReaderLosesNothing) {
  auto stream = Open();
  stream->Write(Shell("head -c 1000000 /dev/zero"));
  absl::SleepFor(absl::Seconds(1));  // the pipe is full, the rest waits
  EXPECT_EQ(ReadAll(*stream).out.size(), 1000000);
}

TEST_F(ExecStreamTest, ACommandThatReadsNothingHoldsUpNobody) {
  auto stream = Open();
  stream->Write(Shell("exec <&-; echo done; exit 4"));
  std::atomic<bool> over = false;
  std::thread writer([&] {
    while (!over && stream->Write(Data(std::string(64 << 10, 'x')))) {
    }
  });
  Outcome outcome = ReadAll(*stream, [&] {
    over = true;
    writer.join();
  });
  EXPECT_EQ(outcome.out, "done\n");
  EXPECT_EQ(outcome.exit_code, 4);
}

TEST_F(ExecStreamTest, InputIsTakenOnlyAsFastAsTheCommandReads) {
  auto stream = Open();
  stream->Write(StartOf({"/bin/sleep", "1000"}));
  std::atomic<int> written = 0;
  std::thread writer([&] {
    while (stream->Write(Data(std::string(64 << 10, 'x')))) ++written;
  });
  absl::Time deadline = absl::Now() + absl::Seconds(30);
  int before;
  do {
    before = written;
    absl::SleepFor(absl::Seconds(1));
  } while (written != before && absl::Now() < deadline);
  EXPECT_EQ(written, before);  // it has come to a stop
  EXPECT_LT(before, 512);      // 32 MiB; HTTP/2 windows grow to some
  context_.TryCancel();
  writer.join();
  ReadAll(*stream);
}

TEST_F(ExecStreamTest, SignalsAreCodes) {
  EXPECT_EQ(Exec({Shell("kill -9 $$")}).exit_code, 137);
}

TEST_F(ExecStreamTest, ChildrenLeftBehindDoNotHoldTheCall) {
  absl::Time begun = absl::Now();
  Outcome outcome = Exec({Shell("sleep 100 & echo started; exit 5")});
  EXPECT_EQ(outcome.out, "started\n");
  EXPECT_EQ(outcome.exit_code, 5);
  EXPECT_LT(absl::Now() - begun, absl::Seconds(20));
}

TEST_F(ExecStreamTest, OutputsMayCloseBeforeTheEnd) {
  Outcome outcome = Exec({Shell("exec >&- 2>&-; sleep 0.3; exit 6")});
  EXPECT_THAT(outcome.status, IsOk());
  EXPECT_EQ(outcome.exit_code, 6);
}

TEST_F(ExecStreamTest, TerminalHasItsSizeAndResizes) {
  v1::ExecRequest start = Shell(
      "trap 'stty size; exit 0' WINCH; test -t 0 && stty size; "
      "while :; do sleep 0.05; done");
  start.mutable_start()->set_tty(true);
  start.mutable_start()->mutable_size()->set_rows(33);
  start.mutable_start()->mutable_size()->set_columns(99);
  auto stream = Open();
  stream->Write(start);
  v1::ExecResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "33 99\r\n");
  v1::ExecRequest resize;
  resize.mutable_resize()->set_rows(40);
  resize.mutable_resize()->set_columns(120);
  stream->Write(resize);
  Outcome outcome = ReadAll(*stream);
  EXPECT_THAT(outcome.out, HasSubstr("40 120\r\n"));
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(ExecStreamTest, TerminalCarriesInput) {
  v1::ExecRequest start = Shell("stty -echo; echo ready; read x; echo got $x");
  start.mutable_start()->set_tty(true);
  auto stream = Open();
  stream->Write(start);
  v1::ExecResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "ready\r\n");
  stream->Write(Data("word\n"));
  Outcome outcome = ReadAll(*stream);
  EXPECT_EQ(outcome.out, "got word\r\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.exit_code, 0);
}

TEST_F(ExecStreamTest, TheCommandDiesWithItsClient) {
  auto stream = Open();
  stream->Write(Shell("echo $$; sleep 1000"));
  v1::ExecResponse response;
  ASSERT_TRUE(stream->Read(&response));
  pid_t pid = std::stoi(response.stdout_data());
  ASSERT_EQ(kill(pid, 0), 0);
  stream->WritesDone();  // a half-closed call can still be cancelled
  context_.TryCancel();
  EXPECT_THAT(ReadAll(*stream).status, StatusIs(absl::StatusCode::kCancelled));
  server_->Shutdown();  // returns only when the call is really over
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ExecStreamTest, TheServersShutdownEndsIt) {
  auto stream = Open();
  stream->Write(Shell("echo x; sleep 1000"));
  v1::ExecResponse response;
  ASSERT_TRUE(stream->Read(&response));
  server_->Shutdown(std::chrono::system_clock::now());
  EXPECT_FALSE(ReadAll(*stream).status.ok());
  EXPECT_EQ(LocalExecSession::alive(), 0);
}

// --- Shells ---

TEST_F(ExecStreamTest, AShellIsAUsersAndNeedsNoCommand) {
  manager_.SetExec([this](const std::string&, const ExecRequest& request) {
    request_ = request;
    ExecRequest real = request;
    real.argv = {"/bin/true"};
    return LocalExecSession::Start(real);
  });
  v1::ExecRequest start;
  start.mutable_start()->set_pod("web");
  start.mutable_start()->mutable_shell();
  EXPECT_EQ(Exec({start}).exit_code, 0);
  EXPECT_EQ(request_.login_user, "root");
  EXPECT_THAT(request_.argv, ::testing::IsEmpty());
}

TEST_F(ExecStreamTest, AShellIsNotInAnApp) {
  v1::ExecRequest start;
  start.mutable_start()->set_pod("web");
  start.mutable_start()->set_app("app");
  start.mutable_start()->mutable_shell()->set_user("bob");
  EXPECT_THAT(Exec({start}).status, StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("start.app: ")));
}

TEST_F(ExecStreamTest, AShellsUserIsAName) {
  v1::ExecRequest start;
  start.mutable_start()->set_pod("web");
  start.mutable_start()->mutable_shell()->set_user(std::string("a\0b", 3));
  EXPECT_THAT(Exec({start}).status, StatusIs(absl::StatusCode::kInvalidArgument,
                                             HasSubstr("start.shell.user: ")));
}

// --- Consoles ---

class AttachStreamTest : public ExecStreamTest {
 protected:
  using AttachStream =
      grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>;

  static v1::AttachRequest Start(bool typing) {
    v1::AttachRequest request;
    request.mutable_start()->set_pod("web");
    request.mutable_start()->set_stdin(typing);
    return request;
  }
  // The console is this script.
  void SetConsole(const std::string& script, bool tty) {
    manager_.SetExec(
        [this, script, tty](const std::string&, const ExecRequest& request) {
          request_ = request;
          ExecRequest real = request;
          real.tty = tty;
          real.argv = {"/bin/sh", "-c", script};
          return LocalExecSession::Start(real);
        });
  }
};

TEST_F(AttachStreamTest, ShowsAndTypesUntilThePodEnds) {
  SetConsole("echo ready; read x; echo got $x", false);
  auto stream = stub_->Attach(&context_);
  stream->Write(Start(true));
  v1::AttachResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "ready\n");
  v1::AttachRequest typed;
  typed.set_stdin_data("word\n");
  stream->Write(typed);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "got word\n");
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), IsOk());
  EXPECT_EQ(request_.app, "console");
}

TEST_F(AttachStreamTest, SetsTheWindowThatTheClientSays) {
  SetConsole("sleep 0.3; stty size", true);
  auto stream = stub_->Attach(&context_);
  v1::AttachRequest start = Start(true);
  start.mutable_start()->mutable_size()->set_rows(51);
  start.mutable_start()->mutable_size()->set_columns(133);
  stream->Write(start);
  v1::AttachResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "51 133\r\n");
  while (stream->Read(&response)) {
  }
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), IsOk());
}

TEST_F(AttachStreamTest, LookingOnlyTypesNothingAndErrorsAreTold) {
  SetConsole("cat; echo end", false);
  auto stream = stub_->Attach(&context_);
  stream->Write(Start(false));
  v1::AttachResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.stdout_data(), "end\n");
  EXPECT_FALSE(request_.stdin_open);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_THAT(FromGrpcStatus(stream->Finish()), IsOk());
  grpc::ClientContext other;
  stream = stub_->Attach(&other);
  v1::AttachRequest nameless;
  nameless.mutable_start();
  stream->Write(nameless);
  EXPECT_THAT(FromGrpcStatus(stream->Finish()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "start.pod: is "
                       "required"));
}

TEST_F(ExecStreamTest, ErrorsOfTheManagerComeThrough) {
  manager_.FailNext(
      absl::FailedPreconditionError("app \"app\" is not running"));
  Outcome outcome = Exec({StartOf({"/bin/true"})});
  EXPECT_THAT(outcome.status, StatusIs(absl::StatusCode::kFailedPrecondition,
                                       "app \"app\" is not running"));
  EXPECT_EQ(outcome.exit_code, -1);
}

// The status and not the exit code tells that a command could not be executed.
class UnstartableSession : public ExecSession {
 public:
  int stdin_fd() const override { return -1; }
  int stdout_fd() const override { return -1; }
  int stderr_fd() const override { return -1; }
  void CloseStdin() override {}
  absl::Status Resize(unsigned, unsigned) override { return absl::OkStatus(); }
  absl::Status Kill(int) override { return absl::OkStatus(); }
  int wait_fd() const override { return ready_.get(); }
  absl::StatusOr<int> Wait(absl::Duration) override {
    return absl::NotFoundError("command \"nope\" not found in $PATH");
  }

 private:
  UniqueFd ready_{open("/dev/zero", O_RDONLY | O_CLOEXEC)};
};

TEST_F(ExecStreamTest, AnUnknownCommandIsNotFound) {
  manager_.SetExec([](const std::string&, const ExecRequest&) {
    return std::unique_ptr<ExecSession>(new UnstartableSession());
  });
  EXPECT_THAT(Exec({StartOf({"nope"})}).status,
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("\"nope\"")));
}

TEST_F(ExecStreamTest, RefusesBadFirstMessages) {
  struct Case {
    v1::ExecRequest first;
    std::string message;
  };
  v1::ExecRequest no_pod = StartOf({"/bin/true"});
  no_pod.mutable_start()->clear_pod();
  for (const Case& c :
       {Case{Data("x"), "start: the first message must hold it"},
        Case{v1::ExecRequest(), "start: the first message must hold it"},
        Case{no_pod, "start.pod: is required"},
        Case{StartOf({}), "start.command: is required"},
        Case{StartOf({""}), "start.command: is required"},
        Case{StartOf({"a", std::string("b\0", 2)}),
             "start.command[1]: must not contain a NUL byte"}}) {
    grpc::ClientContext context;
    auto stream = stub_->Exec(&context);
    stream->Write(c.first);
    EXPECT_THAT(ReadAll(*stream).status,
                StatusIs(absl::StatusCode::kInvalidArgument, c.message));
  }
}

TEST_F(ExecStreamTest, RefusesAnEmptyCall) {
  EXPECT_THAT(Exec({}).status, StatusIs(absl::StatusCode::kInvalidArgument,
                                        "start: is required"));
}

TEST_F(ExecStreamTest, ASecondStartEndsTheCommand) {
  auto stream = Open();
  stream->Write(StartOf({"/bin/sleep", "1000"}));
  stream->Write(StartOf({"/bin/sleep", "1000"}));
  EXPECT_THAT(ReadAll(*stream).status,
              StatusIs(absl::StatusCode::kInvalidArgument,
                       StartsWith("a message after the first must hold")));
}

TEST_F(ExecStreamTest, ManyCallsLeaveNoDescriptorsOrSessions) {
  auto one = [this](int i) {
    grpc::ClientContext context;
    auto stream = stub_->Exec(&context);
    stream->Write(Shell(absl::StrCat("exit ", i)));
    if (i % 3 == 0) context.TryCancel();
    ReadAll(*stream);
  };
  for (int i = 0; i < 3; ++i) one(i);
  absl::SleepFor(absl::Milliseconds(200));
  int before = CountEntries("/proc/self/fd");
  std::vector<std::thread> threads;
  for (int i = 0; i < 10; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 5; ++j) one(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
  absl::Time deadline = absl::Now() + absl::Seconds(10);
  while (LocalExecSession::alive() > 0 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_EQ(LocalExecSession::alive(), 0);
  // gRPC's own threads may have opened one or two of their own.
  EXPECT_LE(CountEntries("/proc/self/fd"), before + 4);
}

}  // namespace
}  // namespace davit
