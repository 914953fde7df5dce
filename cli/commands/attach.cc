// davitctl attach POD
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "cli/command.h"
#include "cli/detach_keys.h"
#include "cli/input_pump.h"
#include "cli/pod_names.h"
#include "cli/terminal.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit::cli {
namespace {

struct AttachFlags {
  std::string pod, detach_keys = "ctrl-p,ctrl-q";
  bool no_stdin = false;
};

using AttachStream =
    grpc::ClientReaderWriter<v1::AttachRequest, v1::AttachResponse>;
using AttachPump = InputPump<v1::AttachRequest, v1::AttachResponse>;

// Prints the console until the pod has ended, or we have left.
void PumpConsole(AttachStream* stream) {
  v1::AttachResponse response;
  while (stream->Read(&response)) {
    WriteAll(STDOUT_FILENO, response.stdout_data()).IgnoreError();
  }
}

absl::StatusOr<int> Attach(Context& context, const AttachFlags& flags) {
  ASSIGN_OR_RETURN(DetachKeys keys, DetachKeys::Parse(flags.detach_keys));
  std::string pod = PodName(flags.pod);
  bool tty = !flags.no_stdin && isatty(STDIN_FILENO);
  ASSIGN_OR_RETURN(UniqueFd resizes, WindowChanges());
  grpc::ClientContext rpc;
  auto stream = context.client().pods().Attach(&rpc);
  v1::AttachRequest request;
  request.mutable_start()->set_pod(pod);
  request.mutable_start()->set_stdin(!flags.no_stdin);
  if (tty) FillSize(request.mutable_start()->mutable_size());
  stream->Write(request);

  bool left = false;  // written by the pump's thread, read after its end
  auto filter = [&](std::string& typed) {
    if (!tty) return true;
    DetachKeys::Typed seen = keys.Filter(typed);
    typed = std::move(seen.pass_on);
    if (!seen.detached) return true;
    left = true;
    rpc.TryCancel();
    return false;
  };
  {
    std::unique_ptr<RawTerminal> raw;
    if (tty) raw = std::make_unique<RawTerminal>(STDIN_FILENO);
    ASSIGN_OR_RETURN(
        std::unique_ptr<AttachPump> pump,
        AttachPump::Start(stream.get(), !flags.no_stdin,
                          tty ? resizes.get() : -1, std::move(filter)));
    PumpConsole(stream.get());
  }
  absl::Status status = context.client().ToStatus(stream->Finish());
  if (left) {
    context.err << "\ndetached from pod \"" << pod << "\"\n";
    return 0;
  }
  RETURN_IF_ERROR(status);
  context.err << "pod \"" << pod << "\" has ended\n";
  return 0;
}

}  // namespace

void AddAttachCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<AttachFlags>();
  CLI::App* attach =
      app.add_subcommand("attach", "Look at a pod's console, and type");
  attach->add_option("POD", flags->pod, "the pod")->required();
  attach
      ->add_option("--detach-keys", flags->detach_keys,
                   "what leaves it: characters and ctrl-X, comma-separated; "
                   "\"\" for none")
      ->capture_default_str();
  attach->add_flag("--no-stdin", flags->no_stdin, "only look");
  attach->callback([&context, flags] {
    context.action = [&context, flags] { return Attach(context, *flags); };
  });
}

}  // namespace davit::cli
