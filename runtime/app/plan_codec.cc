#include "runtime/app/plan_codec.h"

#include <signal.h>

#include "absl/strings/str_cat.h"
#include "proto/internal/app/v1/app_plan.pb.h"

namespace davit {
namespace {

namespace pb = internal::app::v1;

constexpr size_t kMaxErrorText = kMaxExecReply - 64;

template <typename Repeated, typename Values>
void Append(const Values& from, Repeated* to) {
  for (const auto& value : from) to->Add()->assign(value);
}

template <typename Repeated>
std::vector<std::string> Strings(const Repeated& from) {
  return std::vector<std::string>(from.begin(), from.end());
}

template <typename Message>
absl::StatusOr<Message> Parse(absl::string_view bytes, const char* what) {
  Message message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": ", bytes.size(), " bytes that are no message"));
  }
  return message;
}

// proto3 `string` fields must be UTF-8 and a pod's errors may hold any bytes.
std::string PrintableText(absl::string_view text) {
  std::string result;
  for (unsigned char c : text.substr(0, kMaxErrorText)) {
    result.push_back(c >= 0x20 && c < 0x7f ? static_cast<char>(c) : '?');
  }
  return result;
}

absl::StatusOr<ExecReply> DecodeFailure(const pb::ExecReply::Failed& failed) {
  int code = failed.code();
  if (code <= 0 ||
      code > static_cast<int>(absl::StatusCode::kUnauthenticated)) {
    return absl::InvalidArgumentError(
        absl::StrCat("exec reply: ", code, " is no error code"));
  }
  return ExecReply{.kind = ExecReply::Kind::kFailed,
                   .error = absl::Status(static_cast<absl::StatusCode>(code),
                                         PrintableText(failed.message()))};
}

}  // namespace

std::string EncodeAppPlan(const AppSpec& app) {
  pb::AppPlan plan;
  plan.set_name(app.name);
  Append(app.argv, plan.mutable_argv());
  Append(app.env, plan.mutable_env());
  plan.set_working_dir(app.working_dir);
  plan.set_uid(app.uid);
  plan.set_gid(app.gid);
  for (unsigned gid : app.supplementary_gids) {
    plan.add_supplementary_gids(gid);
  }
  plan.set_read_only_root(app.read_only_root);
  Append(app.add_capabilities, plan.mutable_add_capabilities());
  Append(app.drop_capabilities, plan.mutable_drop_capabilities());
  plan.set_privileged(app.privileged);
  plan.set_no_new_privileges(app.no_new_privileges);
  plan.set_no_filter(app.confinement.no_filter);
  plan.set_seccomp_program(app.confinement.seccomp_program);
  plan.set_apparmor_profile(app.confinement.apparmor_profile);
  plan.set_selinux_context(app.confinement.selinux_context);
  return plan.SerializeAsString();
}

absl::StatusOr<AppSpec> DecodeAppPlan(absl::string_view bytes) {
  absl::StatusOr<pb::AppPlan> plan = Parse<pb::AppPlan>(bytes, "app plan");
  if (!plan.ok()) return plan.status();
  if (plan->name().empty() || plan->argv().empty()) {
    return absl::InvalidArgumentError("app plan: name or argv is missing");
  }
  AppSpec app;
  app.name = plan->name();
  app.argv = Strings(plan->argv());
  app.env = Strings(plan->env());
  if (!plan->working_dir().empty()) app.working_dir = plan->working_dir();
  app.uid = plan->uid();
  app.gid = plan->gid();
  app.supplementary_gids.assign(plan->supplementary_gids().begin(),
                                plan->supplementary_gids().end());
  app.read_only_root = plan->read_only_root();
  app.add_capabilities = Strings(plan->add_capabilities());
  app.drop_capabilities = Strings(plan->drop_capabilities());
  app.privileged = plan->privileged();
  app.no_new_privileges = plan->no_new_privileges();
  app.confinement = {plan->no_filter(), plan->seccomp_program(),
                     plan->apparmor_profile(), plan->selinux_context()};
  return app;
}

std::string EncodeExecPlan(const ExecPlan& plan) {
  pb::ExecPlan message;
  message.set_app(plan.app);
  message.set_main_pid(plan.main_pid);
  Append(plan.argv, message.mutable_argv());
  Append(plan.env, message.mutable_env());
  message.set_tty(plan.tty);
  message.set_stdin_open(plan.stdin_open);
  message.set_login(plan.login);
  return message.SerializeAsString();
}

absl::StatusOr<ExecPlan> DecodeExecPlan(absl::string_view bytes) {
  absl::StatusOr<pb::ExecPlan> message =
      Parse<pb::ExecPlan>(bytes, "exec plan");
  if (!message.ok()) return message.status();
  // A login has its shell.
  if (message->argv().empty() && !message->login()) {
    return absl::InvalidArgumentError("exec plan: argv is missing");
  }
  return ExecPlan{.app = message->app(),
                  .main_pid = message->main_pid(),
                  .argv = Strings(message->argv()),
                  .env = Strings(message->env()),
                  .tty = message->tty(),
                  .stdin_open = message->stdin_open(),
                  .login = message->login()};
}

std::string EncodeExecReply(const ExecReply& reply) {
  pb::ExecReply message;
  switch (reply.kind) {
    case ExecReply::Kind::kStarted:
      message.mutable_started();
      break;
    case ExecReply::Kind::kFailed:
      message.mutable_failed()->set_code(static_cast<int>(reply.error.code()));
      message.mutable_failed()->set_message(
          PrintableText(reply.error.message()));
      break;
    case ExecReply::Kind::kExited:
      message.mutable_exited()->set_wait_status(reply.wait_status);
      break;
  }
  return message.SerializeAsString();
}

absl::StatusOr<ExecReply> DecodeExecReply(absl::string_view bytes) {
  if (bytes.size() > kMaxExecReply) {
    return absl::InvalidArgumentError("exec reply: too long");
  }
  absl::StatusOr<pb::ExecReply> message =
      Parse<pb::ExecReply>(bytes, "exec reply");
  if (!message.ok()) return message.status();
  switch (message->what_case()) {
    case pb::ExecReply::kStarted:
      return ExecReply{.kind = ExecReply::Kind::kStarted};
    case pb::ExecReply::kFailed:
      return DecodeFailure(message->failed());
    case pb::ExecReply::kExited:
      return ExecReply{.kind = ExecReply::Kind::kExited,
                       .wait_status = message->exited().wait_status()};
    case pb::ExecReply::WHAT_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError("exec reply: of no known kind");
}

std::string EncodeExecSignal(int signal) {
  pb::ExecSignal message;
  message.set_signal(signal);
  return message.SerializeAsString();
}

absl::StatusOr<int> DecodeExecSignal(absl::string_view bytes) {
  absl::StatusOr<pb::ExecSignal> message =
      Parse<pb::ExecSignal>(bytes, "exec signal");
  if (!message.ok()) return message.status();
  if (message->signal() <= 0 || message->signal() > SIGRTMAX) {
    return absl::InvalidArgumentError(
        absl::StrCat("exec signal: ", message->signal(), " is no signal"));
  }
  return message->signal();
}

}  // namespace davit
