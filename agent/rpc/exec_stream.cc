#include "agent/rpc/exec_stream.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "agent/rpc/exec_input.h"
#include "agent/rpc/exec_pump.h"
#include "agent/rpc/grpc_status.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

// A terminal's size is two unsigned shorts to the kernel (ioctl_tty(2)).
ExecInput::Size SizeOf(const v1::ExecRequest::TerminalSize& size) {
  return {std::min<unsigned>(size.rows(), UINT16_MAX),
          std::min<unsigned>(size.columns(), UINT16_MAX)};
}

// Whose login it is, if it is one.
absl::Status ReadShell(const v1::ExecRequest::Start& start,
                       ExecRequest& request) {
  if (!start.has_shell()) return absl::OkStatus();
  if (!start.app().empty()) {
    return absl::InvalidArgumentError(
        "start.app: a shell is in the pod itself, not in an app");
  }
  const std::string& user = start.shell().user();
  if (absl::StrContains(user, '\0')) {
    return absl::InvalidArgumentError(
        "start.shell.user: must not contain a NUL byte");
  }
  request.login_user = user.empty() ? "root" : user;
  return absl::OkStatus();
}

absl::StatusOr<ExecRequest> RequestOf(const v1::ExecRequest::Start& start) {
  bool has_command = !start.command().empty();
  if (has_command ? start.command(0).empty() : !start.has_shell()) {
    return absl::InvalidArgumentError("start.command: is required");
  }
  ExecRequest request;
  request.app = start.app();
  RETURN_IF_ERROR(ReadShell(start, request));
  for (const std::string& argument : start.command()) {
    if (absl::StrContains(argument, '\0')) {
      return absl::InvalidArgumentError(
          absl::StrCat("start.command[", request.argv.size(),
                       "]: must not contain a NUL byte"));
    }
    request.argv.push_back(argument);
  }
  request.tty = start.tty();
  request.stdin_open = start.stdin();
  ExecInput::Size size = SizeOf(start.size());
  if (size.rows > 0) request.rows = size.rows;
  if (size.columns > 0) request.columns = size.columns;
  return request;
}

// What Exec and Attach differ in.
struct ExecCall {
  using Request = v1::ExecRequest;
  using Response = v1::ExecResponse;
  using Order = ExecRequest;

  static absl::StatusOr<Order> OrderOf(const Request::Start& start) {
    return RequestOf(start);
  }
  static absl::StatusOr<std::unique_ptr<ExecSession>> Begin(
      PodManager& manager, const std::string& pod, const Order& order) {
    return manager.Exec(pod, order);
  }
  static std::string* Output(Response& response, bool is_stderr) {
    return is_stderr ? response.mutable_stderr_data()
                     : response.mutable_stdout_data();
  }
  // False if the last message says nothing of the end.
  static bool SetEnd(Response& response, int code) {
    response.set_exit_code(code);
    return true;
  }
};

struct AttachCall {
  using Request = v1::AttachRequest;
  using Response = v1::AttachResponse;
  struct Order {
    bool typing = false;
    std::optional<ExecInput::Size> size;
  };

  static absl::StatusOr<Order> OrderOf(const Request::Start& start) {
    Order order{.typing = start.stdin()};
    if (start.has_size()) order.size = SizeOf(start.size());
    return order;
  }
  static absl::StatusOr<std::unique_ptr<ExecSession>> Begin(
      PodManager& manager, const std::string& pod, const Order& order) {
    ASSIGN_OR_RETURN(std::unique_ptr<ExecSession> console,
                     manager.Attach(pod, order.typing));
    if (order.size) {
      // What went wrong with the window's size hurts nobody.
      console->Resize(order.size->rows, order.size->columns).IgnoreError();
    }
    return console;
  }
  static std::string* Output(Response& response, bool) {
    return response.mutable_stdout_data();
  }
  static bool SetEnd(Response&, int) { return false; }
};

// Threads: gRPC calls the On… methods, `thread_` runs Serve() and, through the
// pump, the methods of ExecClient. All that they share is under `mutex_`.
// Starting an operation under the mutex is safe, as gRPC never runs a reaction
// inside the call that starts its operation.
template <typename Call>
class ExecStream final
    : public grpc::ServerBidiReactor<typename Call::Request,
                                     typename Call::Response>,
      private ExecClient {
 public:
  using Request = typename Call::Request;
  using Response = typename Call::Response;
  using Order = typename Call::Order;

  explicit ExecStream(PodManager* manager)
      : manager_(*manager), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    absl::MutexLock lock(&mutex_);
    if (!wake_) {
      FinishWith(ErrnoError("eventfd()"));
    } else {
      this->StartRead(&request_);
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
    if (!request_.has_start()) {
      FinishWith(
          absl::InvalidArgumentError("start: the first message must hold it"));
      return;
    }
    if (request_.start().pod().empty()) {
      FinishWith(absl::InvalidArgumentError("start.pod: is required"));
      return;
    }
    absl::StatusOr<Order> order = Call::OrderOf(request_.start());
    if (!order.ok()) {
      FinishWith(order.status());
      return;
    }
    try {
      thread_ = std::thread([this, pod = request_.start().pod(),
                             order = *std::move(order)] { Serve(pod, order); });
    } catch (const std::system_error& error) {
      FinishWith(absl::ResourceExhaustedError(
          absl::StrCat("start a thread: ", error.what())));
      return;
    }
    started_ = true;
    this->StartRead(&request_);
  }

  void OnInput() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    switch (request_.message_case()) {
      case Request::kStdinData:
        input_.AddData(std::move(*request_.mutable_stdin_data()));
        break;
      case Request::kStdinEof:
        input_.AddEof();
        break;
      case Request::kResize:
        input_.SetSize(SizeOf(request_.resize()));
        break;
      default:
        fault_ = absl::InvalidArgumentError(
            "a message after the first must hold stdinData, stdinEof or "
            "resize");
        return;
    }
    reading_paused_ = !input_.has_room();
    if (!reading_paused_) this->StartRead(&request_);
  }

  // A full counter is readable as well.
  void Wake() {
    if (wake_) eventfd_write(wake_.get(), 1);
  }

  // --- On our own thread ---

  void Serve(const std::string& pod, const Order& order) {
    absl::StatusOr<int> code = Execute(pod, order);
    absl::MutexLock lock(&mutex_);
    // A message may still be on its way when the client has gone.
    auto idle = [this]()
                    ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !writing_; };
    mutex_.Await(absl::Condition(&idle));
    if (!code.ok()) {
      FinishWith(code.status());
      return;
    }
    if (!Call::SetEnd(response_, *code)) {
      FinishWith(absl::OkStatus());
      return;
    }
    finished_ = true;
    this->StartWriteAndFinish(&response_, grpc::WriteOptions(),
                              grpc::Status::OK);
  }

  absl::StatusOr<int> Execute(const std::string& pod, const Order& order) {
    ASSIGN_OR_RETURN(std::unique_ptr<ExecSession> session,
                     Call::Begin(manager_, pod, order));
    return PumpExec(*session, *this);
  }

  int wake_fd() const override { return wake_.get(); }

  void Settle() override {
    eventfd_t count;
    eventfd_read(wake_.get(), &count);
  }

  bool gone() override {
    absl::MutexLock lock(&mutex_);
    return gone_;
  }

  absl::Status fault() override {
    absl::MutexLock lock(&mutex_);
    return fault_;
  }

  bool writable() override {
    absl::MutexLock lock(&mutex_);
    return !writing_;
  }

  void Send(bool is_stderr, absl::string_view data) override {
    absl::MutexLock lock(&mutex_);
    Call::Output(response_, is_stderr)->assign(data.data(), data.size());
    writing_ = true;
    this->StartWrite(&response_);
  }

  std::string TakeData() override {
    absl::MutexLock lock(&mutex_);
    std::string data = input_.TakeData();
    if (reading_paused_ && input_.has_room()) {
      reading_paused_ = false;
      this->StartRead(&request_);
    }
    return data;
  }

  bool AtEof() override {
    absl::MutexLock lock(&mutex_);
    return input_.eof() && input_.bytes() == 0;
  }

  std::optional<ExecInput::Size> TakeSize() override {
    absl::MutexLock lock(&mutex_);
    return input_.TakeSize();
  }

  // --- On both ---

  void FinishWith(const absl::Status& status)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    finished_ = true;
    this->Finish(ToGrpcStatus(status));
  }

  PodManager& manager_;
  const UniqueFd wake_;  // an eventfd(2)
  std::thread thread_;

  absl::Mutex mutex_;
  Request request_;    // gRPC's while a read is under way
  Response response_;  // gRPC's while a write is under way
  ExecInput input_ ABSL_GUARDED_BY(mutex_);
  absl::Status fault_ ABSL_GUARDED_BY(mutex_);
  bool started_ ABSL_GUARDED_BY(mutex_) = false;
  bool reading_paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerBidiReactor<v1::ExecRequest, v1::ExecResponse>* NewExecStream(
    PodManager* manager) {
  return new ExecStream<ExecCall>(manager);
}

grpc::ServerBidiReactor<v1::AttachRequest, v1::AttachResponse>* NewAttachStream(
    PodManager* manager) {
  return new ExecStream<AttachCall>(manager);
}

}  // namespace davit
