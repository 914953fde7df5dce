// davitctl: a kubectl-like client of davitd. Exit codes: 0, the command's own
// for exec and shell, 1 for errors, 2 for a wrong command line.
#include <stdlib.h>

#include <iostream>
#include <string>

#include "CLI/CLI.hpp"
#include "cli/command.h"

namespace davit::cli {
namespace {

void AddCommands(CLI::App& app, Context& context) {
  AddRunCommand(app, context);
  AddApplyCommand(app, context);
  AddGetCommand(app, context);
  AddDescribeCommand(app, context);
  AddLogsCommand(app, context);
  AddExecCommand(app, context);
  AddShellCommand(app, context);
  AddAttachCommand(app, context);
  AddLifecycleCommands(app, context);
  AddLiveCommands(app, context);
  AddMountCommands(app, context);
  AddPortForwardCommand(app, context);
  AddImageCommand(app, context);
  AddNetworkCommand(app, context);
  AddNodeCommand(app, context);
  AddVersionCommand(app, context);
  AddCompletionCommands(app, context);
}

int Main(int argc, char** argv) {
  Context context(std::cout, std::cerr);
  CLI::App app{"davitctl controls the pods of a Davit node.", "davitctl"};
  app.add_option("--address", context.address,
                 "the agent's address, e.g. unix:///run/davit/davit.sock")
      ->envname("DAVIT_ADDRESS")
      ->capture_default_str();
  app.require_subcommand(1);
  app.fallthrough();
  AddCommands(app, context);
  if (argc > 1 && std::string(argv[1]) == "__complete") {
    return CompleteWords(app, context, {argv + 2, argv + argc});
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    int code = app.exit(e, std::cout, std::cerr);
    return code == 0 ? 0 : 2;
  }
  absl::StatusOr<int> code = context.action();
  if (code.ok()) return *code;
  std::cerr << ErrorForPeople(code.status()) << "\n";
  return 1;
}

}  // namespace
}  // namespace davit::cli

int main(int argc, char** argv) {
  // A proxy for the web is none for a unix socket.
  unsetenv("grpc_proxy");
  unsetenv("http_proxy");
  unsetenv("https_proxy");
  return davit::cli::Main(argc, argv);
}
