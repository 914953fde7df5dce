#include "agent/pod/testing/fake_world.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit::testing {

absl::Status JournaledRootfs::MountOverlay(const OverlaySpec& spec) {
  std::string name = "overlay";
  if (spec.no_sync) name = "overlay_journal";
  if (absl::StrContains(spec.target, "/opt/stage2/")) name = "overlay_app";
  RETURN_IF_ERROR(journal_->Enter(name));
  RETURN_IF_ERROR(FakeRootfsOps::MountOverlay(spec));
  return journal_->Leave(name);
}

absl::Status JournaledRootfs::UnmountTree(const std::string& directory) {
  RETURN_IF_ERROR(journal_->Enter("unmount"));
  RETURN_IF_ERROR(FakeRootfsOps::UnmountTree(directory));
  return journal_->Leave("unmount");
}

absl::StatusOr<std::string> JournaledNetwork::CreateNetns(
    const std::string& pod_id) {
  RETURN_IF_ERROR(journal_->Enter("netns"));
  ASSIGN_OR_RETURN(std::string path, FakePodNetwork::CreateNetns(pod_id));
  RETURN_IF_ERROR(journal_->Leave("netns"));
  return path;
}

absl::Status JournaledNetwork::RemoveNetns(const std::string& pod_id) {
  RETURN_IF_ERROR(journal_->Enter("rm_netns"));
  RETURN_IF_ERROR(FakePodNetwork::RemoveNetns(pod_id));
  return journal_->Leave("rm_netns");
}

absl::StatusOr<std::vector<InterfaceStatus>> JournaledNetwork::Attach(
    const PodNetworkRequest& request) {
  RETURN_IF_ERROR(journal_->Enter("attach"));
  ASSIGN_OR_RETURN(std::vector<InterfaceStatus> interfaces,
                   FakePodNetwork::Attach(request));
  RETURN_IF_ERROR(journal_->Leave("attach"));
  return interfaces;
}

absl::Status JournaledNetwork::Detach(const PodNetworkRequest& request) {
  RETURN_IF_ERROR(journal_->Enter("detach"));
  RETURN_IF_ERROR(FakePodNetwork::Detach(request));
  return journal_->Leave("detach");
}

absl::StatusOr<PodUserns> JournaledUserns::Prepare(
    const std::string& runtime_dir) {
  RETURN_IF_ERROR(journal_->Enter("userns"));
  PodUserns userns = {.path = runtime_dir + "/userns"};
  {
    absl::MutexLock lock(&mutex_);
    pins_.insert(userns.path);
    userns.base = last_base_ += kUsernsIds;
  }
  RETURN_IF_ERROR(journal_->Leave("userns"));
  return userns;
}

absl::Status JournaledUserns::Remove(const std::string& runtime_dir) {
  {
    absl::MutexLock lock(&mutex_);
    if (pins_.count(runtime_dir + "/userns") == 0) return absl::OkStatus();
  }
  RETURN_IF_ERROR(journal_->Enter("rm_userns"));
  {
    absl::MutexLock lock(&mutex_);
    pins_.erase(runtime_dir + "/userns");
  }
  return journal_->Leave("rm_userns");
}

absl::StatusOr<UniqueFd> JournaledUserns::CreateNetns(const PodUserns& userns) {
  absl::MutexLock lock(&mutex_);
  if (pins_.count(userns.path) == 0) {
    return absl::NotFoundError(absl::StrCat(userns.path, " is not pinned"));
  }
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

std::set<std::string> JournaledUserns::pins() const {
  absl::MutexLock lock(&mutex_);
  return pins_;
}

absl::Status JournaledMounts::Mount(
    const ProcessIdentity&, const PodUserns&, const LiveMount& mount,
    const std::function<absl::Status(uint64_t mount_id)>& record) {
  RETURN_IF_ERROR(record(++last_id_));
  return journal_->Enter(
      "mount", absl::StrCat(mount.source, " ", mount.root, " ", mount.target));
}

absl::Status JournaledMounts::Unmount(const ProcessIdentity&, const LiveMount&,
                                      uint64_t mount_id, bool force) {
  return journal_->Enter("umount",
                         absl::StrCat(mount_id, force ? " by force" : ""));
}

FakeWorld::FakeWorld() {
  images.Add("localhost/davit/stage1", {}, /*bootable=*/true, {"/l/stage1"});
  ImageConfig web;
  web.entrypoint = {"serve"};
  web.cmd = {"--default"};
  images.Add("web", web, /*bootable=*/false, {"/l/web"});
  images.Add("plain", {}, /*bootable=*/false, {"/l/plain"});
  options.root = dir / "root";
  options.state = dir / "state";
  options.stage1_image = "localhost/davit/stage1";
  options.resolv_conf = dir / "resolv.conf";
  options.app_launcher = dir / "davit-app";
  if (!WriteFileAtomic(options.app_launcher, "app launcher").ok()) abort();
  options.retry_interval = absl::Hours(1);
  store.FailWritesIf([this](const Pod&) {
    return journal.dead() ? absl::UnavailableError("this agent is dead")
                          : journal.Enter("save");
  });
  options.on_problem = [this](const std::string& sentence) {
    absl::MutexLock lock(&mutex_);
    problems_.push_back(sentence);
  };
  Restart();
}

FakeWorld::~FakeWorld() { manager_.reset(); }

PodManager& FakeWorld::Restart(bool kill) {
  if (kill) journal.Kill().IgnoreError();
  manager_.reset();
  journal.Revive();
  PodManagerDeps deps{&store,    &images, &rootfs, &network,
                      &launcher, &apps,   &userns, &mounts};
  deps.node_address = [this] { return node_address; };
  deps.logs_complete = [this](const PodRef&, const std::string&) {
    return logs_complete.load();
  };
  deps.dial = [this](const std::string& netns,
                     uint16_t port) -> absl::StatusOr<UniqueFd> {
    last_dial = absl::StrCat(netns, ":", port);
    return dial_answer;
  };
  manager_ = NewPodManager(options, deps, observer);
  return *manager_;
}

PodSpec FakeWorld::Spec(const std::string& name, int apps) {
  PodSpec spec;
  spec.name = name;
  spec.hostname = name;
  for (int i = 0; i < apps; ++i) {
    ContainerSpec container;
    container.name = absl::StrCat("app", i);
    container.image = "web";
    spec.containers.push_back(container);
  }
  return spec;
}

void FakeWorld::ExpectUndone(const std::vector<std::string>& before,
                             const std::vector<std::string>& beside) const {
  std::vector<std::string> network = before, others = before;
  for (const char* op : {"detach", "rm_netns"}) network.push_back(op);
  others.insert(others.end(), beside.begin(), beside.end());
  others.push_back("unmount");
  std::vector<std::string> seen_network, seen_others;
  for (const std::string& op : journal.lines()) {
    const bool first = seen_others.size() < before.size();
    const bool of_network = op == "detach" || op == "rm_netns";
    if (first || of_network) seen_network.push_back(op);
    if (first || !of_network) seen_others.push_back(op);
  }
  EXPECT_EQ(seen_network, network);
  EXPECT_EQ(seen_others, others);
}

std::vector<std::string> FakeWorld::Leftovers() {
  std::vector<std::string> left;
  std::vector<OverlaySpec> mounts = rootfs.mounts();
  for (const OverlaySpec& mount : mounts) {
    left.push_back(absl::StrCat("mount ", mount.target));
  }
  std::vector<std::string> pins = network.ListNetns().value();
  for (const std::string& id : pins) {
    left.push_back(absl::StrCat("netns ", id));
  }
  std::vector<Pod> pods = store.pods();
  for (const Pod& pod : pods) {
    for (const InterfaceStatus& interface : network.InterfacesOf(pod.id)) {
      left.push_back(absl::StrCat("interface ", interface.ifname));
    }
  }
  std::vector<std::string> cgroups = launcher.Known();
  for (const std::string& id : cgroups) {
    left.push_back(absl::StrCat("cgroup ", id));
  }
  for (const std::string& path : userns.pins()) {
    left.push_back(absl::StrCat("userns ", path));
  }
  return left;
}

bool FakeWorld::WaitFor(const std::function<bool()>& condition) {
  absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return true;
}

bool FakeWorld::WaitForState(const std::string& pod, PodState state) {
  return WaitFor([&] {
    absl::StatusOr<Pod> now = manager_->Get(pod);
    return now.ok() && now->status.state == state;
  });
}

std::vector<std::string> FakeWorld::problems() const {
  absl::MutexLock lock(&mutex_);
  return problems_;
}

}  // namespace davit::testing
