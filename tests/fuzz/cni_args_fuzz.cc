// CNI_ARGS.

#include <stdint.h>

#include <map>
#include <string>

#include "absl/strings/match.h"
#include "net/plugins/cni_args.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  auto args = davit::ParseCniArgs(text);
  if (!args.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(args.status()));
    return 0;
  }
  std::string joined;
  for (const auto& [key, value] : *args) {
    FUZZ_CHECK(key.find_first_of("=;") == std::string::npos);
    FUZZ_CHECK(value.find_first_of("=;") == std::string::npos);
    FUZZ_CHECK(absl::StrContains(text, key + "=" + value));
    joined += (joined.empty() ? "" : ";") + key + "=" + value;
  }
  auto again = davit::ParseCniArgs(joined);
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(*again == *args);
  return 0;
}
