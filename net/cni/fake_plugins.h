#ifndef DAVIT_NET_CNI_FAKE_PLUGINS_H_
#define DAVIT_NET_CNI_FAKE_PLUGINS_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "runtime/base/file.h"
#include "tests/support/temp_dir.h"

namespace davit {

// A directory of CNI plugins that are small shell scripts, for tests. Each
// appends "<type> <command> <ifname>" to a log and keeps its standard input and
// environment before it does what the test says.
class FakePlugins {
 public:
  // `body` is shell text. For ADD it must print a result: PrintResult().
  void Install(const std::string& type, const std::string& body) {
    std::string script = absl::StrReplaceAll(
        "#!/bin/sh\n"
        "echo \"TYPE $CNI_COMMAND $CNI_IFNAME\" >> DIR/log\n"
        "env > DIR/TYPE.$CNI_COMMAND.env\n"
        "cat > DIR/TYPE.$CNI_COMMAND.stdin\n",
        {{"DIR", dir_.path()}, {"TYPE", type}});
    ASSERT_TRUE(WriteFileAtomic(path() + "/" + type, script + body, 0755).ok());
  }

  // The body of a plugin that succeeds and says that it gave `address`.
  static std::string PrintResult(const std::string& address) {
    return absl::StrCat(
        "[ $CNI_COMMAND = ADD ] || exit 0\n"
        "echo '{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"",
        address, "\"}]}'\n");
  }

  // The body of a plugin that fails at `command` with an error object.
  static std::string Fail(const std::string& command, int code,
                          const std::string& msg) {
    return absl::StrCat("if [ $CNI_COMMAND = ", command,
                        " ]; then echo '{\"code\":", code, ",\"msg\":\"", msg,
                        "\"}'; exit 1; fi\n");
  }

  std::string path() const { return dir_.path(); }
  // One line for each call so far.
  std::string Log() const { return ReadFile(dir_ / "log").value_or(""); }
  void ClearLog() { RemoveFile(dir_ / "log").IgnoreError(); }
  // Of the last call of this plugin with this command.
  std::string Stdin(const std::string& type, const std::string& command) const {
    return ReadFile(dir_ / absl::StrCat(type, ".", command, ".stdin"))
        .value_or("");
  }
  std::string Env(const std::string& type, const std::string& command) const {
    return ReadFile(dir_ / absl::StrCat(type, ".", command, ".env"))
        .value_or("");
  }

 private:
  testing::TempDir dir_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_FAKE_PLUGINS_H_
