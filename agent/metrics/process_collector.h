#ifndef DAVIT_AGENT_METRICS_PROCESS_COLLECTOR_H_
#define DAVIT_AGENT_METRICS_PROCESS_COLLECTOR_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace davit {

// The standard process_* metrics of this process, by the names of
// https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics,
// read from /proc/self (proc(5)) and getrlimit(2) at each scrape. What cannot
// be read is left out. Thread-safe.
class ProcessCollector : public prometheus::Collectable {
 public:
  std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace davit

#endif  // DAVIT_AGENT_METRICS_PROCESS_COLLECTOR_H_
