#ifndef DAVIT_TESTS_SUPPORT_BACKGROUND_PROGRAM_H_
#define DAVIT_TESTS_SUPPORT_BACKGROUND_PROGRAM_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/base/unique_fd.h"

namespace davit::testing {

// A program that runs beside a test until it is destroyed (SIGTERM, then it is
// waited for); its standard output can be read by lines.
class BackgroundProgram {
 public:
  // `netns`, if not empty, is the path of the network namespace to run it in.
  explicit BackgroundProgram(const std::vector<std::string>& argv,
                             const std::string& netns = "");
  BackgroundProgram(const BackgroundProgram&) = delete;
  ~BackgroundProgram();

  // The next line, without its newline; fails the test and returns "" when it
  // does not come within ten seconds.
  std::string ReadLine();
  // What is there, at least a byte; the same with regard to time.
  std::string ReadSome();
  bool running() const;

 private:
  pid_t pid_ = -1;
  UniqueFd out_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_BACKGROUND_PROGRAM_H_
