#ifndef DAVIT_CLI_MANIFEST_H_
#define DAVIT_CLI_MANIFEST_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "davit/v1/pod.pb.h"

namespace davit::cli {

// Reads Kubernetes v1 Pod manifests: YAML (one or several documents), JSON, or
// a v1 List of them. What Davit does not support is an InvalidArgument that
// starts with its path ("spec.containers[0].livenessProbe: not supported");
// null and empty values are as good as absent, as kubectl prints many of them.
absl::StatusOr<std::vector<v1::Pod>> ParseManifest(const std::string& text);

// OK if every field that `wanted` sets has the same value in `actual`; else
// FailedPrecondition with the first path that differs. For "apply" on a pod
// that exists: a pod's spec cannot change.
absl::Status CheckUnchanged(const v1::Pod& wanted, const v1::Pod& actual);

}  // namespace davit::cli

#endif  // DAVIT_CLI_MANIFEST_H_
