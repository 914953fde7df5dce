// davitd, the node agent: flags → everything is built → recover → serve until
// SIGTERM or SIGINT. The one place that knows all the parts.

#include <pthread.h>
#include <signal.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "agent/config.h"
#include "agent/file_lock.h"
#include "agent/log.h"
#include "agent/metrics/exposer.h"
#include "agent/metrics/metrics.h"
#include "agent/pod/mount_ops.h"
#include "agent/pod/pod_manager_impl.h"
#include "agent/pod/pod_paths.h"
#include "agent/pod/real_rootfs_ops.h"
#include "agent/pod/userns_ops.h"
#include "agent/rpc/image_service.h"
#include "agent/rpc/network_service.h"
#include "agent/rpc/node_service.h"
#include "agent/rpc/pod_service.h"
#include "agent/server.h"
#include "agent/store/file_pod_store.h"
#include "agent/version.h"
#include "net/cni_pod_network.h"
#include "net/netns/dial.h"
#include "runtime/app/log_reader.h"
#include "runtime/app/log_streams.h"
#include "runtime/app/pod_apps.h"
#include "runtime/base/file.h"
#include "runtime/base/spread_directories.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/version.h"
#include "runtime/boot/kernel_guard.h"
#include "runtime/boot/launcher.h"
#include "runtime/cgroup/quick_moves.h"
#include "runtime/image/image_store.h"

namespace davit {
namespace {

// What a stop may take at most. Operations on pods that have not ended by then
// are left as after a crash: the next agent takes them up.
constexpr absl::Duration kStopTime = absl::Seconds(10);
constexpr absl::Duration kDrainTime = absl::Seconds(6);
// A full backlog of a pod's listener may hold a connection up.
constexpr absl::Duration kDialTime = absl::Seconds(10);

// The parts, in the order in which they are built; destroyed backwards.
class Agent {
 public:
  explicit Agent(AgentConfig config)
      : config_(std::move(config)), metrics_(kDavitVersion, GitCommit()) {}

  absl::Status Start() {
    RETURN_IF_ERROR(TakeDirectories());
    RETURN_IF_ERROR(ExposeMetrics());
    RETURN_IF_ERROR(OpenStores());
    RETURN_IF_ERROR(ReachTheKernel());
    BuildManager();
    RETURN_IF_ERROR(Recover());
    return Serve();
  }

  // Pods run on.
  void Stop() {
    server_->StopAccepting();
    manager_->Drain(kDrainTime);
    server_->Shutdown();
    metrics_.ClearPodSource();
    metrics_.SetNetworkSource(nullptr);
  }

 private:
  absl::Status TakeDirectories();
  absl::Status ExposeMetrics();
  absl::Status OpenStores();
  absl::Status ReachTheKernel();
  void LoadGuard();
  void BuildManager();
  absl::Status Recover();
  absl::Status Serve();
  std::vector<std::unique_ptr<grpc::Service>> Services(
      Caller caller, const NodeServiceOptions& node);
  void OnCall(const CallRecord& call);
  void OnGarbage(const GarbageItem& item);

  const AgentConfig config_;
  const absl::Time start_time_ = absl::Now();
  Metrics metrics_;
  std::optional<FileLock> root_lock_, state_lock_;
  std::unique_ptr<MetricsExposer> exposer_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<PodStore> store_;
  std::unique_ptr<RootfsOps> rootfs_;
  std::unique_ptr<UsernsOps> userns_;
  MountOps mounts_;
  std::unique_ptr<PodNetwork> network_;
  std::optional<KernelGuard> guard_;
  std::unique_ptr<Launcher> launcher_;
  std::unique_ptr<QuickMoves> quick_moves_;
  std::unique_ptr<PodApps> apps_;
  std::unique_ptr<PodManager> manager_;
  std::unique_ptr<Server> server_;
};

// Images hold set-uid programs: nobody else may reach into the root. The socket
// in the state directory is for its group. Two agents on one directory would
// take each other's pods for ownerless.
absl::Status Agent::TakeDirectories() {
  RETURN_IF_ERROR(MakeDirectories(config_.root, 0700));
  RETURN_IF_ERROR(MakeDirectories(config_.state, 0755));
  ASSIGN_OR_RETURN(root_lock_, FileLock::Acquire(config_.root + "/lock",
                                                 "--root " + config_.root));
  ASSIGN_OR_RETURN(state_lock_, FileLock::Acquire(config_.state + "/lock",
                                                  "--state " + config_.state));
  // Made now and not with the first pod: a node without pods has the same files
  // before and after one.
  for (const std::string& directory :
       {config_.root + "/pods", config_.root + "/cni/results",
        config_.root + "/cni/netns", config_.state + "/pods"}) {
    RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  }
  absl::Status spread = SpreadSubdirectories(config_.root + "/pods");
  if (!spread.ok()) {
    Log(LogLevel::kWarning, absl::StrCat(spread.message(), ", ignoring"));
  }
  return absl::OkStatus();
}

absl::Status Agent::ExposeMetrics() {
  if (config_.metrics.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(exposer_, MetricsExposer::Start(config_.metrics, metrics_));
  return absl::OkStatus();
}

absl::Status Agent::OpenStores() {
  ASSIGN_OR_RETURN(images_, ImageStore::Open(config_.root + "/images"));
  ASSIGN_OR_RETURN(store_,
                   OpenFilePodStore(AgentPaths{config_.root, config_.state}));
  return absl::OkStatus();
}

absl::Status Agent::ReachTheKernel() {
  CniPodNetworkOptions network;
  network.config_dir = config_.cni_conf_dir;
  network.plugin_dirs = config_.cni_bin_dir;
  network.cache_dir = config_.root + "/cni";
  network.netns_dir = config_.netns_dir;
  network.node_netns = config_.node_netns;
  network.plugin_timeout = config_.cni_timeout;
  network.observer = metrics_.cni_observer();
  ASSIGN_OR_RETURN(network_, NewCniPodNetwork(network));

  LoadGuard();
  LauncherOptions launcher;
  launcher.guard = guard_.has_value() ? &*guard_ : nullptr;
  launcher.shim_path = config_.libexec + "/davit-shim";
  launcher.cgroup_parent = config_.cgroup_parent;
  launcher.unified_dir = config_.state + "/unified";
  ASSIGN_OR_RETURN(launcher_, NewLauncher(launcher));
  // After the launcher, which may give us a cgroup of our own.
  ASSIGN_OR_RETURN(quick_moves_, NewQuickMoves());
  rootfs_ = NewRealRootfsOps();
  userns_ = NewRealUsernsOps();
  apps_ = NewPodApps(config_.libexec + "/davit-app");
  return absl::OkStatus();
}

// Without it pods run all the same, as they do under other managers.
void Agent::LoadGuard() {
  absl::StatusOr<KernelGuard> guard = KernelGuard::Load();
  if (guard.ok()) {
    guard_.emplace(*std::move(guard));
    return;
  }
  Log(LogLevel::kWarning,
      "root in a pod without a user namespace can write to /sys and to the "
      "machine's files of /proc",
      {{"error", std::string(guard.status().message())}});
}

void Agent::BuildManager() {
  PodManagerOptions options;
  options.root = config_.root;
  options.state = config_.state;
  options.app_launcher = config_.libexec + "/davit-app";
  options.stage1_image = config_.stage1_image;
  options.node_netns = config_.node_netns;
  options.seccomp_dir = config_.seccomp_dir;
  options.ready_timeout = config_.ready_timeout;
  options.on_garbage = [this](const GarbageItem& item) { OnGarbage(item); };
  options.on_problem = [](const std::string& sentence) {
    Log(LogLevel::kWarning, sentence);
  };
  PodManagerDeps deps;
  deps.store = store_.get();
  deps.images = images_.get();
  deps.rootfs = rootfs_.get();
  deps.network = network_.get();
  deps.launcher = launcher_.get();
  deps.apps = apps_.get();
  deps.userns = userns_.get();
  deps.mounts = &mounts_;
  deps.quick_moves = quick_moves_.get();
  deps.logs_complete = LogsAreComplete;
  deps.dial = [](const std::string& netns, uint16_t port) {
    return DialLoopback(netns, port, kDialTime);
  };
  deps.node_address = [netns = config_.node_netns] {
    return NodeAddress(netns).value_or("");
  };
  manager_ = NewPodManager(options, deps, metrics_.step_observer());
}

void Agent::OnGarbage(const GarbageItem& item) {
  metrics_.OnGarbage(item);
  std::vector<LogField> fields = {
      {"kind", item.kind}, {"name", item.name}, {"reason", item.reason}};
  if (item.outcome.ok()) {
    Log(LogLevel::kInfo, "removed, as nobody owns it", fields);
    return;
  }
  fields.push_back({"error", std::string(item.outcome.message())});
  Log(LogLevel::kWarning, "nobody owns it, and it stays", fields);
}

absl::Status Agent::Recover() {
  ASSIGN_OR_RETURN(RecoveryReport report, manager_->Recover(), "recover");
  for (const std::string& failed : report.failed) {
    Log(LogLevel::kWarning, "not recovered", {{"what", failed}});
  }
  for (const std::string& removed : report.removed) {
    Log(LogLevel::kDebug, "removed", {{"what", removed}});
  }
  Log(LogLevel::kInfo, "recovered",
      {{"adopted", int64_t{report.adopted}},
       {"ended", int64_t{report.ended}},
       {"rolled_back", int64_t{report.rolled_back}},
       {"removed", static_cast<int64_t>(report.removed.size())},
       {"failed", static_cast<int64_t>(report.failed.size())}});
  metrics_.SetPodSource([this] { return manager_->List().pods; });
  metrics_.SetNetworkSource([this] { return network_->ListNetworks(); });
  return absl::OkStatus();
}

std::vector<std::unique_ptr<grpc::Service>> Agent::Services(
    Caller caller, const NodeServiceOptions& node) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  PodServiceOptions pods;
  pods.host_users = config_.default_host_users;
  pods.for_root = caller == Caller::kRoot;
  services.push_back(NewPodService(manager_.get(), ReadLogs, pods));
  services.push_back(NewImageService(images_.get(), manager_.get()));
  services.push_back(NewNetworkService(manager_.get(), network_.get()));
  services.push_back(NewNodeService(node, manager_.get(), network_.get()));
  return services;
}

absl::Status Agent::Serve() {
  NodeServiceOptions node;
  node.version = kDavitVersion;
  node.commit = GitCommit();
  node.root_dir = config_.root;
  node.state_dir = config_.state;
  node.start_time = start_time_;
  ServerOptions options;
  options.socket_path = config_.socket_path();
  options.on_call = [this](const CallRecord& call) { OnCall(call); };
  ASSIGN_OR_RETURN(server_, Server::Start(options, [&](Caller caller) {
                     return Services(caller, node);
                   }));
  return absl::OkStatus();
}

LogLevel LevelOf(const CallRecord& call) {
  switch (call.outcome.code()) {
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDataLoss:
      return LogLevel::kError;
    default:
      // Probes ask for health every few seconds.
      return absl::StartsWith(call.method, "grpc.") ? LogLevel::kDebug
                                                    : LogLevel::kInfo;
  }
}

void Agent::OnCall(const CallRecord& call) {
  metrics_.OnRpc(call.method, call.took, call.outcome);
  std::vector<LogField> fields = {
      {"method", call.method},
      {"code", absl::StatusCodeToString(call.outcome.code())},
      {"seconds", absl::ToDoubleSeconds(call.took)}};
  if (call.credentials) {
    fields.push_back({"peer_uid", int64_t{call.credentials->uid}});
    fields.push_back({"peer_pid", int64_t{call.credentials->pid}});
  } else {
    fields.push_back({"peer", call.peer});
  }
  if (!call.outcome.ok()) {
    fields.push_back({"error", std::string(call.outcome.message())});
  }
  Log(LevelOf(call), "call", fields);
}

// Before any thread exists, so that all inherit it: stop signals are taken by
// WaitForStop alone, and a closed pipe or socket is an error of its write(2).
sigset_t HoldSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  return stop;
}

void WaitForStop(const sigset_t& stop) {
  int signal = 0;
  while (sigwait(&stop, &signal) != 0) {
  }
  Log(LogLevel::kInfo, "stopping, pods run on", {{"signal", int64_t{signal}}});
}

void LimitStopTime() {
  std::thread([] {
    absl::SleepFor(kStopTime);
    Log(LogLevel::kError,
        "operations on pods still run; leaving them to the next agent");
    _Exit(EXIT_FAILURE);
  }).detach();
}

absl::Status RunAgent(const AgentConfig& config) {
  sigset_t stop = HoldSignals();
  SetUpLog(config.log_level, config.log_format);
  if (geteuid() != 0) {
    return absl::PermissionDeniedError("davitd must run as root");
  }
  Agent agent(config);
  RETURN_IF_ERROR(agent.Start());
  Log(LogLevel::kInfo, "serving",
      {{"listen", config.listen},
       {"version", std::string(kDavitVersion)},
       {"commit", std::string(GitCommit())}});
  sd_notify(0, "READY=1");
  WaitForStop(stop);
  sd_notify(0, "STOPPING=1");
  LimitStopTime();
  agent.Stop();
  return absl::OkStatus();
}

}  // namespace
}  // namespace davit

int main(int argc, char** argv) {
  absl::StatusOr<davit::CommandLine> command =
      davit::ParseCommandLine(argc, argv);
  if (!command.ok()) {
    fprintf(stderr, "davitd: %s\n",
            std::string(command.status().message()).c_str());
    return 2;
  }
  if (!command->print.empty()) {
    fputs(command->print.c_str(), stdout);
    return EXIT_SUCCESS;
  }
  absl::Status status = davit::RunAgent(command->config);
  if (status.ok()) return EXIT_SUCCESS;
  davit::Log(davit::LogLevel::kError, "cannot start",
             {{"error", std::string(status.message())}});
  return EXIT_FAILURE;
}
