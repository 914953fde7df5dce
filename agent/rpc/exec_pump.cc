#include "agent/rpc/exec_pump.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/time/time.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr size_t kChunk = 32 << 10;
// After the command's end: silence of this length is the end of its output,
// though somebody still holds it open …
constexpr int kSilenceMillis = 300;
// … and so is this much more of it: the largest pipe (pipe(7)) holds 1 MiB.
constexpr size_t kMaxAfterEnd = 2 << 20;

// One of the command's outputs.
struct Output {
  int fd;
  bool is_stderr;
  bool open() const { return fd >= 0; }
};

class Pump {
 public:
  Pump(ExecSession& session, ExecClient& client)
      : session_(session),
        client_(client),
        outputs_{{session.stdout_fd(), false}, {session.stderr_fd(), true}} {}

  absl::StatusOr<int> Run() {
    while (true) {
      if (client_.gone()) return absl::CancelledError("the client is gone");
      RETURN_IF_ERROR(client_.fault());
      ApplySize();
      if (Finished()) return *exit_code_;
      RETURN_IF_ERROR(PollOnce());
    }
  }

 private:
  // What went wrong with the terminal's size hurts nobody.
  void ApplySize() {
    std::optional<ExecInput::Size> size = client_.TakeSize();
    if (size) session_.Resize(size->rows, size->columns).IgnoreError();
  }

  bool Finished() const {
    if (!exit_code_ || !client_.writable()) return false;
    bool all_read = !outputs_[0].open() && !outputs_[1].open();
    return all_read || silent_ || after_end_ > kMaxAfterEnd;
  }

  absl::Status PollOnce() {
    std::vector<pollfd> fds = {{client_.wake_fd(), POLLIN, 0}};
    size_t wait_at = Watch(fds, exit_code_ ? -1 : session_.wait_fd(), POLLIN);
    bool send = client_.writable();
    size_t out_at = Watch(fds, send ? outputs_[0].fd : -1, POLLIN);
    Watch(fds, send ? outputs_[1].fd : -1, POLLIN);
    size_t in_at = Watch(fds, NextInput() ? session_.stdin_fd() : -1, POLLOUT);
    bool draining = exit_code_ && send;
    int n = poll(fds.data(), fds.size(), draining ? kSilenceMillis : -1);
    if (n < 0 && errno != EINTR) return ErrnoError("poll(exec)");
    if (n < 0) return absl::OkStatus();
    silent_ = n == 0;
    if (fds[0].revents != 0) client_.Settle();
    if (fds[in_at].revents != 0) Feed();
    ForwardOne(fds[out_at].revents != 0, fds[out_at + 1].revents != 0);
    // Last, so that what it wrote before its end counts as output before it.
    if (fds[wait_at].revents != 0) RETURN_IF_ERROR(TakeExit());
    return absl::OkStatus();
  }

  // poll(2) ignores negative descriptors.
  static size_t Watch(std::vector<pollfd>& fds, int fd, short events) {
    fds.push_back({fd, events, 0});
    return fds.size() - 1;
  }

  // Makes `input_` the data to write next; closes the command's input when it
  // has had all. False if there is nothing to write.
  bool NextInput() {
    if (stdin_closed_ || session_.stdin_fd() < 0) {
      while (!client_.TakeData().empty()) {
      }
      return false;
    }
    if (input_.empty()) input_ = client_.TakeData();
    if (!input_.empty()) return true;
    if (client_.AtEof()) CloseStdin();
    return false;
  }

  void CloseStdin() {
    stdin_closed_ = true;
    session_.CloseStdin();
  }

  void Feed() {
    ssize_t n = write(session_.stdin_fd(), input_.data(), input_.size());
    if (n >= 0) {
      input_.erase(0, n);
    } else if (errno != EAGAIN && errno != EINTR) {
      // EPIPE: the command reads no more. What comes later is dropped.
      input_.clear();
      CloseStdin();
    }
  }

  // One message at a time; a flood on one output does not hold up the other.
  void ForwardOne(bool out_ready, bool err_ready) {
    bool take_err = err_ready && (!out_ready || !last_was_err_);
    if (!out_ready && !take_err) return;
    Forward(outputs_[take_err ? 1 : 0]);
    last_was_err_ = take_err;
  }

  void Forward(Output& output) {
    char buffer[kChunk];
    ssize_t n = read(output.fd, buffer, sizeof(buffer));
    if (n > 0) {
      if (exit_code_) after_end_ += n;
      client_.Send(output.is_stderr, absl::string_view(buffer, n));
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
      // A pty whose other side is closed says EIO instead of an end (tty(4)).
      output.fd = -1;
    }
  }

  absl::Status TakeExit() {
    absl::StatusOr<int> code = session_.Wait(absl::ZeroDuration());
    if (absl::IsDeadlineExceeded(code.status())) return absl::OkStatus();
    RETURN_IF_ERROR(code.status());
    exit_code_ = *code;
    return absl::OkStatus();
  }

  ExecSession& session_;
  ExecClient& client_;
  Output outputs_[2];
  bool last_was_err_ = false;
  std::string input_;
  bool stdin_closed_ = false;
  std::optional<int> exit_code_;
  size_t after_end_ = 0;  // bytes of output that came after it
  bool silent_ = false;
};

}  // namespace

absl::StatusOr<int> PumpExec(ExecSession& session, ExecClient& client) {
  return Pump(session, client).Run();
}

}  // namespace davit
