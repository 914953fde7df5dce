#ifndef DAVIT_AGENT_RPC_CONVERT_INTERNAL_H_
#define DAVIT_AGENT_RPC_CONVERT_INTERNAL_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/pod/pod.h"
#include "davit/v1/pod.pb.h"

// What the .cc files of convert share; use convert.h.

namespace davit {

void SpecToProto(const PodSpec& from, v1::PodSpec* to);
v1::PodDNSConfig DnsToProto(const DnsConfig& from);
DnsConfig DnsFromProto(const v1::PodDNSConfig& from);
void StatusToProto(const Pod& pod, v1::PodStatus* to);
absl::Status StatusFromProto(const v1::PodStatus& from, PodStatus& to);

template <typename Repeated>
std::vector<std::string> Strings(const Repeated& values) {
  return {values.begin(), values.end()};
}

template <typename Repeated>
void SetStrings(const std::vector<std::string>& values, Repeated* out) {
  out->Assign(values.begin(), values.end());
}

// A value and its word in the API.
template <typename T>
struct Word {
  T value;
  const char* word;
};

template <typename T, size_t N>
const char* WordOf(const Word<T> (&table)[N], T value) {
  for (const Word<T>& entry : table) {
    if (entry.value == value) return entry.word;
  }
  return "";
}

template <typename T, size_t N>
absl::StatusOr<T> ParseWord(const Word<T> (&table)[N], absl::string_view word,
                            absl::string_view path) {
  std::vector<std::string> known;
  for (const Word<T>& entry : table) {
    if (word == entry.word) return entry.value;
    known.push_back(absl::StrCat("\"", entry.word, "\""));
  }
  return absl::InvalidArgumentError(
      absl::StrFormat("%s: unknown value \"%s\"; one of %s is wanted", path,
                      word, absl::StrJoin(known, ", ")));
}

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_CONVERT_INTERNAL_H_
