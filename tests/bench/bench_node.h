#ifndef DAVIT_TESTS_BENCH_BENCH_NODE_H_
#define DAVIT_TESTS_BENCH_BENCH_NODE_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "runtime/base/unique_fd.h"
#include "tests/support/temp_dir.h"

namespace davit::testing {

// What one program was told to do, and how it went.
struct TimedCall {
  std::string path;
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string input;

  // Filled by Start and Finish.
  pid_t pid = -1;
  UniqueFd out;
  double milliseconds = 0;  // from before fork to after wait
  std::string output;
};

// Moves the calling thread, and so the whole single-threaded program, into a
// fresh network namespace that stands for the node, with lo up, and a mount
// namespace; everything made in them goes with the process. Ends the program if
// the kernel refuses: benchmarks need root.
void EnterBenchNode();

// Puts this program and what it starts under SCHED_FIFO (sched(7)), so that
// other work on the machine counts less. False if that is not allowed.
bool EnterRealTime();

// A fresh network namespace for a pod, pinned as a runtime pins it: hundreds of
// open descriptors would slow each start of a program. It goes with the object,
// unless an interface in it is in use elsewhere. After EnterBenchNode().
class BenchPod {
 public:
  BenchPod();
  ~BenchPod();
  BenchPod(const BenchPod&) = delete;
  BenchPod& operator=(const BenchPod&) = delete;
  std::string netns_path() const { return directory_ / "netns"; }

 private:
  TempDir directory_;
};

// Starts a program; its input and output are in memory, so neither waits.
void Start(TimedCall* call);
// Waits for its end. Ends this program, with the call's output, if it failed:
// a benchmark of failures says nothing.
void Finish(TimedCall* call);
// Both; returns the milliseconds.
double Run(TimedCall* call);

// Runs a tool of the test's set-up to its end, fed with `input`.
void RunTool(std::vector<std::string> argv, const std::string& input = "");

double NowMilliseconds();  // of the monotonic clock

// Prints to stderr and ends the program.
[[noreturn]] void Die(const std::string& why);

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_BENCH_NODE_H_
