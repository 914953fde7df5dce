#include "net/plugins/cni_error.h"

#include <optional>

#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace davit {
namespace {

constexpr char kCodePayload[] = "davit/cni-code";
constexpr char kDetailsPayload[] = "davit/cni-details";

}  // namespace

absl::Status CniError(CniErrorCode code, absl::string_view message,
                      absl::string_view details) {
  return CniError(static_cast<int>(code), message, details);
}

absl::Status CniError(int code, absl::string_view message,
                      absl::string_view details) {
  absl::Status status = absl::InternalError(message);
  status.SetPayload(kCodePayload, absl::Cord(absl::StrCat(code)));
  if (!details.empty()) {
    status.SetPayload(kDetailsPayload, absl::Cord(details));
  }
  return status;
}

int CniCodeOf(const absl::Status& status) {
  int code = static_cast<int>(CniErrorCode::kInternal);
  absl::optional<absl::Cord> payload = status.GetPayload(kCodePayload);
  if (payload.has_value()) {
    (void)absl::SimpleAtoi(std::string(*payload), &code);
  }
  return code;
}

std::string CniDetailsOf(const absl::Status& status) {
  absl::optional<absl::Cord> payload = status.GetPayload(kDetailsPayload);
  return payload.has_value() ? std::string(*payload) : "";
}

}  // namespace davit
