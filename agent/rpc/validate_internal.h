#ifndef DAVIT_AGENT_RPC_VALIDATE_INTERNAL_H_
#define DAVIT_AGENT_RPC_VALIDATE_INTERNAL_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "agent/pod/pod.h"

// What the .cc files of validate share; use validate.h.

namespace davit {

// Networks, ports of the node, bandwidth, DNS and /etc/hosts.
absl::Status ValidatePodNetwork(const PodSpec& spec);

template <typename... Args>
absl::Status Fault(const std::string& path,
                   const absl::FormatSpec<Args...>& format,
                   const Args&... args) {
  return absl::InvalidArgumentError(
      absl::StrCat(path, ": ", absl::StrFormat(format, args...)));
}

inline std::string Item(const std::string& path, size_t index) {
  return absl::StrFormat("%s[%d]", path, index);
}

bool IsAlnum(char c);
bool IsLowerAlnum(char c);

// Begins and ends with an `edge` character, has only those and `inner` between.
bool HasShape(absl::string_view text, size_t max, bool (*edge)(char),
              absl::string_view inner);

absl::Status CheckDnsLabel(const std::string& path, const std::string& text);
absl::Status CheckCount(const std::string& path, size_t count, size_t max);
bool IsIpAddress(const std::string& text);

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_VALIDATE_INTERNAL_H_
