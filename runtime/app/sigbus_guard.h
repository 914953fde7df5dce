#ifndef DAVIT_RUNTIME_APP_SIGBUS_GUARD_H_
#define DAVIT_RUNTIME_APP_SIGBUS_GUARD_H_

namespace davit {

// Lets this thread read memory maps of files that a stranger may truncate. A
// map beyond the end of its file raises SIGBUS (mmap(2)), which would end the
// process; while a guard is alive on the thread, the page is replaced by zeros
// instead and the reader goes on, to find nonsense. Other threads, and SIGBUS
// for any other reason, keep what was set up before. Guards may nest.
class SigbusGuard {
 public:
  SigbusGuard();
  ~SigbusGuard();
  SigbusGuard(const SigbusGuard&) = delete;
  SigbusGuard& operator=(const SigbusGuard&) = delete;

  // Whether a page was replaced on this thread since the guard was made.
  bool Hit() const;

 private:
  const unsigned hits_before_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_SIGBUS_GUARD_H_
