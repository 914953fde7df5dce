#include "agent/rpc/grpc_status.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace davit {
namespace {

// Of the encoded message; the rest of 8 KiB is for other trailers.
constexpr size_t kMaxEncoded = 6 << 10;
constexpr size_t kHead = kMaxEncoded / 3;
constexpr size_t kTail = kMaxEncoded / 2;

// PROTOCOL-HTTP2.md: all but printable ASCII without '%' takes three bytes.
size_t EncodedSize(char c) { return c >= ' ' && c <= '~' && c != '%' ? 1 : 3; }

bool IsUtf8Continuation(char c) { return (c & 0xC0) == 0x80; }

// How much of `text`, from its beginning, is at most `limit` bytes when
// encoded; never the first half of a character.
size_t FittingPrefix(absl::string_view text, size_t limit) {
  size_t size = 0;
  size_t at = 0;
  while (at < text.size() && size + EncodedSize(text[at]) <= limit) {
    size += EncodedSize(text[at++]);
  }
  while (at > 0 && at < text.size() && IsUtf8Continuation(text[at])) --at;
  return at;
}

// The same from its end.
size_t FittingSuffix(absl::string_view text, size_t limit) {
  size_t size = 0;
  size_t at = text.size();
  while (at > 0 && size + EncodedSize(text[at - 1]) <= limit) {
    size += EncodedSize(text[--at]);
  }
  while (at < text.size() && IsUtf8Continuation(text[at])) ++at;
  return text.size() - at;
}

std::string Shortened(absl::string_view message) {
  if (FittingPrefix(message, kMaxEncoded) == message.size()) {
    return std::string(message);
  }
  size_t head = FittingPrefix(message, kHead);
  size_t tail = FittingSuffix(message.substr(head), kTail);
  return absl::StrCat(message.substr(0, head), " [",
                      message.size() - head - tail, " bytes left out] ",
                      message.substr(message.size() - tail));
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  return {static_cast<grpc::StatusCode>(status.code()),
          Shortened(status.message())};
}

absl::Status FromGrpcStatus(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()),
          status.error_message()};
}

}  // namespace davit
