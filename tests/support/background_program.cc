#include "tests/support/background_program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/base/subprocess.h"

namespace davit::testing {
namespace {

constexpr int kLineMillis = 10000;

}  // namespace

BackgroundProgram::BackgroundProgram(const std::vector<std::string>& argv,
                                     const std::string& netns) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) {
    ADD_FAILURE() << "pipe2";
    return;
  }
  out_ = UniqueFd(ends[0]);
  UniqueFd write_end(ends[1]), ns;
  SubprocessSpec spec;
  spec.path = argv[0];
  spec.argv = argv;
  spec.env = {"PATH=/usr/bin:/bin", "LANG=C"};
  spec.fds = {{write_end.get(), 1}, {STDERR_FILENO, 2}};
  if (!netns.empty()) {
    ns = UniqueFd(open(netns.c_str(), O_RDONLY | O_CLOEXEC));
    spec.netns_fd = ns.get();
  }
  absl::StatusOr<pid_t> pid = StartDetached(spec);
  EXPECT_TRUE(pid.ok()) << pid.status();
  pid_ = pid.value_or(-1);
}

BackgroundProgram::~BackgroundProgram() {
  if (pid_ <= 0) return;
  kill(pid_, SIGTERM);
  waitpid(pid_, nullptr, 0);
}

bool BackgroundProgram::running() const {
  return pid_ > 0 && kill(pid_, 0) == 0;
}

std::string BackgroundProgram::ReadSome() {
  char buffer[4096];
  pollfd wait = {out_.get(), POLLIN, 0};
  ssize_t n = 0;
  if (poll(&wait, 1, kLineMillis) > 0) {
    n = read(out_.get(), buffer, sizeof(buffer));
  }
  if (n <= 0) ADD_FAILURE() << "no output came";
  return std::string(buffer, n > 0 ? static_cast<size_t>(n) : 0);
}

std::string BackgroundProgram::ReadLine() {
  std::string line;
  pollfd wait = {out_.get(), POLLIN, 0};
  while (poll(&wait, 1, kLineMillis) > 0) {
    char c = 0;
    if (read(out_.get(), &c, 1) != 1) break;
    if (c == '\n') return line;
    line.push_back(c);
  }
  ADD_FAILURE() << "no line came; so far: \"" << line << "\"";
  return "";
}

}  // namespace davit::testing
