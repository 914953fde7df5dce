// What a plugin prints, as the runtime reads it: results of all versions, and
// error objects.

#include <stdint.h>

#include <string>

#include "net/cni/result.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  const std::string text(reinterpret_cast<const char*>(data), size);
  if (auto error = ParseCniError(text); error.has_value()) {
    FUZZ_CHECK(StatusCodeOfCniError(error->code) != absl::StatusCode::kOk);
  }
  absl::StatusOr<CniJson> result = ParseCniResult(text, "1.0.0");
  if (!result.ok()) {
    FUZZ_CHECK(absl::IsInvalidArgument(result.status()));
    return 0;
  }
  FUZZ_CHECK(FindCniMember(*result, "cniVersion") != nullptr);
  absl::StatusOr<CniJson> again = ParseCniResult(DumpCniJson(*result), "0.1.0");
  FUZZ_CHECK(again.ok());
  FUZZ_CHECK(DumpCniJson(*again) == DumpCniJson(*result));
  absl::StatusOr<InterfaceStatus> status =
      InterfaceStatusOfCniResult(*result, "net", "eth0");
  FUZZ_CHECK(status.ok() || absl::IsInvalidArgument(status.status()));
  return 0;
}
