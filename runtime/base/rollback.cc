#include "runtime/base/rollback.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace davit {

void Rollback::Add(std::string name, Undo undo) {
  steps_.push_back({std::move(name), std::move(undo)});
}

absl::Status Rollback::Run() {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::vector<std::string> failures;
  while (!steps_.empty()) {
    Step step = std::move(steps_.back());
    steps_.pop_back();
    absl::Status status = step.undo();
    if (status.ok()) continue;
    if (failures.empty()) code = status.code();
    failures.push_back(absl::StrCat(step.name, ": ", status.message()));
  }
  return absl::Status(code, absl::StrJoin(failures, "; "));
}

}  // namespace davit
