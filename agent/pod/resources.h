#ifndef DAVIT_AGENT_POD_RESOURCES_H_
#define DAVIT_AGENT_POD_RESOURCES_H_

#include "absl/status/status.h"
#include "agent/pod/pod.h"
#include "runtime/app/app.h"
#include "runtime/boot/launcher.h"

// Kubernetes' resources, of a pod and of its containers. Pure. See
// https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/

namespace davit {

// InvalidArgument names the field: what is no quantity of "cpu" or "memory", a
// request above its limit, containers that ask for more than their pod has.
absl::Status CheckResources(const PodSpec& spec);

// `change` over `now`: what it names is replaced, "0" takes it away.
ResourceRequirements MergeResources(const ResourceRequirements& now,
                                    const ResourceRequirements& change);

// Those of the whole pod: its own, else the sum of its containers' limits if
// each has one. The weight is what kubelet makes of the requests. The pod's
// systemd and what else runs in it count, too.
CgroupLimits PodLimits(const PodSpec& spec);

// Those of one app, which the pod's systemd keeps; 0: none.
AppLimits LimitsOfApp(const ResourceRequirements& resources);

}  // namespace davit

#endif  // DAVIT_AGENT_POD_RESOURCES_H_
