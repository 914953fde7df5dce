#ifndef DAVIT_NET_PLUGINS_CNI_ERROR_H_
#define DAVIT_NET_PLUGINS_CNI_ERROR_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace davit {

// The error codes of the CNI specification ("Error"); kInvalidNetns and
// kInternal are Go's additions.
enum class CniErrorCode {
  kIncompatibleVersion = 1,
  kUnsupportedField = 2,
  kUnknownContainer = 3,
  kInvalidEnvironment = 4,
  kIoFailure = 5,
  kDecodingFailure = 6,
  kInvalidNetworkConfig = 7,
  kInvalidNetns = 8,
  kTryAgainLater = 11,
  kNotAvailable = 50,
  kInternal = 999,
};

// A status that is printed with this code and these details. Annotate() may
// put phrases before its message.
absl::Status CniError(CniErrorCode code, absl::string_view message,
                      absl::string_view details = "");
// The same for a code that another plugin gave.
absl::Status CniError(int code, absl::string_view message,
                      absl::string_view details);

// 999 for a status that was not made by CniError.
int CniCodeOf(const absl::Status& status);
std::string CniDetailsOf(const absl::Status& status);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_CNI_ERROR_H_
