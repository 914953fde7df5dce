#ifndef DAVIT_AGENT_METRICS_EXPOSER_H_
#define DAVIT_AGENT_METRICS_EXPOSER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "agent/metrics/metrics.h"

namespace prometheus {
class Exposer;
}

namespace davit {

// Serves Metrics as HTTP GET /metrics, in two threads of its own, until it is
// destroyed.
class MetricsExposer {
 public:
  // `address` is host:port; port 0 takes a free one. `metrics` outlives the
  // exposer. FailedPrecondition if the address cannot be listened on; names it.
  static absl::StatusOr<std::unique_ptr<MetricsExposer>> Start(
      const std::string& address, const Metrics& metrics);

  ~MetricsExposer();

  int port() const;

 private:
  explicit MetricsExposer(std::unique_ptr<prometheus::Exposer> exposer);
  const std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_METRICS_EXPOSER_H_
