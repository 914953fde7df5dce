#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace davit::cli {

RawTerminal::RawTerminal(int fd) : fd_(fd) {
  if (tcgetattr(fd_, &saved_) < 0) return;
  termios raw = saved_;
  cfmakeraw(&raw);
  raw_ = tcsetattr(fd_, TCSANOW, &raw) == 0;
}

RawTerminal::~RawTerminal() {
  if (raw_) tcsetattr(fd_, TCSANOW, &saved_);
}

TerminalSize GetTerminalSize(int fd) {
  winsize size = {};
  if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0) return {};
  return {size.ws_row, size.ws_col};
}

}  // namespace davit::cli
