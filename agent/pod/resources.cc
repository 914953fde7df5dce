#include "agent/pod/resources.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "agent/pod/bandwidth.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

using Quantities = std::map<std::string, std::string>;

constexpr char kCpu[] = "cpu";
constexpr char kMemory[] = "memory";

// A guest's systemd does not start with less.
constexpr uint64_t kMinPodMemory = 16 << 20;
constexpr uint64_t kMaxMillis = 10000000;  // 10000 cores

// Thousandths of a core, or bytes.
absl::StatusOr<uint64_t> Parse(const std::string& name,
                               const std::string& text) {
  return ParseQuantity(text, name == kCpu ? 1000 : 1);
}

// nullopt if it is not there; also if it is none, which the border has refused.
std::optional<uint64_t> Find(const Quantities& quantities,
                             const std::string& name) {
  auto it = quantities.find(name);
  if (it == quantities.end()) return std::nullopt;
  absl::StatusOr<uint64_t> value = Parse(name, it->second);
  if (!value.ok()) return std::nullopt;
  return *value;
}

// As in Kubernetes a limit without a request is its request.
std::optional<uint64_t> Request(const ResourceRequirements& resources,
                                const std::string& name) {
  std::optional<uint64_t> request = Find(resources.requests, name);
  return request ? request : Find(resources.limits, name);
}

absl::Status Fault(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

std::string Entry(const std::string& path, const std::string& name) {
  return absl::StrCat(path, "[\"", name, "\"]");
}

absl::Status CheckQuantities(const std::string& path,
                             const Quantities& quantities) {
  for (const auto& [name, text] : quantities) {
    std::string entry = Entry(path, name);
    if (name != kCpu && name != kMemory) {
      return Fault(entry, "not supported; \"cpu\" and \"memory\" are");
    }
    ASSIGN_OR_RETURN(uint64_t value, Parse(name, text), entry);
    if (value == 0) return Fault(entry, "must be more than 0");
    if (name == kCpu && value > kMaxMillis) {
      return Fault(entry, absl::StrCat("\"", text, "\" is more than 10k"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOne(const std::string& path,
                      const ResourceRequirements& resources) {
  RETURN_IF_ERROR(CheckQuantities(path + ".limits", resources.limits));
  RETURN_IF_ERROR(CheckQuantities(path + ".requests", resources.requests));
  for (const auto& [name, text] : resources.requests) {
    std::optional<uint64_t> limit = Find(resources.limits, name);
    if (!limit || *Find(resources.requests, name) <= *limit) continue;
    return Fault(Entry(path + ".requests", name),
                 absl::StrCat("\"", text, "\" is more than the limit \"",
                              resources.limits.at(name), "\""));
  }
  return absl::OkStatus();
}

// What containers may have together, if each says it.
std::optional<uint64_t> SumOfLimits(const PodSpec& spec,
                                    const std::string& name) {
  if (spec.containers.empty()) return std::nullopt;
  uint64_t sum = 0;
  for (const ContainerSpec& container : spec.containers) {
    std::optional<uint64_t> limit = Find(container.resources.limits, name);
    if (!limit) return std::nullopt;
    sum += *limit;
  }
  return sum;
}

uint64_t SumOfRequests(const PodSpec& spec, const std::string& name) {
  uint64_t sum = 0;
  for (const ContainerSpec& container : spec.containers) {
    sum += Request(container.resources, name).value_or(0);
  }
  return sum;
}

// A container may not be promised, or allowed, more than its pod.
absl::Status CheckAgainstPod(const PodSpec& spec, const std::string& name) {
  std::optional<uint64_t> limit = Find(spec.resources.limits, name);
  for (size_t i = 0; limit && i < spec.containers.size(); ++i) {
    const Quantities& own = spec.containers[i].resources.limits;
    if (Find(own, name).value_or(0) <= *limit) continue;
    return Fault(
        Entry(absl::StrCat("spec.containers[", i, "].resources.limits"), name),
        absl::StrCat("\"", own.at(name), "\" is more than the pod's \"",
                     spec.resources.limits.at(name), "\""));
  }
  std::optional<uint64_t> request = Request(spec.resources, name);
  if (!request || SumOfRequests(spec, name) <= *request) {
    return absl::OkStatus();
  }
  bool says_it = spec.resources.requests.count(name) != 0;
  return Fault(
      Entry(says_it ? "spec.resources.requests" : "spec.resources.limits",
            name),
      "is less than its containers request together");
}

// kubelet: 1024 shares are a core, and 2 to 262144 shares are 1 to 10000.
uint64_t WeightOf(uint64_t millis) {
  if (millis == 0) return 0;
  uint64_t shares =
      std::clamp<uint64_t>(millis * 1024 / 1000, 2, uint64_t{262144});
  return 1 + (shares - 2) * 9999 / 262142;
}

}  // namespace

absl::Status CheckResources(const PodSpec& spec) {
  RETURN_IF_ERROR(CheckOne("spec.resources", spec.resources));
  for (size_t i = 0; i < spec.containers.size(); ++i) {
    RETURN_IF_ERROR(CheckOne(absl::StrCat("spec.containers[", i, "].resources"),
                             spec.containers[i].resources));
  }
  std::optional<uint64_t> memory = Find(spec.resources.limits, kMemory);
  if (memory && *memory < kMinPodMemory) {
    return Fault(Entry("spec.resources.limits", kMemory),
                 "a pod needs at least 16Mi for its systemd");
  }
  RETURN_IF_ERROR(CheckAgainstPod(spec, kCpu));
  return CheckAgainstPod(spec, kMemory);
}

ResourceRequirements MergeResources(const ResourceRequirements& now,
                                    const ResourceRequirements& change) {
  ResourceRequirements merged = now;
  auto merge = [](const Quantities& from, Quantities& to) {
    for (const auto& [name, text] : from) {
      if (text == "0") {
        to.erase(name);
      } else {
        to[name] = text;
      }
    }
  };
  merge(change.limits, merged.limits);
  merge(change.requests, merged.requests);
  return merged;
}

CgroupLimits PodLimits(const PodSpec& spec) {
  auto limit = [&spec](const char* name) {
    std::optional<uint64_t> own = Find(spec.resources.limits, name);
    return own ? *own : SumOfLimits(spec, name).value_or(0);
  };
  CgroupLimits limits;
  limits.memory_max_bytes = limit(kMemory);
  // Room for the systemd beside small apps, which a person has not counted.
  if (limits.memory_max_bytes != 0 &&
      spec.resources.limits.count(kMemory) == 0) {
    limits.memory_max_bytes += kMinPodMemory;
  }
  limits.cpu_millis = limit(kCpu);
  limits.cpu_weight = WeightOf(
      Request(spec.resources, kCpu).value_or(SumOfRequests(spec, kCpu)));
  return limits;
}

AppLimits LimitsOfApp(const ResourceRequirements& resources) {
  AppLimits limits;
  limits.memory_max_bytes = Find(resources.limits, kMemory).value_or(0);
  limits.cpu_millis = Find(resources.limits, kCpu).value_or(0);
  limits.cpu_weight = WeightOf(Request(resources, kCpu).value_or(0));
  return limits;
}

}  // namespace davit
