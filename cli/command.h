#ifndef DAVIT_CLI_COMMAND_H_
#define DAVIT_CLI_COMMAND_H_

#include <functional>
#include <iosfwd>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/client.h"

namespace CLI {
class App;
}

namespace davit::cli {

// What a command works with. Owned by main; outlives every command.
class Context {
 public:
  Context(std::ostream& out, std::ostream& err) : out(out), err(err) {}

  // Connects at its first use, to the address that the flags gave.
  Client& client() {
    if (client_ == nullptr) client_ = std::make_unique<Client>(address);
    return *client_;
  }

  std::string address = "unix:///run/davit/davit.sock";
  std::ostream& out;
  std::ostream& err;
  // Set by the command that was chosen; returns the exit code.
  std::function<absl::StatusOr<int>()> action;

 private:
  std::unique_ptr<Client> client_;
};

// Each adds its subcommand(s) to the application.
void AddRunCommand(CLI::App& app, Context& context);
void AddApplyCommand(CLI::App& app, Context& context);
void AddGetCommand(CLI::App& app, Context& context);
void AddDescribeCommand(CLI::App& app, Context& context);
void AddLogsCommand(CLI::App& app, Context& context);
void AddExecCommand(CLI::App& app, Context& context);
void AddShellCommand(CLI::App& app, Context& context);
void AddAttachCommand(CLI::App& app, Context& context);
void AddLifecycleCommands(CLI::App& app,
                          Context& context);  // start stop delete
void AddLiveCommands(CLI::App& app,
                     Context& context);  // set pause unpause top
void AddMountCommands(CLI::App& app, Context& context);  // mount umount
void AddNetworkCommand(CLI::App& app, Context& context);
void AddNodeCommand(CLI::App& app, Context& context);
void AddPortForwardCommand(CLI::App& app, Context& context);
void AddImageCommand(CLI::App& app, Context& context);
void AddVersionCommand(CLI::App& app, Context& context);
void AddCompletionCommands(CLI::App& app, Context& context);

// "davitctl __complete WORDS...": prints what the last word could become. Not a
// subcommand, because the words are a command line that is not finished.
int CompleteWords(const CLI::App& app, Context& context,
                  std::vector<std::string> words);

}  // namespace davit::cli

#endif  // DAVIT_CLI_COMMAND_H_
