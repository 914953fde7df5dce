// davitctl exec [-it] POD [-c APP] -- COMMAND...
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "cli/command.h"
#include "cli/terminal.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit::cli {
namespace {

struct ExecFlags {
  std::string pod, app;
  std::vector<std::string> command;
  bool tty = false, stdin_open = false;
};

using ExecStream = grpc::ClientReaderWriter<v1::ExecRequest, v1::ExecResponse>;

void FillSize(v1::ExecRequest::TerminalSize* size) {
  TerminalSize now = GetTerminalSize(STDIN_FILENO);
  size->set_rows(now.rows);
  size->set_columns(now.columns);
}

// Sends our standard input and window changes until the command has ended. Runs
// on a thread of its own: it is the only writer of the stream.
class InputPump {
 public:
  InputPump(ExecStream* stream, bool stdin_open, int resize_fd, int stop_fd)
      : stream_(stream),
        stdin_open_(stdin_open),
        resize_fd_(resize_fd),
        stop_fd_(stop_fd) {}

  void Run() {
    while (true) {
      pollfd polls[] = {{stdin_open_ ? STDIN_FILENO : -1, POLLIN, 0},
                        {resize_fd_, POLLIN, 0},
                        {stop_fd_, POLLIN, 0}};
      if (poll(polls, 3, -1) < 0 && errno != EINTR) return;
      if (polls[2].revents != 0) return;
      if (polls[1].revents != 0 && !SendResize()) return;
      if (polls[0].revents != 0 && !SendInput()) return;
    }
  }

 private:
  bool SendResize() {
    signalfd_siginfo info;
    while (read(resize_fd_, &info, sizeof(info)) > 0) {
    }
    v1::ExecRequest request;
    FillSize(request.mutable_resize());
    return stream_->Write(request);
  }

  bool SendInput() {
    char buffer[16384];
    ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    v1::ExecRequest request;
    if (n > 0) {
      request.set_stdin_data(buffer, static_cast<size_t>(n));
    } else {
      request.set_stdin_eof(true);
      stdin_open_ = false;
    }
    return stream_->Write(request);
  }

  ExecStream* stream_;
  bool stdin_open_;
  int resize_fd_, stop_fd_;
};

// Prints what the command prints; its exit code is the last message.
absl::StatusOr<int> PumpOutput(Client& client, ExecStream* stream) {
  v1::ExecResponse response;
  int code = -1;
  while (stream->Read(&response)) {
    switch (response.message_case()) {
      case v1::ExecResponse::kStdoutData:
        WriteAll(STDOUT_FILENO, response.stdout_data()).IgnoreError();
        break;
      case v1::ExecResponse::kStderrData:
        WriteAll(STDERR_FILENO, response.stderr_data()).IgnoreError();
        break;
      case v1::ExecResponse::kExitCode:
        code = response.exit_code();
        break;
      default:
        break;
    }
  }
  RETURN_IF_ERROR(client.ToStatus(stream->Finish()));
  if (code < 0) return LocalError("the agent did not say how it ended");
  return code;
}

absl::StatusOr<UniqueFd> WindowChanges() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGWINCH);
  UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return ErrnoError("signalfd(SIGWINCH)");
  return fd;
}

absl::StatusOr<int> Exec(Context& context, const ExecFlags& flags) {
  bool tty = flags.tty && isatty(STDIN_FILENO);
  if (flags.tty && !tty) {
    context.err << "Unable to use a TTY - input is not a terminal or the right "
                   "kind of file\n";
  }
  // Blocked before gRPC makes its threads, so that it arrives at the signalfd.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGWINCH);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  ASSIGN_OR_RETURN(UniqueFd resizes, WindowChanges());
  int stop[2];
  if (pipe2(stop, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  UniqueFd stop_read(stop[0]), stop_write(stop[1]);

  grpc::ClientContext rpc;
  auto stream = context.client().pods().Exec(&rpc);
  v1::ExecRequest request;
  v1::ExecRequest::Start* start = request.mutable_start();
  start->set_pod(std::string(absl::StripPrefix(flags.pod, "pod/")));
  start->set_app(flags.app);
  start->mutable_command()->Add(flags.command.begin(), flags.command.end());
  start->set_tty(tty);
  start->set_stdin(flags.stdin_open);
  if (tty) FillSize(start->mutable_size());
  stream->Write(request);

  absl::StatusOr<int> code = 0;
  {
    std::unique_ptr<RawTerminal> raw;
    if (tty && flags.stdin_open) {
      raw = std::make_unique<RawTerminal>(STDIN_FILENO);
    }
    InputPump input(stream.get(), flags.stdin_open, tty ? resizes.get() : -1,
                    stop_read.get());
    std::thread pump([&input] { input.Run(); });
    code = PumpOutput(context.client(), stream.get());
    stop_write.Reset();
    pump.join();
  }
  if (code.ok() && *code != 0) {
    context.err << "command terminated with exit code " << *code << "\n";
  }
  return code;
}

}  // namespace

void AddExecCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<ExecFlags>();
  CLI::App* exec = app.add_subcommand("exec", "Run a command beside an app");
  exec->add_option("POD", flags->pod, "the pod")->required();
  exec->add_option("-c,--container,--app", flags->app,
                   "the app, if the pod has several");
  exec->add_flag("-t,--tty", flags->tty, "give it a terminal");
  exec->add_flag("-i,--stdin", flags->stdin_open, "pass standard input");
  exec->add_option("COMMAND", flags->command, "after --")->required();
  exec->callback([&context, flags] {
    context.action = [&context, flags] { return Exec(context, *flags); };
  });
}

}  // namespace davit::cli
