#ifndef DAVIT_AGENT_STORE_POD_CODEC_H_
#define DAVIT_AGENT_STORE_POD_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "agent/pod/pod.h"

namespace davit {

// A pod as the text of its record: JSON of internal.state.v1.PodRecord,
// indented for people.
absl::StatusOr<std::string> EncodePodRecord(const Pod& pod);

// DataLoss if the text is no record of a pod; the message names the field where
// it can. FailedPrecondition if it was written by a newer version.
absl::StatusOr<Pod> DecodePodRecord(absl::string_view text);

}  // namespace davit

#endif  // DAVIT_AGENT_STORE_POD_CODEC_H_
