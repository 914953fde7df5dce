#ifndef DAVIT_NET_CNI_ONE_LINE_H_
#define DAVIT_NET_CNI_ONE_LINE_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// What a stranger wrote, fit to stand in a status message and a log line: white
// space around it removed, control characters escaped, valid UTF-8 (text that
// is not gets all its bytes past ASCII escaped), and cut at about `limit` bytes
// with "… (N more bytes)".
std::string OneLine(absl::string_view text, size_t limit);

}  // namespace davit

#endif  // DAVIT_NET_CNI_ONE_LINE_H_
