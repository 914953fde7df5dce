// Results as plugins read them (prevResult, an IPAM plugin's answer) and print
// them, in every version.

#include <stdint.h>

#include <string>

#include "net/plugins/cni_result.h"
#include "net/plugins/cni_version.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace davit;
  const std::string text(reinterpret_cast<const char*>(data), size);
  absl::StatusOr<JsonObject> object = JsonObject::Parse(text);
  if (!object.ok()) return 0;
  for (const std::string& version : SupportedCniVersions()) {
    absl::StatusOr<CniResult> result = ParseCniResult(*object, version);
    if (!result.ok()) {
      FUZZ_CHECK(absl::IsInvalidArgument(result.status()));
      continue;
    }
    for (const std::string& printed : SupportedCniVersions()) {
      absl::StatusOr<std::string> out = FormatCniResult(*result, printed);
      if (!out.ok()) continue;
      absl::StatusOr<JsonObject> parsed = JsonObject::Parse(*out);
      FUZZ_CHECK(parsed.ok());
      absl::StatusOr<CniResult> again = ParseCniResult(*parsed, printed);
      FUZZ_CHECK(again.ok());
      // The newest version can say everything.
      if (printed == SupportedCniVersions().back()) {
        FUZZ_CHECK(*again == *result);
      }
    }
    JsonObject::Parse(FormatPassedResult(*object, version)).IgnoreError();
  }
  return 0;
}
