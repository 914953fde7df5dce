// davitctl exec [-it] POD [-c APP] -- COMMAND...
// davitctl shell [USER@]POD [-- COMMAND...]
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/input_pump.h"
#include "cli/pod_names.h"
#include "cli/terminal.h"
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

struct ShellFlags {
  std::string pod;
  std::vector<std::string> command;
  bool no_tty = false;
};

using ExecStream = grpc::ClientReaderWriter<v1::ExecRequest, v1::ExecResponse>;
using ExecPump = InputPump<v1::ExecRequest, v1::ExecResponse>;

// Prints what the command prints; its exit code is the last message.
// `end_input` is called when no more is to be sent: only then may the call be
// finished.
absl::StatusOr<int> PumpOutput(Client& client, ExecStream* stream,
                               const std::function<void()>& end_input) {
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
  end_input();
  RETURN_IF_ERROR(client.ToStatus(stream->Finish()));
  if (code < 0) return LocalError("the agent did not say how it ended");
  return code;
}

// The whole call: what `start` asks for, until it has ended.
absl::StatusOr<int> RunCommand(Context& context,
                               const v1::ExecRequest::Start& start) {
  ASSIGN_OR_RETURN(UniqueFd resizes, WindowChanges());
  grpc::ClientContext rpc;
  auto stream = context.client().pods().Exec(&rpc);
  v1::ExecRequest request;
  *request.mutable_start() = start;
  if (start.tty()) FillSize(request.mutable_start()->mutable_size());
  stream->Write(request);
  std::unique_ptr<RawTerminal> raw;
  if (start.tty() && start.stdin()) {
    raw = std::make_unique<RawTerminal>(STDIN_FILENO);
  }
  ASSIGN_OR_RETURN(std::unique_ptr<ExecPump> pump,
                   ExecPump::Start(stream.get(), start.stdin(),
                                   start.tty() ? resizes.get() : -1, nullptr));
  return PumpOutput(context.client(), stream.get(), [&pump] { pump.reset(); });
}

absl::StatusOr<int> Exec(Context& context, const ExecFlags& flags) {
  bool tty = flags.tty && isatty(STDIN_FILENO);
  if (flags.tty && !tty) {
    context.err << "Unable to use a TTY - input is not a terminal or the right "
                   "kind of file\n";
  }
  v1::ExecRequest::Start start;
  start.set_pod(PodName(flags.pod));
  start.set_app(flags.app);
  start.mutable_command()->Add(flags.command.begin(), flags.command.end());
  start.set_tty(tty);
  start.set_stdin(flags.stdin_open);
  absl::StatusOr<int> code = RunCommand(context, start);
  if (code.ok() && *code != 0) {
    context.err << "command terminated with exit code " << *code << "\n";
  }
  return code;
}

absl::StatusOr<int> Shell(Context& context, const ShellFlags& flags) {
  v1::ExecRequest::Start start;
  absl::string_view pod = flags.pod;
  if (size_t at = pod.find('@'); at != pod.npos) {
    start.mutable_shell()->set_user(std::string(pod.substr(0, at)));
    pod.remove_prefix(at + 1);
  }
  start.mutable_shell();
  start.set_pod(PodName(pod));
  start.mutable_command()->Add(flags.command.begin(), flags.command.end());
  // Both: with a terminal the outputs are one.
  start.set_tty(!flags.no_tty && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
  start.set_stdin(true);
  return RunCommand(context, start);
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

void AddShellCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<ShellFlags>();
  CLI::App* shell = app.add_subcommand(
      "shell", "Log in to a pod itself, or run a command there");
  shell->add_option("POD", flags->pod, "the pod, or USER@POD; default: root")
      ->required();
  shell->add_flag("-T,--no-tty", flags->no_tty,
                  "no terminal, also if we have one: keeps the outputs apart");
  shell->add_option("COMMAND", flags->command, "after --, instead of a shell");
  shell->callback([&context, flags] {
    context.action = [&context, flags] { return Shell(context, *flags); };
  });
}

}  // namespace davit::cli
