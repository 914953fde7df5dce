#include "runtime/boot/shim_state.h"

#include <algorithm>

#include "absl/time/time.h"
#include "proto/internal/launch/v1/shim_control.pb.h"

namespace davit {
namespace {

namespace pb = ::davit::internal::launch::v1;
using Kind = PodExit::Kind;

void ToProto(const ProcessIdentity& identity, pb::ProcessIdentity* out) {
  out->set_pid(identity.pid);
  out->set_start_time(identity.start_time);
}

ProcessIdentity FromProto(const pb::ProcessIdentity& in) {
  return {in.pid(), in.start_time()};
}

pb::PodExit::Kind ToProto(Kind kind) {
  switch (kind) {
    case Kind::kUnknown:
      return pb::PodExit::KIND_UNSPECIFIED;
    case Kind::kExited:
      return pb::PodExit::KIND_EXITED;
    case Kind::kPowerOff:
      return pb::PodExit::KIND_POWER_OFF;
    case Kind::kReboot:
      return pb::PodExit::KIND_REBOOT;
    case Kind::kSignaled:
      return pb::PodExit::KIND_SIGNALED;
  }
  return pb::PodExit::KIND_UNSPECIFIED;
}

Kind FromProto(pb::PodExit::Kind kind) {
  switch (kind) {
    case pb::PodExit::KIND_EXITED:
      return Kind::kExited;
    case pb::PodExit::KIND_POWER_OFF:
      return Kind::kPowerOff;
    case pb::PodExit::KIND_REBOOT:
      return Kind::kReboot;
    case pb::PodExit::KIND_SIGNALED:
      return Kind::kSignaled;
    default:
      return Kind::kUnknown;
  }
}

void ToProto(const PodExit& exit, pb::PodExit* out) {
  out->set_kind(ToProto(exit.kind));
  out->set_code(exit.code);
  out->set_signal(exit.signal);
  out->set_oom_killed(exit.oom_killed);
  out->set_stop_requested(exit.stop_requested);
  out->set_at_usec(absl::ToUnixMicros(exit.at));
}

PodExit FromProto(const pb::PodExit& in) {
  return {.kind = FromProto(in.kind()),
          .code = in.code(),
          .signal = in.signal(),
          .oom_killed = in.oom_killed(),
          .stop_requested = in.stop_requested(),
          .at = absl::FromUnixMicros(in.at_usec())};
}

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view bytes) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("malformed message on a shim's control socket");
  }
  return message;
}

}  // namespace

std::string EncodeShimState(const ShimState& state) {
  pb::ShimState out;
  ToProto(state.shim, out.mutable_shim());
  ToProto(state.init, out.mutable_init());
  for (const BootPhase& phase : state.phases) {
    pb::Phase* added = out.add_phases();
    added->set_name(phase.name);
    added->set_at_usec(absl::ToUnixMicros(phase.at));
  }
  out.set_ready(state.ready);
  out.set_status(state.status);
  out.set_init_ended(state.init_ended);
  if (state.exit.has_value()) ToProto(*state.exit, out.mutable_exit());
  if (!state.failure.ok()) {
    out.mutable_failure()->set_code(static_cast<int>(state.failure.code()));
    out.mutable_failure()->set_message(std::string(state.failure.message()));
  }
  return out.SerializeAsString();
}

absl::StatusOr<ShimState> DecodeShimState(absl::string_view bytes) {
  absl::StatusOr<pb::ShimState> in = Parse<pb::ShimState>(bytes);
  if (!in.ok()) return in.status();
  ShimState state;
  state.shim = FromProto(in->shim());
  state.init = FromProto(in->init());
  for (const pb::Phase& phase : in->phases()) {
    state.phases.push_back(
        {phase.name(), absl::FromUnixMicros(phase.at_usec())});
  }
  state.ready = in->ready();
  state.status = in->status();
  state.init_ended = in->init_ended();
  if (in->has_exit()) state.exit = FromProto(in->exit());
  if (in->has_failure()) {
    // A failure is one, whatever its code says.
    int code = in->failure().code();
    state.failure =
        absl::Status(code == 0 ? absl::StatusCode::kUnknown
                               : static_cast<absl::StatusCode>(code),
                     in->failure().message());
  }
  return state;
}

std::string EncodeShimCommand(const ShimCommand& command) {
  pb::ShimCommand out;
  switch (command.kind) {
    case ShimCommand::Kind::kStop:
      out.mutable_stop()->set_grace_msec(static_cast<uint64_t>(
          std::max<int64_t>(0, absl::ToInt64Milliseconds(command.grace))));
      break;
    case ShimCommand::Kind::kAttach:
      out.mutable_attach();
      break;
    case ShimCommand::Kind::kResize:
      out.mutable_resize()->set_rows(command.rows);
      out.mutable_resize()->set_columns(command.columns);
      break;
  }
  return out.SerializeAsString();
}

absl::StatusOr<ShimCommand> DecodeShimCommand(absl::string_view bytes) {
  absl::StatusOr<pb::ShimCommand> in = Parse<pb::ShimCommand>(bytes);
  if (!in.ok()) return in.status();
  switch (in->command_case()) {
    case pb::ShimCommand::kStop:
      return ShimCommand{.grace = absl::Milliseconds(in->stop().grace_msec())};
    case pb::ShimCommand::kAttach:
      return ShimCommand{.kind = ShimCommand::Kind::kAttach};
    case pb::ShimCommand::kResize:
      // ioctl_tty(2), TIOCSWINSZ: two unsigned shorts.
      if (in->resize().rows() > UINT16_MAX ||
          in->resize().columns() > UINT16_MAX) {
        return absl::DataLossError("window of a console: too large");
      }
      return ShimCommand{
          .kind = ShimCommand::Kind::kResize,
          .rows = static_cast<uint16_t>(in->resize().rows()),
          .columns = static_cast<uint16_t>(in->resize().columns())};
    case pb::ShimCommand::COMMAND_NOT_SET:
      break;
  }
  return absl::DataLossError("unknown shim command");
}

}  // namespace davit
