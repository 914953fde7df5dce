#ifndef DAVIT_RUNTIME_BASE_STATUS_MACROS_H_
#define DAVIT_RUNTIME_BASE_STATUS_MACROS_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// RETURN_IF_ERROR(expr);                    returns expr's status if not OK
// RETURN_IF_ERROR(expr, "read pod record"); puts one phrase before its message
// ASSIGN_OR_RETURN(auto x, expr);           assigns the value or returns
// ASSIGN_OR_RETURN(auto x, expr, "…");      the same with a phrase
//
// One phrase a layer: "start pod \"web\": attach network \"default\": …".

namespace davit {

// `status` with "context: " in front of its message; the code and the payloads
// stay. OK stays OK.
inline absl::Status Annotate(const absl::Status& status,
                             absl::string_view context) {
  if (status.ok() || context.empty()) return status;
  absl::Status result(status.code(),
                      absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&result](absl::string_view url, const absl::Cord& payload) {
        result.SetPayload(url, payload);
      });
  return result;
}

namespace status_internal {
inline const absl::Status& StatusOf(const absl::Status& s) { return s; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& s) {
  return s.status();
}
}  // namespace status_internal

}  // namespace davit

#define DAVIT_CONCAT_INNER_(a, b) a##b
#define DAVIT_CONCAT_(a, b) DAVIT_CONCAT_INNER_(a, b)

#define RETURN_IF_ERROR(expr, ...)                           \
  do {                                                       \
    if (auto davit_status_ = (expr); !davit_status_.ok()) {  \
      return ::davit::Annotate(                              \
          ::davit::status_internal::StatusOf(davit_status_), \
          ::absl::string_view{__VA_ARGS__});                 \
    }                                                        \
  } while (false)

#define ASSIGN_OR_RETURN(lhs, expr, ...)                                      \
  ASSIGN_OR_RETURN_IMPL_(DAVIT_CONCAT_(davit_statusor_, __LINE__), lhs, expr, \
                         __VA_ARGS__)

#define ASSIGN_OR_RETURN_IMPL_(statusor, lhs, expr, ...)        \
  auto statusor = (expr);                                       \
  if (!statusor.ok()) {                                         \
    return ::davit::Annotate(statusor.status(),                 \
                             ::absl::string_view{__VA_ARGS__}); \
  }                                                             \
  lhs = std::move(statusor).value()

#endif  // DAVIT_RUNTIME_BASE_STATUS_MACROS_H_
