#ifndef DAVIT_RUNTIME_BASE_STEP_OBSERVER_H_
#define DAVIT_RUNTIME_BASE_STEP_OBSERVER_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace davit {

// Hears how long each step of a pod's start, stop or network call took, so
// that the lower layers need not know Prometheus. Implementations must be
// thread-safe; callers own the observer and outlive the work.
class StepObserver {
 public:
  virtual ~StepObserver() = default;

  // `step` is a stable lower_snake_case name ("overlay", "netns", "cni_add").
  virtual void OnStep(absl::string_view step, absl::Duration took,
                      const absl::Status& outcome) = 0;
};

// Runs `work` (returning absl::Status or StatusOr) and reports it.
template <typename Work>
auto ObserveStep(StepObserver* observer, absl::string_view step, Work work) {
  absl::Time start = absl::Now();
  auto result = work();
  if (observer != nullptr) {
    if constexpr (std::is_same_v<decltype(result), absl::Status>) {
      observer->OnStep(step, absl::Now() - start, result);
    } else {
      observer->OnStep(step, absl::Now() - start, result.status());
    }
  }
  return result;
}

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_STEP_OBSERVER_H_
