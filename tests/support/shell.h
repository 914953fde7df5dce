#ifndef DAVIT_TESTS_SUPPORT_SHELL_H_
#define DAVIT_TESTS_SUPPORT_SHELL_H_

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace davit::testing {

// What a program printed and how it ended: 128 + signal when it was killed by
// one, -1 with `err` set when it could not be run or did not end in time.
struct ShellResult {
  int code = -1;
  std::string out, err;
};

// Runs a program with its arguments; `netns`, if not empty, is the path of the
// network namespace to run it in. Tests only: product code runs no shell.
ShellResult RunProgram(const std::vector<std::string>& argv,
                       const std::string& netns = "",
                       const std::string& input = "",
                       absl::Duration timeout = absl::Seconds(120));

// The same for a line of /bin/sh.
ShellResult Sh(const std::string& script, const std::string& netns = "");

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_SHELL_H_
