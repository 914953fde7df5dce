#ifndef DAVIT_CLI_INPUT_PUMP_H_
#define DAVIT_CLI_INPUT_PUMP_H_

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "cli/terminal.h"
#include "grpcpp/support/sync_stream.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/unique_fd.h"

namespace davit::cli {

template <typename Size>
void FillSize(Size* size) {
  TerminalSize now = GetTerminalSize(STDIN_FILENO);
  size->set_rows(now.rows);
  size->set_columns(now.columns);
}

// Changes of our terminal's size, as a descriptor. Make it before gRPC makes
// its threads: the signal must be blocked in all of them.
inline absl::StatusOr<UniqueFd> WindowChanges() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGWINCH);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!fd) return ErrnoError("signalfd(SIGWINCH)");
  return fd;
}

// Sends our standard input and window changes to a stream of the agent, on a
// thread of its own, until it is destroyed. The thread is the stream's only
// writer.
template <typename Request, typename Response>
class InputPump {
 public:
  using Stream = grpc::ClientReaderWriter<Request, Response>;
  // Changes the input to what is sent of it; false: that was the last.
  using Filter = std::function<bool(std::string& typed)>;

  // `resize_fd` is that of WindowChanges, or -1. `filter` may be null.
  static absl::StatusOr<std::unique_ptr<InputPump>> Start(Stream* stream,
                                                          bool stdin_open,
                                                          int resize_fd,
                                                          Filter filter) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return ErrnoError("pipe2");
    return std::unique_ptr<InputPump>(
        new InputPump(stream, stdin_open, resize_fd, UniqueFd(ends[0]),
                      UniqueFd(ends[1]), std::move(filter)));
  }

  ~InputPump() {
    stop_write_.Reset();
    thread_.join();
  }

 private:
  InputPump(Stream* stream, bool stdin_open, int resize_fd, UniqueFd stop_read,
            UniqueFd stop_write, Filter filter)
      : stream_(stream),
        stdin_open_(stdin_open),
        resize_fd_(resize_fd),
        stop_read_(std::move(stop_read)),
        stop_write_(std::move(stop_write)),
        filter_(std::move(filter)),
        thread_([this] { Run(); }) {}

  void Run() {
    while (true) {
      pollfd polls[] = {{stdin_open_ ? STDIN_FILENO : -1, POLLIN, 0},
                        {resize_fd_, POLLIN, 0},
                        {stop_read_.get(), POLLIN, 0}};
      if (poll(polls, 3, -1) < 0 && errno != EINTR) return;
      if (polls[2].revents != 0) return;
      if (polls[1].revents != 0 && !SendResize()) return;
      if (polls[0].revents != 0 && !SendInput()) return;
    }
  }

  bool SendResize() {
    signalfd_siginfo info;
    while (read(resize_fd_, &info, sizeof(info)) > 0) {
    }
    Request request;
    FillSize(request.mutable_resize());
    return stream_->Write(request);
  }

  bool SendInput() {
    char buffer[16384];
    ssize_t n = read(STDIN_FILENO, buffer, sizeof(buffer));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return true;
    Request request;
    if (n <= 0) {
      request.set_stdin_eof(true);
      stdin_open_ = false;
      return stream_->Write(request);
    }
    std::string typed(buffer, static_cast<size_t>(n));
    bool more = filter_ == nullptr || filter_(typed);
    if (typed.empty()) return more;
    request.set_stdin_data(std::move(typed));
    return stream_->Write(request) && more;
  }

  Stream* stream_;
  bool stdin_open_;
  const int resize_fd_;
  UniqueFd stop_read_, stop_write_;
  const Filter filter_;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace davit::cli

#endif  // DAVIT_CLI_INPUT_PUMP_H_
