#ifndef DAVIT_AGENT_METRICS_METRICS_H_
#define DAVIT_AGENT_METRICS_METRICS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "net/pod_network.h"
#include "runtime/base/step_observer.h"

namespace prometheus {
class Collectable;
}

namespace davit {

// Every number that the agent exposes to Prometheus, and the only code that
// knows Prometheus. Names follow
// https://prometheus.io/docs/practices/naming/. Thread-safe.
//
//   davit_build_info{version,commit}                      1
//   davit_pods{state}                                     pods now
//   davit_leftovers                                       failed undos, retried
//   davit_pod_starts_total{outcome}                       "OK", "NOT_FOUND", …
//   davit_pod_start_seconds                               of good starts
//   davit_pod_start_phase_seconds{phase}                  "image" … "apps"
//   davit_pod_stop_seconds, davit_pod_remove_seconds
//   davit_cni_calls_total{plugin,command,outcome}
//   davit_cni_duration_seconds{plugin,command}
//   davit_networks{state}                                 "ok", "broken" now
//   davit_gc_removed_total{kind}                          things of nobody
//   davit_gc_failed_total{kind}                           … that stay
//   davit_rpc_requests_total{method,code}
//   davit_rpc_duration_seconds{method}                    streams until they
//   end process_*                                             of the agent
//   itself
class Metrics {
 public:
  Metrics(const std::string& version, const std::string& commit);
  ~Metrics();
  Metrics(const Metrics&) = delete;

  // Where the pods are counted, at each scrape. Call it before Collectables
  // are exposed; `list` lives until ClearPodSource, which waits for a scrape
  // under way.
  void SetPodSource(std::function<std::vector<Pod>()> list);
  void ClearPodSource();

  // Where the networks are counted, in the same way.
  void SetNetworkSource(std::function<std::vector<NetworkInfo>()> list);

  // For PodManager: phases of starts, and "start", "stop", "remove" as a whole.
  StepObserver* step_observer();
  CniObserver* cni_observer();

  // One thing that was found to be nobody's.
  void OnGarbage(const GarbageItem& item);

  // One finished rpc. `method` is one that exists: the set of series is
  // bounded.
  void OnRpc(const std::string& method, absl::Duration took,
             const absl::Status& outcome);

  // What an exposer serves. Valid while this object lives.
  std::vector<std::shared_ptr<prometheus::Collectable>> collectables() const;

  // All of it in Prometheus' text format, as an exposer would serve it.
  std::string Text() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace davit

#endif  // DAVIT_AGENT_METRICS_METRICS_H_
