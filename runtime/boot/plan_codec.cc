#include "runtime/boot/plan_codec.h"

#include "absl/strings/str_cat.h"
#include "proto/internal/launch/v1/launch_plan.pb.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

namespace pb = ::davit::internal::launch::v1;
using Kind = FsStep::Kind;

// One table for both directions.
constexpr struct {
  Kind kind;
  pb::FsStep::Kind proto;
} kKinds[] = {
    {Kind::kDirectory, pb::FsStep::KIND_DIRECTORY},
    {Kind::kFile, pb::FsStep::KIND_FILE},
    {Kind::kSymlink, pb::FsStep::KIND_SYMLINK},
    {Kind::kNode, pb::FsStep::KIND_NODE},
    {Kind::kMount, pb::FsStep::KIND_MOUNT},
    {Kind::kBind, pb::FsStep::KIND_BIND},
    {Kind::kHostBind, pb::FsStep::KIND_HOST_BIND},
    {Kind::kReadOnly, pb::FsStep::KIND_READ_ONLY},
    {Kind::kRemove, pb::FsStep::KIND_REMOVE},
    {Kind::kConsole, pb::FsStep::KIND_CONSOLE},
    {Kind::kNotifySocket, pb::FsStep::KIND_NOTIFY_SOCKET},
    {Kind::kHeldFifo, pb::FsStep::KIND_HELD_FIFO},
    {Kind::kTty, pb::FsStep::KIND_TTY},
    {Kind::kHostMount, pb::FsStep::KIND_HOST_MOUNT},
};

pb::FsStep::Kind ToProto(Kind kind) {
  for (const auto& entry : kKinds) {
    if (entry.kind == kind) return entry.proto;
  }
  return pb::FsStep::KIND_UNSPECIFIED;
}

absl::StatusOr<Kind> FromProto(pb::FsStep::Kind kind) {
  for (const auto& entry : kKinds) {
    if (entry.proto == kind) return entry.kind;
  }
  return absl::DataLossError(
      absl::StrCat("launch plan: unknown step ", static_cast<int>(kind)));
}

void ToProto(const CgroupDir& dir, pb::CgroupDir* out) {
  out->set_v2(dir.v2);
  for (const std::string& name : dir.controllers) out->add_controllers(name);
  out->set_mount_point(dir.mount_point);
  out->set_base(dir.base);
  out->set_payload(dir.payload);
  out->set_supervisor(dir.supervisor);
  out->set_retreat(dir.retreat);
  out->set_hand_down(dir.hand_down);
  out->set_in_scope(dir.in_scope);
}

CgroupDir FromProto(const pb::CgroupDir& in) {
  return {.v2 = in.v2(),
          .controllers = {in.controllers().begin(), in.controllers().end()},
          .mount_point = in.mount_point(),
          .base = in.base(),
          .payload = in.payload(),
          .supervisor = in.supervisor(),
          .retreat = in.retreat(),
          .hand_down = in.hand_down(),
          .in_scope = in.in_scope()};
}

void ToProto(const FsStep& step, pb::FsStep* out) {
  out->set_kind(ToProto(step.kind));
  out->set_target(step.target);
  out->set_source(step.source);
  out->set_options(step.options);
  out->set_mode(step.mode);
  out->set_device(step.device);
  out->set_attributes(step.attributes);
  out->set_recursive(step.recursive);
  out->set_only_if_absent(step.only_if_absent);
  out->set_if_present(step.if_present);
  out->set_keep_ids(step.keep_ids);
}

absl::StatusOr<FsStep> FromProto(const pb::FsStep& in) {
  ASSIGN_OR_RETURN(Kind kind, FromProto(in.kind()));
  return FsStep{.kind = kind,
                .target = in.target(),
                .source = in.source(),
                .options = in.options(),
                .mode = in.mode(),
                .device = in.device(),
                .attributes = in.attributes(),
                .recursive = in.recursive(),
                .only_if_absent = in.only_if_absent(),
                .if_present = in.if_present(),
                .keep_ids = in.keep_ids()};
}

void ToProto(const DeviceRule& rule, pb::DeviceRule* out) {
  out->set_type(static_cast<unsigned char>(rule.type));
  out->set_major(rule.major);
  out->set_minor(rule.minor);
  out->set_access(rule.access);
}

DeviceRule FromProto(const pb::DeviceRule& in) {
  return {static_cast<char>(in.type()), in.major(), in.minor(), in.access()};
}

}  // namespace

std::string EncodeLaunchPlan(const LaunchPlan& plan) {
  pb::LaunchPlan out;
  out.set_pod_id(plan.pod_id);
  out.set_hostname(plan.hostname);
  out.set_root(plan.root);
  out.set_netns_path(plan.netns_path);
  for (const std::string& argument : plan.argv) out.add_argv(argument);
  for (const std::string& variable : plan.env) out.add_env(variable);
  out.set_bounding_capabilities(plan.bounding_capabilities);
  out.set_open_files_soft(plan.open_files_soft);
  out.set_seccomp_program(plan.seccomp_program);
  out.set_profile_program(plan.confinement.seccomp_program);
  out.set_apparmor_profile(plan.confinement.apparmor_profile);
  out.set_selinux_context(plan.confinement.selinux_context);
  for (const CgroupDir& dir : plan.cgroups) ToProto(dir, out.add_cgroups());
  for (const FsStep& step : plan.steps) ToProto(step, out.add_steps());
  for (const DeviceRule& rule : plan.devices) ToProto(rule, out.add_devices());
  out.set_runtime_dir(plan.runtime_dir);
  out.set_state_dir(plan.state_dir);
  out.set_cgroup_made_usec(plan.cgroup_made_usec);
  out.set_listen_fds(plan.listen_fds);
  out.set_unix_export(plan.unix_export);
  out.set_userns_path(plan.userns.path);
  out.set_userns_base(plan.userns.base);
  return out.SerializeAsString();
}

absl::StatusOr<LaunchPlan> DecodeLaunchPlan(absl::string_view bytes) {
  pb::LaunchPlan in;
  if (!in.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("launch plan: not a message");
  }
  if (in.pod_id().empty() || in.root().empty() || in.argv().empty()) {
    return absl::DataLossError("launch plan: pod_id, root or argv is missing");
  }
  LaunchPlan plan;
  plan.pod_id = in.pod_id();
  plan.hostname = in.hostname();
  plan.root = in.root();
  plan.netns_path = in.netns_path();
  plan.argv = {in.argv().begin(), in.argv().end()};
  plan.env = {in.env().begin(), in.env().end()};
  plan.bounding_capabilities = in.bounding_capabilities();
  plan.open_files_soft = in.open_files_soft();
  plan.seccomp_program = in.seccomp_program();
  plan.confinement.seccomp_program = in.profile_program();
  plan.confinement.apparmor_profile = in.apparmor_profile();
  plan.confinement.selinux_context = in.selinux_context();
  for (const auto& dir : in.cgroups()) plan.cgroups.push_back(FromProto(dir));
  for (const auto& step : in.steps()) {
    ASSIGN_OR_RETURN(FsStep decoded, FromProto(step));
    plan.steps.push_back(std::move(decoded));
  }
  for (const auto& rule : in.devices()) {
    plan.devices.push_back(FromProto(rule));
  }
  plan.runtime_dir = in.runtime_dir();
  plan.state_dir = in.state_dir();
  plan.cgroup_made_usec = in.cgroup_made_usec();
  plan.listen_fds = in.listen_fds();
  plan.unix_export = in.unix_export();
  plan.userns = {in.userns_path(), in.userns_base()};
  return plan;
}

}  // namespace davit
