#ifndef DAVIT_AGENT_POD_PARALLEL_H_
#define DAVIT_AGENT_POD_PARALLEL_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <thread>
#include <vector>

namespace davit {

// Calls work(0) … work(count - 1) on at most `max_threads` threads made for it
// and returns when all are done.
inline void ParallelFor(size_t count, size_t max_threads,
                        const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  auto run = [&] {
    for (size_t i = next++; i < count; i = next++) work(i);
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(count, max_threads); ++i) {
    threads.emplace_back(run);
  }
  run();
  for (std::thread& thread : threads) thread.join();
}

}  // namespace davit

#endif  // DAVIT_AGENT_POD_PARALLEL_H_
