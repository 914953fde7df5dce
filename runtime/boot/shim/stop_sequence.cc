#include "runtime/boot/shim/stop_sequence.h"

#include <algorithm>

namespace davit {
namespace {

// systemd before 254 does not tell when it can take signals, and a pod that
// never gets ready must be stoppable too.
constexpr absl::Duration kPatience = absl::Seconds(1);
constexpr absl::Duration kResend = absl::Seconds(1);

}  // namespace

void StopSequence::Request(absl::Time now, absl::Duration grace) {
  if (!requested_) requested_at_ = now;
  requested_ = true;
  deadline_ = std::min(deadline_, now + grace);
}

absl::Time StopSequence::FirstSignal() const {
  return can_take_signal_ ? requested_at_ : requested_at_ + kPatience;
}

absl::Time StopSequence::next_wakeup() const {
  if (!requested_ || killed_) return absl::InfiniteFuture();
  if (stopping_) return deadline_;
  return std::min(deadline_, std::max(FirstSignal(), last_signal_ + kResend));
}

StopSequence::Action StopSequence::Next(absl::Time now) {
  if (!requested_ || killed_) return Action::kNone;
  if (now >= deadline_) {
    killed_ = true;
    return Action::kKill;
  }
  if (stopping_ || now < next_wakeup()) return Action::kNone;
  last_signal_ = now;
  return Action::kSignal;
}

}  // namespace davit
