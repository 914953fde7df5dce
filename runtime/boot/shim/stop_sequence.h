#ifndef DAVIT_RUNTIME_BOOT_SHIM_STOP_SEQUENCE_H_
#define DAVIT_RUNTIME_BOOT_SHIM_STOP_SEQUENCE_H_

#include "absl/time/time.h"

namespace davit {

// When to do what to stop a systemd: SIGRTMIN+3 as soon as PID 1 can take it
// (systemd loses the signal in its first 20 ms), again every second until it
// says that it is stopping, and at the end of the grace kill it all. Pure: time
// comes in, actions go out. Any clock that does not jump will do.
class StopSequence {
 public:
  enum class Action { kNone, kSignal, kKill };

  // A further request may shorten the grace, never lengthen it.
  void Request(absl::Time now, absl::Duration grace);
  // READY=1 or X_SYSTEMD_SIGNALS_LEVEL=2 came in.
  void OnCanTakeSignal() { can_take_signal_ = true; }
  // STOPPING=1 came in.
  void OnStopping() { stopping_ = true; }

  bool requested() const { return requested_; }

  // What to do now; call it until it says kNone.
  Action Next(absl::Time now);
  // When to call Next again, if nothing happens before.
  absl::Time next_wakeup() const;

 private:
  absl::Time FirstSignal() const;

  bool requested_ = false;
  bool can_take_signal_ = false;
  bool stopping_ = false;
  bool killed_ = false;
  absl::Time requested_at_;
  absl::Time deadline_ = absl::InfiniteFuture();
  absl::Time last_signal_ = absl::InfinitePast();
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_SHIM_STOP_SEQUENCE_H_
