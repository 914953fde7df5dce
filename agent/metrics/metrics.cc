#include "agent/metrics/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <map>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/synchronization/mutex.h"
#include "agent/metrics/process_collector.h"

namespace davit {
namespace {

using ::prometheus::BuildCounter;
using ::prometheus::BuildGauge;
using ::prometheus::BuildHistogram;
using ::prometheus::ClientMetric;
using ::prometheus::Counter;
using ::prometheus::Family;
using ::prometheus::Histogram;
using ::prometheus::MetricFamily;
using ::prometheus::MetricType;
using ::prometheus::Registry;

using Buckets = Histogram::BucketBoundaries;

// Seconds. A start takes tenths of a second to a minute, its phases down to
// fractions of a millisecond.
const Buckets& StartBuckets() {
  static const auto& buckets =
      *new Buckets{0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60};
  return buckets;
}

const Buckets& StepBuckets() {
  static const auto& buckets =
      *new Buckets{0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                   0.1,    0.25,   0.5,   1,      2.5,   5,    10,    30};
  return buckets;
}

std::string CodeName(const absl::Status& status) {
  return absl::StatusCodeToString(status.code());
}

std::string StateLabel(PodState state) {
  return absl::AsciiStrToLower(PodStateName(state));
}

MetricFamily GaugeFamily(const char* name, const char* help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = MetricType::Gauge;
  return family;
}

// Counts pods when it is asked, so that no count can be wrong.
class PodCollector : public prometheus::Collectable {
 public:
  void SetSource(std::function<std::vector<Pod>()> list) {
    absl::MutexLock lock(&mutex_);
    list_ = std::move(list);
  }

  std::vector<MetricFamily> Collect() const override {
    std::map<PodState, int> counts;
    for (int state = 0; state <= static_cast<int>(PodState::kRemoving);
         ++state) {
      counts[static_cast<PodState>(state)] = 0;
    }
    int leftovers = 0;
    for (const Pod& pod : List()) {
      ++counts[pod.status.state];
      for (const Intent& intent : pod.intents) {
        leftovers += intent.error.empty() ? 0 : 1;
      }
    }
    return {PodsFamily(counts), LeftoversFamily(leftovers)};
  }

 private:
  std::vector<Pod> List() const {
    absl::MutexLock lock(&mutex_);
    return list_ ? list_() : std::vector<Pod>();
  }

  static MetricFamily PodsFamily(const std::map<PodState, int>& counts) {
    MetricFamily family = GaugeFamily("davit_pods", "Pods by state.");
    for (const auto& [state, count] : counts) {
      ClientMetric metric;
      metric.label = {{"state", StateLabel(state)}};
      metric.gauge.value = count;
      family.metric.push_back(std::move(metric));
    }
    return family;
  }

  static MetricFamily LeftoversFamily(int leftovers) {
    MetricFamily family = GaugeFamily(
        "davit_leftovers",
        "Side effects of pods whose undo has failed and is retried.");
    family.metric.emplace_back();
    family.metric.back().gauge.value = leftovers;
    return family;
  }

  mutable absl::Mutex mutex_;
  std::function<std::vector<Pod>()> list_ ABSL_GUARDED_BY(mutex_);
};

// The same for networks.
class NetworkCollector : public prometheus::Collectable {
 public:
  void SetSource(std::function<std::vector<NetworkInfo>()> list) {
    absl::MutexLock lock(&mutex_);
    list_ = std::move(list);
  }

  std::vector<MetricFamily> Collect() const override {
    std::map<std::string, int> counts = {{"ok", 0}, {"broken", 0}};
    {
      absl::MutexLock lock(&mutex_);
      if (!list_) return {};
      for (const NetworkInfo& network : list_()) {
        ++counts[network.error.empty() ? "ok" : "broken"];
      }
    }
    MetricFamily family =
        GaugeFamily("davit_networks", "Network configurations by state.");
    for (const auto& [state, count] : counts) {
      ClientMetric metric;
      metric.label = {{"state", state}};
      metric.gauge.value = count;
      family.metric.push_back(std::move(metric));
    }
    return {family};
  }

 private:
  mutable absl::Mutex mutex_;
  std::function<std::vector<NetworkInfo>()> list_ ABSL_GUARDED_BY(mutex_);
};

class Garbage {
 public:
  explicit Garbage(Registry& registry)
      : removed_(BuildCounter()
                     .Name("davit_gc_removed_total")
                     .Help("Things that were nobody's and have been removed.")
                     .Register(registry)),
        failed_(BuildCounter()
                    .Name("davit_gc_failed_total")
                    .Help("Things that are nobody's and could not be removed.")
                    .Register(registry)) {}

  void OnItem(const GarbageItem& item) {
    (item.outcome.ok() ? removed_ : failed_)
        .Add({{"kind", item.kind}})
        .Increment();
  }

 private:
  Family<Counter>& removed_;
  Family<Counter>& failed_;
};

class PodSteps : public StepObserver {
 public:
  explicit PodSteps(Registry& registry)
      : starts_(BuildCounter()
                    .Name("davit_pod_starts_total")
                    .Help("Starts of pods by outcome.")
                    .Register(registry)),
        phases_(BuildHistogram()
                    .Name("davit_pod_start_phase_seconds")
                    .Help("Duration of each phase of a pod's start.")
                    .Register(registry)),
        start_(Whole(registry, "davit_pod_start_seconds",
                     "Duration of good starts of pods.")),
        stop_(Whole(registry, "davit_pod_stop_seconds",
                    "Duration of stops of pods.")),
        remove_(Whole(registry, "davit_pod_remove_seconds",
                      "Duration of removals of pods.")) {}

  void OnStep(absl::string_view step, absl::Duration took,
              const absl::Status& outcome) override {
    double seconds = absl::ToDoubleSeconds(took);
    if (step == "start") {
      starts_.Add({{"outcome", CodeName(outcome)}}).Increment();
      if (outcome.ok()) start_.Observe(seconds);
    } else if (step == "stop") {
      stop_.Observe(seconds);
    } else if (step == "remove") {
      remove_.Observe(seconds);
    } else {
      phases_.Add({{"phase", std::string(step)}}, StepBuckets())
          .Observe(seconds);
    }
  }

 private:
  static Histogram& Whole(Registry& registry, const char* name,
                          const char* help) {
    return BuildHistogram().Name(name).Help(help).Register(registry).Add(
        {}, StartBuckets());
  }

  Family<Counter>& starts_;
  Family<Histogram>& phases_;
  Histogram& start_;
  Histogram& stop_;
  Histogram& remove_;
};

class CniCalls : public CniObserver {
 public:
  explicit CniCalls(Registry& registry)
      : calls_(BuildCounter()
                   .Name("davit_cni_calls_total")
                   .Help("Executions of CNI plugins.")
                   .Register(registry)),
        duration_(BuildHistogram()
                      .Name("davit_cni_duration_seconds")
                      .Help("Duration of executions of CNI plugins.")
                      .Register(registry)) {}

  void OnPluginCall(absl::string_view plugin, absl::string_view command,
                    absl::Duration took, const absl::Status& outcome) override {
    prometheus::Labels labels = {{"plugin", std::string(plugin)},
                                 {"command", std::string(command)}};
    duration_.Add(labels, StepBuckets()).Observe(absl::ToDoubleSeconds(took));
    labels["outcome"] = CodeName(outcome);
    calls_.Add(labels).Increment();
  }

 private:
  Family<Counter>& calls_;
  Family<Histogram>& duration_;
};

class RpcCalls {
 public:
  explicit RpcCalls(Registry& registry)
      : requests_(BuildCounter()
                      .Name("davit_rpc_requests_total")
                      .Help("Finished rpcs.")
                      .Register(registry)),
        duration_(BuildHistogram()
                      .Name("davit_rpc_duration_seconds")
                      .Help("Duration of rpcs; of streams, until their end.")
                      .Register(registry)) {}

  void OnRpc(const std::string& method, absl::Duration took,
             const absl::Status& outcome) {
    requests_.Add({{"method", method}, {"code", CodeName(outcome)}})
        .Increment();
    duration_.Add({{"method", method}}, StepBuckets())
        .Observe(absl::ToDoubleSeconds(took));
  }

 private:
  Family<Counter>& requests_;
  Family<Histogram>& duration_;
};

}  // namespace

struct Metrics::Impl {
  std::shared_ptr<Registry> registry = std::make_shared<Registry>();
  std::shared_ptr<PodCollector> pods = std::make_shared<PodCollector>();
  std::shared_ptr<NetworkCollector> networks =
      std::make_shared<NetworkCollector>();
  std::shared_ptr<ProcessCollector> process =
      std::make_shared<ProcessCollector>();
  PodSteps steps{*registry};
  CniCalls cni{*registry};
  Garbage garbage{*registry};
  RpcCalls rpcs{*registry};
};

Metrics::Metrics(const std::string& version, const std::string& commit)
    : impl_(std::make_unique<Impl>()) {
  BuildGauge()
      .Name("davit_build_info")
      .Help("Version of the agent; the value is always 1.")
      .Register(*impl_->registry)
      .Add({{"version", version}, {"commit", commit}})
      .Set(1);
}

Metrics::~Metrics() = default;

void Metrics::SetPodSource(std::function<std::vector<Pod>()> list) {
  impl_->pods->SetSource(std::move(list));
}

void Metrics::ClearPodSource() { impl_->pods->SetSource(nullptr); }

void Metrics::SetNetworkSource(std::function<std::vector<NetworkInfo>()> list) {
  impl_->networks->SetSource(std::move(list));
}

void Metrics::OnGarbage(const GarbageItem& item) {
  impl_->garbage.OnItem(item);
}

StepObserver* Metrics::step_observer() { return &impl_->steps; }

CniObserver* Metrics::cni_observer() { return &impl_->cni; }

void Metrics::OnRpc(const std::string& method, absl::Duration took,
                    const absl::Status& outcome) {
  impl_->rpcs.OnRpc(method, took, outcome);
}

std::vector<std::shared_ptr<prometheus::Collectable>> Metrics::collectables()
    const {
  return {impl_->registry, impl_->pods, impl_->networks, impl_->process};
}

std::string Metrics::Text() const {
  std::vector<MetricFamily> families;
  for (const auto& collectable : collectables()) {
    for (MetricFamily& family : collectable->Collect()) {
      families.push_back(std::move(family));
    }
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace davit
