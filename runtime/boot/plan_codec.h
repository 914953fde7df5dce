#ifndef DAVIT_RUNTIME_BOOT_PLAN_CODEC_H_
#define DAVIT_RUNTIME_BOOT_PLAN_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/boot/launch_plan.h"

namespace davit {

// A plan as bytes (proto/internal/launch/v1/launch_plan.proto) and back.
std::string EncodeLaunchPlan(const LaunchPlan& plan);
// DataLoss if `bytes` is no plan or one without root, argv or pod id.
absl::StatusOr<LaunchPlan> DecodeLaunchPlan(absl::string_view bytes);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_PLAN_CODEC_H_
