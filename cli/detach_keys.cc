#include "cli/detach_keys.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/client.h"

namespace davit::cli {
namespace {

// The byte of one key, or -1.
int ByteOf(absl::string_view key) {
  if (key.size() == 1) return static_cast<unsigned char>(key[0]);
  if (!absl::ConsumePrefix(&key, "ctrl-") || key.size() != 1) return -1;
  char c = absl::ascii_toupper(key[0]);
  // ascii(7): the control characters are those of @, A to Z, [ \ ] ^ and _.
  return c >= '@' && c <= '_' ? c & 0x1f : -1;
}

}  // namespace

absl::StatusOr<DetachKeys> DetachKeys::Parse(const std::string& text) {
  std::string keys;
  if (text.empty()) return DetachKeys(keys);
  for (absl::string_view key : absl::StrSplit(text, ',')) {
    int byte = ByteOf(key);
    if (byte < 0) {
      return LocalError(absl::StrCat("--detach-keys \"", text, "\": \"", key,
                                     "\" is neither a character nor ctrl-X"));
    }
    keys.push_back(static_cast<char>(byte));
  }
  return DetachKeys(keys);
}

DetachKeys::Typed DetachKeys::Filter(absl::string_view typed) {
  Typed result;
  if (keys_.empty()) {
    result.pass_on = std::string(typed);
    return result;
  }
  for (char c : typed) {
    if (c != keys_[matched_]) {
      result.pass_on += keys_.substr(0, matched_);
      matched_ = 0;
    }
    if (c != keys_[matched_]) {
      result.pass_on += c;
      continue;
    }
    if (++matched_ < keys_.size()) continue;
    matched_ = 0;
    result.detached = true;
    return result;
  }
  return result;
}

}  // namespace davit::cli
