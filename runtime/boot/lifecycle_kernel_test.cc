// How real pods start, get ready, stop and end, and what survives whom.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/process_id.h"
#include "runtime/boot/testing/pod_fixture.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"

namespace davit::testing {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Kind = PodExit::Kind;

// Has more than stage1: systemd-notify, a shell that traps any signal,
// coreutils.
constexpr char kMachine[] = "machine";
const absl::Duration kLong = Patience(absl::Seconds(60));

class LifecycleTest : public PodFixture {
 protected:
  BootRequest NewRequest() { return NewRequest(AnyGuest()); }
  BootRequest NewRequest(const std::string& image) {
    return PodFixture::NewRequest(image);
  }
  bool Alive(const ProcessIdentity& process) {
    // An orphan may stay a zombie for as long as the host's init likes.
    absl::StatusOr<ProcessHandle> handle = ProcessHandle::Open(process);
    return handle.ok() && handle->IsAlive();
  }
  // What a command inside makes of the pod.
  PodExit EndBy(std::vector<std::string> command) {
    BootRequest request = NewRequest();
    std::unique_ptr<PodProcess> pod = StartReady(request);
    if (pod == nullptr) return {};
    Look(*pod, std::move(command));
    absl::StatusOr<PodExit> exit = pod->WaitExit(kLong);
    EXPECT_THAT(exit, IsOk());
    return exit.value_or(PodExit());
  }
};

TEST_F(LifecycleTest, TellsItsListenerEverythingOnce) {
  BootRequest request = NewRequest();
  std::atomic<int> ready = 0, exits = 0, statuses = 0;
  absl::Notification exited;
  PodListener listener;
  listener.on_ready = [&] { ++ready; };
  listener.on_status = [&](const std::string& s) { statuses += !s.empty(); };
  listener.on_exit = [&](const PodExit& exit) {
    EXPECT_EQ(exit.kind, Kind::kPowerOff);
    if (++exits == 1) exited.Notify();
  };
  std::unique_ptr<PodProcess> pod = StartReady(request, listener);
  ASSERT_NE(pod, nullptr);
  EXPECT_THAT(
      launcher_->Start(request, {}),
      StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(request.pod_id)));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(30))));
  EXPECT_EQ(exit.kind, Kind::kPowerOff);
  EXPECT_TRUE(exit.stop_requested);
  EXPECT_FALSE(exit.oom_killed);
  EXPECT_LT(absl::Now() - exit.at, absl::Seconds(30));
  // The listener is called after whoever waits is woken, but in order.
  exited.WaitForNotification();
  EXPECT_EQ(ready, 1);
  EXPECT_EQ(exits, 1);
  EXPECT_GE(statuses, 1);
  // Ended, and says so as often as it is asked.
  EXPECT_EQ(pod->Stop(absl::Seconds(1))->kind, Kind::kPowerOff);
  EXPECT_EQ(pod->WaitExit(absl::ZeroDuration())->kind, Kind::kPowerOff);
  EXPECT_THAT(pod->WaitReady(absl::ZeroDuration()), IsOk());
  EXPECT_THAT(pod->Usage(), StatusIs(absl::StatusCode::kFailedPrecondition));
  EXPECT_FALSE(Alive(pod->init()));
  EXPECT_FALSE(Alive(pod->shim()));
  EXPECT_THAT(launcher_->ListCgroups().value(), IsEmpty());
  EXPECT_THAT(ReadFile(request.state_dir + "/exit.json").value(),
              HasSubstr("\"power_off\""));
}

TEST_F(LifecycleTest, ExitCodesAreExact) {
  PodExit exit = EndBy({"systemctl", "exit", "42"});
  EXPECT_EQ(exit.kind, Kind::kExited);
  EXPECT_EQ(exit.code, 42);
  EXPECT_FALSE(exit.stop_requested);
}

TEST_F(LifecycleTest, PowerOffAndRebootFromInside) {
  EXPECT_EQ(EndBy({"systemctl", "poweroff"}).kind, Kind::kPowerOff);
  EXPECT_EQ(EndBy({"systemctl", "reboot"}).kind, Kind::kReboot);
}

TEST_F(LifecycleTest, KilledInitIsSignaled) {
  BootRequest request = NewRequest();
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  ASSERT_EQ(kill(pod->init().pid, SIGKILL), 0);
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.kind, Kind::kSignaled);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_FALSE(exit.stop_requested);
}

TEST_F(LifecycleTest, NoGraceMeansKill) {
  BootRequest request = NewRequest();
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(absl::ZeroDuration()));
  EXPECT_EQ(exit.kind, Kind::kSignaled);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_TRUE(exit.stop_requested);
}

// systemd loses SIGRTMIN+3 in its first 20 ms.
TEST_F(LifecycleTest, StopsAPodThatHasJustStarted) {
  BootRequest request = NewRequest();
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(30))));
  EXPECT_EQ(exit.kind, Kind::kPowerOff);
  EXPECT_TRUE(exit.stop_requested);
}

TEST_F(LifecycleTest, KillsWhatDoesNotStop) {
  BootRequest request = NewRequest(kMachine);
  request.init_argv = {"/bin/sh", "-c",
                       "trap '' RTMIN+3 TERM; sleep 1000 & wait; wait"};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  EXPECT_THAT(pod->WaitReady(absl::Milliseconds(100)),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  absl::Time before = absl::Now();
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(absl::Milliseconds(1500)));
  EXPECT_GE(absl::Now() - before, absl::Milliseconds(1400));
  EXPECT_EQ(exit.kind, Kind::kSignaled);
  EXPECT_EQ(exit.signal, SIGKILL);
}

TEST_F(LifecycleTest, EndedBeforeReadyShowsTheConsole) {
  BootRequest request = NewRequest();
  request.init_argv = {"/bin/sh", "-c", "echo boom >/dev/console; exit 3"};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  EXPECT_THAT(pod->WaitReady(kLong),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("code 3"), HasSubstr("boom"))));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.kind, Kind::kExited);
  EXPECT_EQ(exit.code, 3);
}

TEST_F(LifecycleTest, BelievesInitOnly) {
  BootRequest request = NewRequest(kMachine);
  // Its child says READY=1, and is not PID 1.
  request.init_argv = {"/bin/sh", "-c",
                       "systemd-notify --ready --status=lie; sleep 1000; :"};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  EXPECT_THAT(
      pod->WaitReady(absl::Seconds(2)),
      StatusIs(absl::StatusCode::kDeadlineExceeded, Not(HasSubstr("lie"))));
}

TEST_F(LifecycleTest, DrainsNotifyAndConsoleForEver) {
  BootRequest request = NewRequest(kMachine);
  // Either would block a writer for good, if nobody read: a datagram queue
  // holds ten messages, a pty some KiB.
  request.init_argv = {
      "/bin/sh", "-c",
      "i=0; while [ $i -lt 50 ]; do systemd-notify --status=$i; i=$((i+1)); "
      "done; head -c 3000000 /dev/zero | tr '\\0' x >/dev/console; exit 5"};
  ASSERT_OK_AND_ASSIGN(auto pod, launcher_->Start(request, {}));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.code, 5);
  struct stat st;
  ASSERT_EQ(stat((request.state_dir + "/console.log").c_str(), &st), 0);
  EXPECT_LE(st.st_size, 1 << 20);
  ASSERT_EQ(stat((request.state_dir + "/console.log.1").c_str(), &st), 0);
  EXPECT_EQ(st.st_size, 1 << 20);
}

TEST_F(LifecycleTest, LimitsHoldAndOomIsTold) {
  BootRequest request = NewRequest(kMachine);
  request.limits = {.memory_max_bytes = 96 << 20, .pids_max = 200};
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  ASSERT_OK_AND_ASSIGN(PodUsage usage, pod->Usage());
  EXPECT_GT(usage.memory_bytes, 1 << 20);
  EXPECT_GE(usage.memory_peak_bytes, usage.memory_bytes / 2);
  EXPECT_GT(usage.tasks, 1);
  EXPECT_GT(usage.cpu_usec, 1000);
  SubprocessResult eater = RunUnit(*pod, "tail /dev/zero");
  EXPECT_FALSE(eater.ExitedWith(0));
  EXPECT_LE(pod->Usage()->memory_peak_bytes, 96 << 20);
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(30))));
  EXPECT_TRUE(exit.oom_killed);
}

TEST_F(LifecycleTest, OutlivesItsAgent) {
  BootRequest request = NewRequest();
  ProcessIdentity init, shim;
  {
    std::unique_ptr<PodProcess> pod = StartReady(request);
    ASSERT_NE(pod, nullptr);
    init = pod->init();
    shim = pod->shim();
  }
  NewAgent();
  EXPECT_TRUE(Alive(init));
  EXPECT_THAT(launcher_->ListCgroups().value(), Contains(request.pod_id));
  absl::Notification ready, exited;
  PodListener listener;
  listener.on_ready = [&] { ready.Notify(); };
  listener.on_exit = [&](const PodExit&) { exited.Notify(); };
  ASSERT_OK_AND_ASSIGN(auto pod,
                       launcher_->Recover(request.pod_id, request.runtime_dir,
                                          request.state_dir, listener));
  ready.WaitForNotification();
  EXPECT_EQ(pod->init(), init);
  EXPECT_EQ(pod->shim(), shim);
  EXPECT_EQ(pod->phases().size(), 5u);
  EXPECT_FALSE(pod->cgroups().empty());
  EXPECT_THAT(pod->WaitReady(absl::ZeroDuration()), IsOk());
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->Stop(Patience(absl::Seconds(30))));
  EXPECT_EQ(exit.kind, Kind::kPowerOff);
  exited.WaitForNotification();
}

TEST_F(LifecycleTest, TellsALaterAgentHowItEnded) {
  BootRequest request = NewRequest();
  ProcessIdentity init;
  {
    std::unique_ptr<PodProcess> pod = StartReady(request);
    ASSERT_NE(pod, nullptr);
    init = pod->init();
    // Ends while no agent listens.
    ASSERT_OK_AND_ASSIGN(ProcessHandle shim, ProcessHandle::Open(pod->shim()));
    pod.reset();
    ASSERT_EQ(kill(init.pid, SIGKILL), 0);
    ASSERT_THAT(shim.WaitForExit(kLong), IsOk());
  }
  NewAgent();
  absl::Notification exited;
  PodListener listener;
  listener.on_exit = [&](const PodExit&) { exited.Notify(); };
  ASSERT_OK_AND_ASSIGN(auto pod,
                       launcher_->Recover(request.pod_id, request.runtime_dir,
                                          request.state_dir, listener));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.kind, Kind::kSignaled);
  EXPECT_EQ(exit.signal, SIGKILL);
  EXPECT_EQ(pod->init(), init);
  exited.WaitForNotification();
}

TEST_F(LifecycleTest, KillsThePodOfALostShim) {
  BootRequest request = NewRequest();
  std::atomic<int> exits = 0;
  PodListener listener;
  listener.on_exit = [&](const PodExit& exit) {
    EXPECT_EQ(exit.kind, Kind::kUnknown);
    ++exits;
  };
  std::unique_ptr<PodProcess> pod = StartReady(request, listener);
  ASSERT_NE(pod, nullptr);
  // As if it was just writing; TearDown finds what stays.
  ASSERT_THAT(WriteFileAtomic(request.runtime_dir + "/.tmp-half", "{"), IsOk());
  ASSERT_EQ(kill(pod->shim().pid, SIGKILL), 0);
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.kind, Kind::kUnknown);
  EXPECT_FALSE(Alive(pod->init()));
  EXPECT_THAT(launcher_->ListCgroups().value(), IsEmpty());
  pod.reset();
  EXPECT_EQ(exits, 1);
}

TEST_F(LifecycleTest, RecoverKillsThePodOfALostShim) {
  BootRequest request = NewRequest();
  ProcessIdentity init, shim;
  {
    std::unique_ptr<PodProcess> pod = StartReady(request);
    ASSERT_NE(pod, nullptr);
    init = pod->init();
    shim = pod->shim();
  }
  launcher_.reset();  // the agent is away
  ASSERT_EQ(kill(shim.pid, SIGKILL), 0);
  ASSERT_EQ(waitpid(shim.pid, nullptr, 0), shim.pid);
  EXPECT_TRUE(Alive(init));
  NewAgent();
  // Nothing kills a pod but a request: a start of the same id is none.
  EXPECT_THAT(
      launcher_->Start(request, {}),
      StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("without a shim")));
  EXPECT_TRUE(Alive(init));
  ASSERT_OK_AND_ASSIGN(auto pod,
                       launcher_->Recover(request.pod_id, request.runtime_dir,
                                          request.state_dir, {}));
  ASSERT_OK_AND_ASSIGN(PodExit exit, pod->WaitExit(kLong));
  EXPECT_EQ(exit.kind, Kind::kUnknown);
  EXPECT_FALSE(Alive(init));
  // The same again, from the record.
  ASSERT_OK_AND_ASSIGN(pod,
                       launcher_->Recover(request.pod_id, request.runtime_dir,
                                          request.state_dir, {}));
  EXPECT_EQ(pod->WaitExit(kLong)->kind, Kind::kUnknown);
}

TEST_F(LifecycleTest, RecoverFindsNoTrace) {
  BootRequest request = NewRequest();
  EXPECT_THAT(launcher_->Recover(request.pod_id, request.runtime_dir,
                                 request.state_dir, {}),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(
      launcher_->Recover("../etc", request.runtime_dir, request.state_dir, {}),
      StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(LifecycleTest, DestroyEndsARunningPod) {
  BootRequest request = NewRequest();
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  ASSERT_THAT(launcher_->Destroy(request.pod_id, request.runtime_dir), IsOk());
  EXPECT_FALSE(Alive(pod->init()));
  EXPECT_THAT(launcher_->ListCgroups().value(), IsEmpty());
  EXPECT_EQ(pod->WaitExit(kLong)->kind, Kind::kUnknown);
  EXPECT_THAT(launcher_->Destroy(request.pod_id, request.runtime_dir), IsOk());
}

TEST_F(LifecycleTest, StartsAgainAfterItsEnd) {
  BootRequest request = NewRequest();
  for (int i = 0; i < 2; ++i) {
    std::unique_ptr<PodProcess> pod = StartReady(request);
    ASSERT_NE(pod, nullptr);
    EXPECT_EQ(pod->Stop(Patience(absl::Seconds(30)))->kind, Kind::kPowerOff)
        << i;
  }
}

TEST_F(LifecycleTest, AShimServesSeveralClients) {
  BootRequest request = NewRequest();
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  std::string path = request.runtime_dir + "/shim.sock";
  struct stat st;
  ASSERT_EQ(stat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  // A second agent looks while the first goes on.
  ASSERT_OK_AND_ASSIGN(auto other, NewLauncher({.shim_path = ShimPath(),
                                                .cgroup_parent = cgroup_parent_,
                                                .unified_dir = UnifiedDir()}));
  ASSERT_OK_AND_ASSIGN(auto same,
                       other->Recover(request.pod_id, request.runtime_dir,
                                      request.state_dir, {}));
  EXPECT_EQ(same->init(), pod->init());
  EXPECT_EQ(same->Stop(Patience(absl::Seconds(30)))->kind, Kind::kPowerOff);
  EXPECT_EQ(pod->WaitExit(kLong)->kind, Kind::kPowerOff);
}

TEST_F(LifecycleTest, BootsTheStage1) {
  BootRequest request = NewRequest("stage1");
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  std::vector<BootPhase> phases = pod->phases();
  printf("stage1: exec +%.1f ms, ready +%.1f ms\n",
         absl::ToDoubleMilliseconds(phases[3].at - phases[0].at),
         absl::ToDoubleMilliseconds(phases[4].at - phases[0].at));
  EXPECT_EQ(pod->Stop(Patience(absl::Seconds(30)))->kind, Kind::kPowerOff);
}

TEST_F(LifecycleTest, StartsInTheHostsNetwork) {
  BootRequest request = NewRequest("stage1");
  request.netns_path = "";
  std::unique_ptr<PodProcess> pod = StartReady(request);
  ASSERT_NE(pod, nullptr);
  char ours[64] = "", theirs[64] = "";
  ASSERT_GT(readlink("/proc/self/ns/net", ours, sizeof(ours) - 1), 0);
  ASSERT_GT(readlink(absl::StrCat("/proc/", pod->init().pid, "/ns/net").c_str(),
                     theirs, sizeof(theirs) - 1),
            0);
  EXPECT_STREQ(ours, theirs);
  EXPECT_EQ(pod->Stop(Patience(absl::Seconds(30)))->kind, Kind::kPowerOff);
}

TEST_F(LifecycleTest, ManyAtOnce) {
  constexpr int kPods = 6;
  std::vector<BootRequest> requests;
  for (int i = 0; i < kPods; ++i) requests.push_back(NewRequest("stage1"));
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (const BootRequest& request : requests) {
    threads.emplace_back([&] {
      absl::StatusOr<std::unique_ptr<PodProcess>> pod =
          launcher_->Start(request, {});
      if (!pod.ok() || !(*pod)->WaitReady(kLong).ok()) return;
      absl::StatusOr<PodExit> exit = (*pod)->Stop(Patience(absl::Seconds(30)));
      if (exit.ok() && exit->kind == Kind::kPowerOff) ++good;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, kPods);
}

}  // namespace
}  // namespace davit::testing
