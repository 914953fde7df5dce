#ifndef DAVIT_CLI_TERMINAL_H_
#define DAVIT_CLI_TERMINAL_H_

#include <termios.h>

#include "absl/status/statusor.h"

namespace davit::cli {

// Puts the terminal of a descriptor into raw mode (termios(3) cfmakeraw) until
// it is destroyed. Does nothing for what is no terminal.
class RawTerminal {
 public:
  explicit RawTerminal(int fd);
  RawTerminal(const RawTerminal&) = delete;
  ~RawTerminal();

 private:
  int fd_;
  bool raw_ = false;
  termios saved_;
};

struct TerminalSize {
  unsigned rows = 24, columns = 80;
};

// 24x80 for what is no terminal.
TerminalSize GetTerminalSize(int fd);

}  // namespace davit::cli

#endif  // DAVIT_CLI_TERMINAL_H_
