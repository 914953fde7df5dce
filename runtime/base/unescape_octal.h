#ifndef DAVIT_RUNTIME_BASE_UNESCAPE_OCTAL_H_
#define DAVIT_RUNTIME_BASE_UNESCAPE_OCTAL_H_

#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// A field of /proc/PID/mountinfo as it was meant: space, tab, newline and
// backslash are written \ooo there (proc(5)). What is no such escape stays.
std::string UnescapeOctal(absl::string_view text);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_UNESCAPE_OCTAL_H_
