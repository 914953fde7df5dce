#include "agent/rpc/port_forward_stream.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "agent/rpc/exec_input.h"
#include "agent/rpc/grpc_status.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr size_t kChunk = 64 << 10;

absl::Status CheckStart(const v1::PortForwardRequest& request) {
  if (!request.has_start()) {
    return absl::InvalidArgumentError("start: the first message must hold it");
  }
  if (request.start().pod().empty()) {
    return absl::InvalidArgumentError("start.pod: is required");
  }
  int port = request.start().port();
  if (port >= 1 && port <= 65535) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("start.port: ", port, " is not between 1 and 65535"));
}

absl::Status Broken(const char* call, int error) {
  return absl::AbortedError(absl::StrCat(
      "the pod's side of the connection: ", call, ": ", strerror(error)));
}

// Threads: gRPC calls the On… methods, `thread_` runs Serve(). All that they
// share is under `mutex_`. Starting an operation under the mutex is safe, as
// gRPC never runs a reaction inside the call that starts its operation.
class PortForwardStream final
    : public grpc::ServerBidiReactor<v1::PortForwardRequest,
                                     v1::PortForwardResponse> {
 public:
  explicit PortForwardStream(PodManager* manager)
      : manager_(*manager), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    absl::MutexLock lock(&mutex_);
    if (!wake_) {
      FinishWith(ErrnoError("eventfd()"));
    } else {
      StartRead(&request_);
    }
  }

  void OnReadDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    if (finished_) return;
    if (!ok) {
      OnNoMoreInput();
    } else if (!started_) {
      OnFirstMessage();
    } else {
      OnInput();
    }
    Wake();
  }

  void OnWriteDone(bool ok) override {
    absl::MutexLock lock(&mutex_);
    writing_ = false;
    gone_ = gone_ || !ok;
    Wake();
  }

  void OnCancel() override {
    absl::MutexLock lock(&mutex_);
    gone_ = true;
    Wake();
  }

  // No other reaction is running or will run.
  void OnDone() override {
    if (thread_.joinable()) thread_.join();
    delete this;
  }

 private:
  // --- On gRPC's threads ---

  void OnNoMoreInput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (!started_) {
      FinishWith(absl::InvalidArgumentError("start: is required"));
    }
    input_.AddEof();
  }

  void OnFirstMessage() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (absl::Status status = CheckStart(request_); !status.ok()) {
      return FinishWith(status);
    }
    try {
      thread_ =
          std::thread([this, pod = request_.start().pod(),
                       port = static_cast<uint16_t>(request_.start().port())] {
            Serve(pod, port);
          });
    } catch (const std::system_error& error) {
      return FinishWith(absl::ResourceExhaustedError(
          absl::StrCat("start a thread: ", error.what())));
    }
    started_ = true;
    StartRead(&request_);
  }

  void OnInput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    switch (request_.message_case()) {
      case v1::PortForwardRequest::kData:
        input_.AddData(std::move(*request_.mutable_data()));
        break;
      case v1::PortForwardRequest::kEof:
        input_.AddEof();
        break;
      default:
        fault_ = absl::InvalidArgumentError(
            "a message after the first must hold data or eof");
        return;
    }
    reading_paused_ = !input_.has_room();
    if (!reading_paused_) StartRead(&request_);
  }

  // A full counter is readable as well.
  void Wake() {
    if (wake_) eventfd_write(wake_.get(), 1);
  }

  // --- On our own thread ---

  void Serve(const std::string& pod, uint16_t port) {
    absl::Status status = Forward(pod, port);
    absl::MutexLock lock(&mutex_);
    // A message may still be on its way.
    auto idle = [this]()
                    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_; };
    mutex_.Await(absl::Condition(&idle));
    FinishWith(status);
  }

  absl::Status Forward(const std::string& pod, uint16_t port) {
    ASSIGN_OR_RETURN(socket_, manager_.Dial(pod, port));
    Send([](v1::PortForwardResponse& m) { m.set_connected(true); });
    while (true) {
      bool writable;
      {
        absl::MutexLock lock(&mutex_);
        RETURN_IF_ERROR(fault_);
        if (gone_) return absl::CancelledError("the client is gone");
        TakeInput();
        if (from_pod_ended_ && to_pod_ended_) return absl::OkStatus();
        writable = !writing_;
      }
      RETURN_IF_ERROR(PollOnce(writable));
    }
  }

  // Makes `pending_` what to write to the pod next.
  void TakeInput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (pending_.empty()) pending_ = input_.TakeData();
    if (reading_paused_ && input_.has_room()) {
      reading_paused_ = false;
      StartRead(&request_);
    }
    if (!pending_.empty() || !input_.eof() || to_pod_ended_) return;
    to_pod_ended_ = true;
    shutdown(socket_.get(), SHUT_WR);
  }

  absl::Status PollOnce(bool writable) {
    bool take = writable && !from_pod_ended_;
    short events = static_cast<short>((take ? POLLIN : 0) |
                                      (pending_.empty() ? 0 : POLLOUT));
    // Without anything to wait for, an error of the socket must not spin us.
    pollfd fds[] = {{wake_.get(), POLLIN, 0},
                    {events == 0 ? -1 : socket_.get(), events, 0}};
    if (poll(fds, 2, -1) < 0 && errno != EINTR) {
      return ErrnoError("poll(port-forward)");
    }
    if (fds[0].revents != 0) {
      eventfd_t count;
      eventfd_read(wake_.get(), &count);
    }
    if (fds[1].revents == 0) return absl::OkStatus();
    if (!pending_.empty()) RETURN_IF_ERROR(WriteToPod());
    return take ? ReadFromPod() : absl::OkStatus();
  }

  absl::Status WriteToPod() {
    ssize_t n =
        send(socket_.get(), pending_.data(), pending_.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      pending_.erase(0, static_cast<size_t>(n));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Broken("send()", errno);
    }
    return absl::OkStatus();
  }

  absl::Status ReadFromPod() {
    std::string data(kChunk, '\0');
    ssize_t n = recv(socket_.get(), data.data(), data.size(), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return absl::OkStatus();
    if (n < 0) return Broken("recv()", errno);
    from_pod_ended_ = n == 0;
    data.resize(static_cast<size_t>(n));
    Send([&](v1::PortForwardResponse& message) {
      if (data.empty()) {
        message.set_eof(true);
      } else {
        message.set_data(std::move(data));
      }
    });
    return absl::OkStatus();
  }

  // Only while no other message is on its way.
  void Send(const std::function<void(v1::PortForwardResponse&)>& fill) {
    absl::MutexLock lock(&mutex_);
    response_.Clear();
    fill(response_);
    writing_ = true;
    StartWrite(&response_);
  }

  // --- On both ---

  void FinishWith(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    finished_ = true;
    Finish(ToGrpcStatus(status));
  }

  PodManager& manager_;
  const UniqueFd wake_;  // an eventfd(2)
  std::thread thread_;

  // The thread's own.
  UniqueFd socket_;
  std::string pending_;
  bool from_pod_ended_ = false, to_pod_ended_ = false;

  absl::Mutex mutex_;
  v1::PortForwardRequest request_;    // gRPC's while a read is under way
  v1::PortForwardResponse response_;  // gRPC's while a write is under way
  ExecInput input_ ABSL_GUARDED_BY(mutex_);
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::PortForwardRequest, v1::PortForwardResponse>*
NewPortForwardStream(PodManager* manager) {
  return new PortForwardStream(manager);
}

}  // namespace davit
