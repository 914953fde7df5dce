#include "agent/metrics/exposer.h"

#include <prometheus/exposer.h>

#include <exception>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace davit {

MetricsExposer::MetricsExposer(std::unique_ptr<prometheus::Exposer> exposer)
    : exposer_(std::move(exposer)) {}

MetricsExposer::~MetricsExposer() = default;

absl::StatusOr<std::unique_ptr<MetricsExposer>> MetricsExposer::Start(
    const std::string& address, const Metrics& metrics) {
  std::unique_ptr<prometheus::Exposer> exposer;
  try {
    exposer = std::make_unique<prometheus::Exposer>(address);
  } catch (const std::exception& error) {
    // CivetWeb knows no more than that it failed, and says so for every cause.
    return absl::FailedPreconditionError(
        absl::StrCat("listen on ", address, " for metrics: ", error.what(),
                     " (is the port taken?)"));
  }
  for (const auto& collectable : metrics.collectables()) {
    exposer->RegisterCollectable(collectable);
  }
  return absl::WrapUnique(new MetricsExposer(std::move(exposer)));
}

int MetricsExposer::port() const {
  return exposer_->GetListeningPorts().front();
}

}  // namespace davit
