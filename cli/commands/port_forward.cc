// davitctl port-forward POD [LOCAL:]REMOTE...
#include <signal.h>
#include <sys/signalfd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/command.h"
#include "cli/net_flags.h"
#include "cli/pod_names.h"
#include "cli/port_forwarder.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit::cli {
namespace {

struct PortForwardFlags {
  std::string pod;
  std::vector<std::string> ports;
  std::string address = "localhost";
};

// Ready when it is time to stop. Blocked before gRPC makes its threads.
absl::StatusOr<UniqueFd> StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd(signalfd(-1, &set, SFD_CLOEXEC));
  if (!fd) return ErrnoError("signalfd(SIGINT, SIGTERM)");
  return fd;
}

absl::Status CheckRuns(Context& context, const std::string& pod) {
  v1::GetPodRequest request;
  request.set_pod(pod);
  v1::GetPodResponse response;
  grpc::ClientContext rpc;
  RETURN_IF_ERROR(context.client().ToStatus(
      context.client().pods().GetPod(&rpc, request, &response)));
  if (response.pod().status().state() == v1::POD_STATE_RUNNING) {
    return absl::OkStatus();
  }
  return LocalError(absl::StrCat(
      "unable to forward port because pod is not running. Current status=",
      response.pod().status().phase()));
}

absl::StatusOr<int> PortForward(Context& context,
                                const PortForwardFlags& flags) {
  std::string pod = PodName(flags.pod);
  std::vector<ForwardedPort> ports;
  for (const std::string& text : flags.ports) {
    ASSIGN_OR_RETURN(ForwardedPort port, ParseForwardedPort(text));
    ports.push_back(port);
  }
  ASSIGN_OR_RETURN(UniqueFd stop, StopSignals());
  RETURN_IF_ERROR(CheckRuns(context, pod));
  PortForwarder forwarder(&context.client(), pod, context.out, context.err);
  std::vector<std::string> addresses =
      absl::StrSplit(flags.address, ',', absl::SkipEmpty());
  for (const ForwardedPort& port : ports) {
    RETURN_IF_ERROR(forwarder.Listen(addresses, port));
  }
  RETURN_IF_ERROR(forwarder.Run(stop.get()));
  return 0;
}

}  // namespace

void AddPortForwardCommand(CLI::App& app, Context& context) {
  auto flags = std::make_shared<PortForwardFlags>();
  CLI::App* command = app.add_subcommand(
      "port-forward", "Forward local ports to ports of a pod");
  command->add_option("POD", flags->pod, "the pod")->required();
  command
      ->add_option("PORTS", flags->ports,
                   "[LOCAL:]REMOTE, repeatable; :REMOTE takes a free local one")
      ->required();
  command
      ->add_option("--address", flags->address,
                   "addresses to listen on, comma-separated; \"localhost\" is "
                   "127.0.0.1 and, where there is one, ::1")
      ->capture_default_str();
  command->callback([&context, flags] {
    context.action = [&context, flags] { return PortForward(context, *flags); };
  });
}

}  // namespace davit::cli
