#include "runtime/app/sigbus_guard.h"

#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include <mutex>

namespace davit {
namespace {

// Plain thread-locals of static storage: safe to use in a signal handler.
thread_local int guards = 0;
thread_local unsigned hits = 0;
struct sigaction previous;
uintptr_t page_size = 4096;

// Calls only mmap(2) and sigaction(2).
void OnSigbus(int number, siginfo_t* info, void* context) {
  if (guards > 0 && info->si_code == BUS_ADRERR) {
    uintptr_t page =
        reinterpret_cast<uintptr_t>(info->si_addr) & ~(page_size - 1);
    void* result =
        mmap(reinterpret_cast<void*>(page), page_size, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (result != MAP_FAILED) {
      ++hits;
      return;
    }
  }
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(number, info, context);
    return;
  }
  if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
    return;
  }
  // The default: the faulting access is repeated and ends the process.
  signal(SIGBUS, SIG_DFL);
}

void Install() {
  page_size = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  struct sigaction action = {};
  action.sa_sigaction = &OnSigbus;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &previous);
}

}  // namespace

SigbusGuard::SigbusGuard() : hits_before_(hits) {
  static std::once_flag once;
  std::call_once(once, &Install);
  ++guards;
}

SigbusGuard::~SigbusGuard() { --guards; }

bool SigbusGuard::Hit() const { return hits != hits_before_; }

}  // namespace davit
