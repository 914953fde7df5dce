#ifndef DAVIT_CLI_POD_VIEW_H_
#define DAVIT_CLI_POD_VIEW_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "davit/v1/pod.pb.h"

namespace davit::cli {

// The STATUS column of a pod as kubectl words it: "Running", "Completed",
// "Error", "CrashLoopBackOff", "Created", "Terminating", …
std::string PodStatusWord(const v1::Pod& pod);

// NAME READY STATUS RESTARTS AGE, and with `wide` IP IMAGES UID.
std::vector<std::string> PodHeader(bool wide);
std::vector<std::string> PodRow(const v1::Pod& pod, bool wide, absl::Time now);

}  // namespace davit::cli

#endif  // DAVIT_CLI_POD_VIEW_H_
