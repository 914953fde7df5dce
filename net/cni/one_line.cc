#include "net/cni/one_line.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace davit {
namespace {

// The length of the UTF-8 sequence that begins with `first`, or 0.
size_t SequenceLength(unsigned char first) {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

// RFC 3629: also no overlong forms, no surrogates, nothing past U+10FFFF.
bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    unsigned char first = static_cast<unsigned char>(text[0]);
    size_t length = SequenceLength(first);
    if (length == 0 || length > text.size()) return false;
    for (size_t i = 1; i < length; ++i) {
      if ((text[i] & 0xc0) != 0x80) return false;
    }
    unsigned char second = length > 2 ? static_cast<unsigned char>(text[1]) : 0;
    bool bad =
        (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
        (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
    if (bad) return false;
    text.remove_prefix(length);
  }
  return true;
}

}  // namespace

std::string OneLine(absl::string_view text, size_t limit) {
  text = absl::StripAsciiWhitespace(text);
  size_t end = text.size();
  if (end > limit) {
    end = limit;
    // Not in the middle of a character, which has at most 3 bytes 10xxxxxx.
    while (end > 0 && limit - end < 3 && (text[end] & 0xc0) == 0x80) --end;
  }
  absl::string_view shown = text.substr(0, end);
  bool escape_all = !IsUtf8(shown);
  std::string line;
  for (unsigned char c : shown) {
    if (c == '\n') {
      line += "\\n";
    } else if (absl::ascii_iscntrl(c) || (escape_all && c >= 0x80)) {
      absl::StrAppendFormat(&line, "\\x%02x", c);
    } else {
      line += static_cast<char>(c);
    }
  }
  if (end < text.size()) {
    absl::StrAppend(&line, "… (", text.size() - end, " more bytes)");
  }
  return line;
}

}  // namespace davit
