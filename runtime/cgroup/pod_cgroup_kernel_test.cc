#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/clone_process.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"
#include "runtime/cgroup/cgroup_fs.h"
#include "runtime/cgroup/hierarchy.h"
#include "runtime/cgroup/pod_cgroup.h"
#include "runtime/cgroup/quick_moves.h"
#include "runtime/cgroup/statistics.h"
#include "runtime/cgroup/unified_mount.h"
#include "tests/support/matchers.h"
#include "tests/support/slowdown.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::Patience;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::Contains;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

const absl::Duration kTimeout = Patience(absl::Seconds(10));

class PodCgroupKernelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    parent_ = absl::StrCat("davit-test-", getpid());
    ASSERT_OK_AND_ASSIGN(hierarchies_, DiscoverCgroupHierarchies());
    pure_v2_ = hierarchies_.size() == 1 && hierarchies_[0].v2;
    // Or no controller could be handed down to the pod.
    ASSERT_THAT(PrepareAgentCgroup(hierarchies_, parent_), IsOk());
    cgroup_ = PodCgroup::Plan(hierarchies_, parent_, id_, false);
  }
  void TearDown() override {
    EXPECT_THAT(cgroup_.KillAll(kTimeout), IsOk());
    Reap();
    EXPECT_THAT(cgroup_.Remove(), IsOk());
    if (pure_v2_) return;  // we are in there ourselves
    for (const CgroupHierarchy& hierarchy : hierarchies_) {
      EXPECT_FALSE(PathExists(hierarchy.own_dir + "/" + parent_));
    }
  }

  // A child that does `work` in the payload of `cgroup`; its status is the
  // child's end.
  static pid_t StartInPayload(const PodCgroup& cgroup,
                              const std::function<void()>& work) {
    absl::StatusOr<UniqueFd> payload = cgroup.OpenPayload();
    EXPECT_THAT(payload, IsOk());
    pid_t pid = CloneProcess(0, payload->get(), nullptr);
    EXPECT_GE(pid, 0);
    if (pid != 0) return pid;
    if (!cgroup.EnterPayload().ok()) _exit(1);
    work();
    _exit(0);
  }

  // A child in the v2 cgroup that is open as `born_in` (invalid: none) that
  // runs `enter` and then sleeps until it is killed; returns once it is inside.
  pid_t StartSleeper(absl::StatusOr<UniqueFd> born_in,
                     const std::function<absl::Status()>& enter) {
    int ready[2];
    EXPECT_EQ(pipe(ready), 0);
    EXPECT_THAT(born_in, IsOk());
    pid_t pid = CloneProcess(0, born_in->get(), nullptr);
    if (pid == 0) {
      char result = enter().ok() ? 'y' : 'n';
      if (write(ready[1], &result, 1) != 1) _exit(1);
      while (true) pause();
    }
    children_.push_back(pid);
    char result = 0;
    EXPECT_EQ(read(ready[0], &result, 1), 1);
    EXPECT_EQ(result, 'y');
    close(ready[0]);
    close(ready[1]);
    return pid;
  }

  pid_t StartSleeperInPayload() {
    return StartSleeper(cgroup_.OpenPayload(),
                        [&] { return cgroup_.EnterPayload(); });
  }

  // Wait statuses of all children.
  std::vector<int> Reap() {
    std::vector<int> statuses;
    for (pid_t pid : children_) {
      int status = 0;
      waitpid(pid, &status, 0);
      statuses.push_back(status);
    }
    children_.clear();
    return statuses;
  }

  const CgroupDir* Find(const std::string& controller) {
    for (const CgroupDir& dir : cgroup_.dirs()) {
      if (controller.empty() ? dir.v2 : dir.Has(controller)) return &dir;
    }
    return nullptr;
  }

  // What a file of a controller's base holds, without the newline.
  std::string Holds(const std::string& controller, const std::string& file) {
    const CgroupDir* dir = cgroup_.WithController(controller);
    if (dir == nullptr) return "no " + controller;
    std::string text =
        ReadFile(absl::StrCat(dir->base, "/", file)).value_or("no file");
    return std::string(absl::StripAsciiWhitespace(text));
  }
  bool OnV1() { return Find("memory") != nullptr; }

  std::string parent_;
  bool pure_v2_ = false;
  std::string id_ = NewUuid();
  std::vector<CgroupHierarchy> hierarchies_;
  PodCgroup cgroup_;
  std::vector<pid_t> children_;
};

TEST_F(PodCgroupKernelTest, CreatesEntersAndTells) {
  EXPECT_FALSE(cgroup_.Exists());
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_THAT(cgroup_.Create(), IsOk());  // takes over what is there
  EXPECT_TRUE(cgroup_.Exists());
  EXPECT_FALSE(cgroup_.IsPopulated().value());
  pid_t pid = StartSleeperInPayload();
  EXPECT_TRUE(cgroup_.IsPopulated().value());
  ASSERT_OK_AND_ASSIGN(std::string membership,
                       ReadFile(absl::StrCat("/proc/", pid, "/cgroup")));
  for (const CgroupDir& dir : cgroup_.dirs()) {
    EXPECT_THAT(ListProcesses(dir.payload).value(), Contains(pid))
        << dir.payload;
  }
  EXPECT_THAT(ListPodCgroups(hierarchies_, parent_).value(), Contains(id_));
}

// What posix_spawn(3) does, and the cgroup.
TEST_F(PodCgroupKernelTest, StartsAProgramInItsCgroup) {
  if (Find("") == nullptr) GTEST_SKIP() << "no v2 hierarchy on this machine";
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_OK_AND_ASSIGN(UniqueFd supervisor, cgroup_.OpenSupervisor());
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  UniqueFd read_end(ends[0]), write_end(ends[1]);
  UniqueFd ours(fcntl(write_end.get(), F_DUPFD, 0));  // inheritable
  signal(SIGUSR1, SIG_IGN);
  SubprocessSpec spec;
  spec.path = "/bin/sh";
  spec.argv = {"sh", "-c",
               "cat /proc/self/cgroup >&4; ls /proc/self/fd >&4; "
               "grep -E 'Sig(Ign|Blk)' /proc/self/status >&4; sleep 1000"};
  spec.env = {"PATH=/usr/bin:/bin"};
  spec.fds = {{write_end.get(), 4}};
  spec.cgroup_fd = supervisor.get();
  ASSERT_OK_AND_ASSIGN(pid_t pid, StartDetached(spec));
  children_.push_back(pid);
  EXPECT_EQ(getsid(pid), pid);
  EXPECT_THAT(ListProcesses(Find("")->supervisor).value(), Contains(pid));
  write_end.Reset();
  ours.Reset();
  std::string said;
  while (said.find("SigIgn") == said.npos) {
    char heard[4096];
    ssize_t n = read(read_end.get(), heard, sizeof(heard));
    ASSERT_GT(n, 0) << said;
    said.append(heard, static_cast<size_t>(n));
  }
  signal(SIGUSR1, SIG_DFL);
  // 3 is the directory that ls has open.
  EXPECT_THAT(said, HasSubstr("/supervisor\n0\n1\n2\n3\n4\n"));
  EXPECT_THAT(said, HasSubstr("SigBlk:\t0000000000000000\n"));
  // glibc's own two signals may have been ignored before.
  EXPECT_THAT(said, ContainsRegex("SigIgn:\t0000000[01][08]0000000\n"));
}

TEST_F(PodCgroupKernelTest, StartsNoProgramThatIsNotThere) {
  if (Find("") == nullptr) GTEST_SKIP() << "no v2 hierarchy on this machine";
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_OK_AND_ASSIGN(UniqueFd supervisor, cgroup_.OpenSupervisor());
  SubprocessSpec spec;
  spec.path = "/nonexistent/program";
  spec.argv = {"program"};
  spec.cgroup_fd = supervisor.get();
  EXPECT_THAT(StartDetached(spec),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(spec.path)));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
  spec.path = "/bin/true";
  spec.cgroup_fd = open("/", O_RDONLY | O_CLOEXEC);
  UniqueFd no_cgroup(spec.cgroup_fd);
  EXPECT_THAT(StartDetached(spec),
              StatusIs(absl::StatusCode::kFailedPrecondition,  // EBADF

                       HasSubstr("clone3")));
}

// As systemd does with a scope that has ended, while we end the pod.
TEST_F(PodCgroupKernelTest, ListsWhatSomebodyElseRemoves) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  for (const CgroupDir& dir : cgroup_.dirs()) {
    const std::string below = dir.base + "/below";
    std::atomic<bool> done = false;
    std::thread other([&] {
      while (!done) {
        for (const char* end : {"", "/a", "/a/b"}) {
          mkdir((below + end).c_str(), 0755);
        }
        for (const char* end : {"/a/b", "/a", ""}) {
          rmdir((below + end).c_str());
        }
      }
    });
    absl::Status listed;
    for (int i = 0; i < 500; ++i) {
      listed.Update(ListProcesses(dir.base).status());
      listed.Update(ListProcesses(below).status());
    }
    done = true;
    other.join();
    EXPECT_THAT(listed, IsOk()) << dir.base;
  }
}

TEST_F(PodCgroupKernelTest, MovesNowhere) {
  ASSERT_OK_AND_ASSIGN(std::string before, ReadFile("/proc/self/cgroup"));
  absl::Status moved = MoveNowhere(hierarchies_);
  ASSERT_OK_AND_ASSIGN(std::string after, ReadFile("/proc/self/cgroup"));
  EXPECT_EQ(after, before);
  if (Find("") == nullptr) {
    EXPECT_THAT(moved, StatusIs(absl::StatusCode::kFailedPrecondition));
    return;
  }
  EXPECT_THAT(moved, IsOk());
  // One that is elsewhere by now stays there.
  ASSERT_THAT(cgroup_.Create(), IsOk());
  std::vector<CgroupHierarchy> elsewhere = {
      {.v2 = true, .own_dir = Find("")->payload}};
  EXPECT_FALSE(MoveNowhere(elsewhere).ok());
  EXPECT_EQ(ReadFile("/proc/self/cgroup").value(), before);
}

TEST_F(PodCgroupKernelTest, WritesLimits) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_THAT(
      cgroup_.SetLimits(
          {.memory_max_bytes = 64 << 20, .cpu_millis = 250, .pids_max = 33}),
      IsOk());
  const CgroupDir* memory = Find("memory");
  if (memory != nullptr) {
    EXPECT_EQ(ReadNumber(memory->base + "/memory.limit_in_bytes").value(),
              64 << 20);
    EXPECT_EQ(ReadNumber(Find("cpu")->base + "/cpu.cfs_quota_us").value(),
              25000);
    EXPECT_EQ(ReadNumber(Find("pids")->base + "/pids.max").value(), 33);
  } else {
    const CgroupDir* unified = Find("");
    EXPECT_EQ(ReadNumber(unified->base + "/memory.max").value(), 64 << 20);
    EXPECT_EQ(ReadFile(unified->base + "/cpu.max").value(), "25000 100000\n");
    EXPECT_EQ(ReadNumber(unified->base + "/pids.max").value(), 33);
  }
}

TEST_F(PodCgroupKernelTest, WritesEveryOtherLimit) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  CgroupLimits limits = {.memory_max_bytes = 64 << 20,
                         .memory_high_bytes = 32 << 20,
                         .memory_swap_max_bytes = 1 << 20,
                         .cpu_weight = 50};
  ASSERT_THAT(cgroup_.SetLimits(limits), IsOk());
  if (OnV1()) {
    EXPECT_EQ(Holds("memory", "memory.soft_limit_in_bytes"), "33554432");
    EXPECT_EQ(Holds("memory", "memory.memsw.limit_in_bytes"), "68157440");
    EXPECT_EQ(Holds("cpu", "cpu.shares"), "512");
  } else {
    EXPECT_EQ(Holds("memory", "memory.high"), "33554432");
    EXPECT_EQ(Holds("memory", "memory.swap.max"), "1048576");
    EXPECT_EQ(Holds("cpu", "cpu.weight"), "50");
  }
}

TEST_F(PodCgroupKernelTest, LimitsCpusAndLiftsThat) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  absl::Status set = cgroup_.SetLimits({.cpuset_cpus = "0"});
  if (absl::IsFailedPrecondition(set)) {
    GTEST_SKIP() << "no cpuset controller for us: " << set.message();
  }
  ASSERT_THAT(set, IsOk());
  EXPECT_EQ(Holds("cpuset", "cpuset.cpus"), "0");
  ASSERT_THAT(cgroup_.ChangeLimits({}), IsOk());
  // v2 has a word for no limit; v1 has what the directory above has, which on a
  // machine of one processor is "0" again.
  EXPECT_EQ(Holds("cpuset", "cpuset.cpus"),
            OnV1() ? Holds("cpuset", "../cpuset.cpus") : "");
}

// Up, down and away, in the order in which v1 would refuse the plain writes.
TEST_F(PodCgroupKernelTest, ChangesLimitsOfARunningPod) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  StartSleeperInPayload();
  std::string file = OnV1() ? "memory.limit_in_bytes" : "memory.max";
  for (uint64_t mib : {64, 32, 128}) {
    ASSERT_THAT(cgroup_.ChangeLimits({.memory_max_bytes = mib << 20,
                                      .memory_swap_max_bytes = 1 << 20,
                                      .cpu_millis = mib * 10,
                                      .pids_max = mib}),
                IsOk())
        << mib;
    EXPECT_EQ(Holds("memory", file), absl::StrCat(mib << 20));
    EXPECT_EQ(Holds("pids", "pids.max"), absl::StrCat(mib));
  }
  ASSERT_THAT(cgroup_.ChangeLimits({}), IsOk());
  EXPECT_EQ(Holds("pids", "pids.max"), "max");
  if (OnV1()) {
    EXPECT_EQ(Holds("cpu", "cpu.cfs_quota_us"), "-1");
    EXPECT_GT(ReadNumber(Find("memory")->base + "/" + file).value(),
              int64_t{1} << 50);
  } else {
    EXPECT_EQ(Holds("cpu", "cpu.max"), "max 100000");
    EXPECT_EQ(Holds("memory", file), "max");
  }
}

TEST_F(PodCgroupKernelTest, LimitsABlockDevice) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  // A disk of this machine; partitions cannot be limited.
  std::string device;
  for (const char* disk : {"vda", "sda", "nvme0n1", "loop0"}) {
    device = ReadFile(absl::StrCat("/sys/block/", disk, "/dev")).value_or("");
    if (!device.empty()) break;
  }
  if (device.empty()) GTEST_SKIP() << "no block device known to this test";
  IoLimit limit = {.read_bytes_per_second = 1 << 20,
                   .write_ops_per_second = 100};
  ASSERT_EQ(sscanf(device.c_str(), "%u:%u", &limit.major, &limit.minor), 2);
  ASSERT_THAT(cgroup_.SetLimits({.io_max = {limit}}), IsOk());
  std::string name = absl::StrCat(limit.major, ":", limit.minor);
  if (OnV1()) {
    EXPECT_EQ(Holds("blkio", "blkio.throttle.read_bps_device"),
              name + " 1048576");
    EXPECT_EQ(Holds("blkio", "blkio.throttle.write_iops_device"),
              name + " 100");
  } else {
    EXPECT_EQ(Holds("io", "io.max"),
              name + " rbps=1048576 wbps=max riops=max wiops=100");
  }
}

TEST_F(PodCgroupKernelTest, FreezesAndThaws) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  int pipes[2];
  ASSERT_EQ(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
  children_.push_back(StartInPayload(cgroup_, [&] {
    // Says that it runs, again and again.
    while (write(pipes[1], "x", 1) != 0) usleep(1000);
  }));
  auto runs = [&] {
    char heard[4096];
    while (read(pipes[0], heard, sizeof(heard)) > 0) {
    }
    pollfd event = {pipes[0], POLLIN, 0};
    return poll(&event, 1, 500) == 1;
  };
  EXPECT_TRUE(runs());
  absl::Status frozen = cgroup_.Freeze(kTimeout);
  if (absl::IsFailedPrecondition(frozen)) {
    GTEST_SKIP() << "nothing can freeze here: " << frozen.message();
  }
  ASSERT_THAT(frozen, IsOk());
  EXPECT_THAT(cgroup_.Freeze(kTimeout), IsOk()) << "again";
  EXPECT_FALSE(runs());
  ASSERT_THAT(cgroup_.Thaw(), IsOk());
  EXPECT_TRUE(runs());
  // A frozen pod can be killed.
  ASSERT_THAT(cgroup_.Freeze(kTimeout), IsOk());
  EXPECT_THAT(cgroup_.Kill(kTimeout), IsOk());
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(PodCgroupKernelTest, CountsWhatAPodUses) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_THAT(cgroup_.SetLimits({.cpu_millis = 100}), IsOk());
  pid_t child = StartInPayload(cgroup_, [] {
    constexpr size_t kBytes = 16 << 20;
    volatile char* memory = static_cast<char*>(malloc(kBytes));
    for (size_t i = 0; i < kBytes; i += 4096) memory[i] = 1;
    // A tenth of a processor for 50 ms of work: throttled for sure.
    timespec used = {};
    while (used.tv_sec == 0 && used.tv_nsec < 50 * 1000 * 1000) {
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    }
  });
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_OK_AND_ASSIGN(CgroupStatistics got, ReadStatistics(cgroup_));
  EXPECT_GE(got.cpu_usec, 40000);
  EXPECT_GE(got.cpu_throttled_periods, 1);
  EXPECT_GT(got.cpu_throttled_usec, 0);
  EXPECT_EQ(got.tasks, 0);
  // Linux 5.19 brought memory.peak.
  if (got.memory_peak_bytes >= 0) {
    EXPECT_GE(got.memory_peak_bytes, 16 << 20);
  }
  EXPECT_EQ(got.oom_kills, 0);
  if (PathExists("/proc/pressure/cpu") && Find("") != nullptr &&
      PathExists(Find("")->base + "/cpu.pressure")) {
    EXPECT_TRUE(got.cpu_pressure.has_value());
  }
}

TEST_F(PodCgroupKernelTest, KillsThePayloadAndSparesTheSupervisor) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  for (int i = 0; i < 5; ++i) {
    StartSleeperInPayload();
  }
  ASSERT_THAT(cgroup_.Kill(kTimeout), IsOk());
  EXPECT_FALSE(cgroup_.IsPopulated().value());
  for (int status : Reap()) EXPECT_EQ(WTERMSIG(status), SIGKILL);
  pid_t shim = StartSleeper(cgroup_.OpenSupervisor(),
                            [&] { return cgroup_.EnterSupervisor(); });
  ASSERT_THAT(cgroup_.Kill(kTimeout), IsOk());
  EXPECT_EQ(kill(shim, 0), 0);
  EXPECT_THAT(cgroup_.Remove(),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

// What happens on a host without cgroup v2.
TEST_F(PodCgroupKernelTest, KillsByFreezerWithoutV2) {
  std::vector<CgroupDir> v1;
  for (const CgroupDir& dir : cgroup_.dirs()) {
    if (!dir.v2) v1.push_back(dir);
  }
  if (v1.empty()) GTEST_SKIP() << "no v1 hierarchy on this machine";
  PodCgroup legacy(v1);
  ASSERT_THAT(legacy.Create(), IsOk());
  // Forks for ever: a plain list-and-kill would chase it.
  StartSleeper(legacy.OpenPayload(), [&] {
    RETURN_IF_ERROR(legacy.EnterPayload());
    if (fork() == 0) {
      while (true) {
        pid_t child = fork();
        if (child == 0) continue;
        if (child > 0) waitpid(child, nullptr, WNOHANG);
        if (child < 0) usleep(1000);
      }
    }
    return absl::OkStatus();
  });
  ASSERT_THAT(legacy.SetLimits({.pids_max = 50}), IsOk());
  EXPECT_TRUE(legacy.IsPopulated().value());
  ASSERT_THAT(legacy.Kill(kTimeout), IsOk());
  EXPECT_FALSE(legacy.IsPopulated().value());
}

TEST_F(PodCgroupKernelTest, RemovesWhatThePodMadeHoweverDeep) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  const CgroupDir* dir = Find("") != nullptr ? Find("") : Find("name=systemd");
  ASSERT_NE(dir, nullptr);
  // Deeper than PATH_MAX and than our descriptors.
  std::string here = dir->payload;
  ASSERT_EQ(chdir(here.c_str()), 0);
  std::string name(200, 'x');
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(mkdir(name.c_str(), 0755), 0) << i << " " << strerror(errno);
    ASSERT_EQ(mkdir("side", 0755), 0);
    ASSERT_EQ(chdir(name.c_str()), 0);
  }
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_THAT(cgroup_.Remove(), IsOk());
  EXPECT_FALSE(cgroup_.Exists());
  EXPECT_THAT(cgroup_.Remove(), IsOk());  // again
}

TEST_F(PodCgroupKernelTest, ManyPodsShareTheirParent) {
  // Removal of one races with creation of the other: the shared parent comes
  // and goes.
  pid_t child = fork();
  if (child == 0) {
    PodCgroup other = PodCgroup::Plan(hierarchies_, parent_, NewUuid(), false);
    for (int i = 0; i < 100; ++i) {
      if (!other.Create().ok() || !other.Remove().ok()) _exit(1);
    }
    _exit(0);
  }
  for (int i = 0; i < 100; ++i) {
    ASSERT_THAT(cgroup_.Create(), IsOk()) << i;
    ASSERT_THAT(cgroup_.Remove(), IsOk()) << i;
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(PodCgroupKernelTest, NothingToKillIsFine) {
  EXPECT_THAT(cgroup_.Kill(kTimeout), IsOk());
  EXPECT_THAT(cgroup_.KillAll(kTimeout), IsOk());
  EXPECT_FALSE(cgroup_.IsPopulated().value());
  EXPECT_EQ(cgroup_.OomKills(), 0);
}

TEST_F(PodCgroupKernelTest, CountsOomKills) {
  ASSERT_THAT(cgroup_.Create(), IsOk());
  ASSERT_THAT(cgroup_.SetLimits({.memory_max_bytes = 8 << 20}), IsOk());
  pid_t child = StartInPayload(cgroup_, [] {
    size_t size = 64 << 20;
    volatile char* memory = static_cast<char*>(malloc(size));
    for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
  });
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(cgroup_.OomKills(), 1);
}

// On a host that mounts no v2 we have our own, which goes with the last of us
// but not while there is a pod.
TEST_F(PodCgroupKernelTest, MountsV2WhereTheHostHasNone) {
  for (const CgroupHierarchy& hierarchy : hierarchies_) {
    if (hierarchy.v2) GTEST_SKIP() << "this machine has mounted cgroup v2";
  }
  TempDir directory;
  const std::string unified = directory / "unified";
  {
    ASSERT_OK_AND_ASSIGN(auto mount, UnifiedMount::Make(unified, parent_));
    EXPECT_TRUE(PathExists(unified + "/cgroup.procs"));
    EXPECT_EQ(mount->hierarchy().own_dir, unified);
    EXPECT_EQ(*DiscoverCgroupHierarchies(), hierarchies_);
    PodCgroup pod({PlanBeside(mount->hierarchy(), parent_, id_)});
    ASSERT_THAT(pod.Create(), IsOk());
    EXPECT_TRUE(PathExists(pod.Unified()->payload + "/cgroup.events"));
    mount.reset();
    ASSERT_OK_AND_ASSIGN(mount, UnifiedMount::Make(unified, parent_));
    EXPECT_TRUE(pod.Exists());
    EXPECT_THAT(pod.Remove(), IsOk());
  }
  EXPECT_FALSE(PathExists(unified + "/cgroup.procs"));
}

// A pure v2 layout, made below our own cgroup: the agent steps into its leaf,
// and what the pod gets below is a v2 cgroup with handed-down controllers.
TEST_F(PodCgroupKernelTest, StepsAsideOnPureV2) {
  std::vector<CgroupHierarchy> pure;
  for (CgroupHierarchy hierarchy : hierarchies_) {
    if (!hierarchy.v2) continue;
    hierarchy.own_dir += absl::StrCat("/", parent_, "-pure");
    pure.push_back(hierarchy);
  }
  if (pure.empty()) GTEST_SKIP() << "no v2 hierarchy on this machine";
  std::string home = pure[0].own_dir;
  ASSERT_EQ(mkdir(home.c_str(), 0755), 0);
  PodCgroup pod = PodCgroup::Plan(pure, "davit", id_, true);
  pid_t child = fork();
  if (child == 0) {
    if (!WriteKernelFile(home + "/cgroup.procs", "0").ok()) _exit(1);
    if (!PrepareAgentCgroup(pure, "davit").ok()) _exit(2);
    if (!pod.Create().ok()) _exit(3);
    absl::StatusOr<UniqueFd> supervisor = pod.OpenSupervisor();
    if (!supervisor.ok()) _exit(4);
    pid_t shim = CloneProcess(0, supervisor->get(), nullptr);
    if (shim == 0) {
      if (!pod.LeaveSupervisor().ok()) _exit(5);
      std::vector<pid_t> agent =
          ListProcesses(home + "/davit/agent").value_or(std::vector<pid_t>());
      if (std::count(agent.begin(), agent.end(), getpid()) != 1) _exit(6);
      _exit(0);
    }
    int end = 0;
    waitpid(shim, &end, 0);
    if (end != 0) _exit(WEXITSTATUS(end));
    absl::StatusOr<UniqueFd> payload = pod.OpenPayload();
    if (!payload.ok()) _exit(7);
    pid_t init = CloneProcess(0, payload->get(), nullptr);
    if (init == 0) _exit(0);
    waitpid(init, &end, 0);
    _exit(init < 0 ? 8 : WEXITSTATUS(end));
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  ASSERT_OK_AND_ASSIGN(std::string available,
                       ReadFile(home + "/cgroup.controllers"));
  ASSERT_OK_AND_ASSIGN(std::string handed,
                       ReadFile(pod.dirs()[0].payload + "/cgroup.controllers"));
  EXPECT_EQ(handed, available);
  EXPECT_THAT(pod.Remove(), IsOk());
  EXPECT_THAT(RemoveCgroupTree(home), IsOk());
}

}  // namespace
}  // namespace davit
