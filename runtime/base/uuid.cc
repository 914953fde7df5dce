#include "runtime/base/uuid.h"

#include <stdlib.h>
#include <sys/random.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace davit {

std::string NewUuid() {
  std::string bytes(16, '\0');
  // 16 bytes never block nor come short once the pool is initialised.
  if (getrandom(bytes.data(), bytes.size(), 0) != 16) abort();
  bytes[6] = static_cast<char>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<char>((bytes[8] & 0x3f) | 0x80);
  std::string hex = absl::BytesToHexString(bytes);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-",
                      hex.substr(12, 4), "-", hex.substr(16, 4), "-",
                      hex.substr(20));
}

bool IsUuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    char c = text[i];
    if (dash ? c != '-' : !absl::ascii_isxdigit(c) || absl::ascii_isupper(c)) {
      return false;
    }
  }
  return true;
}

std::string MachineIdOfUuid(absl::string_view uuid) {
  return absl::StrReplaceAll(uuid, {{"-", ""}});
}

std::string UuidOfMachineId(absl::string_view id) {
  std::string uuid(id);
  if (uuid.size() != 32 || uuid == std::string(32, '0')) return "";
  for (size_t at : {8, 13, 18, 23}) uuid.insert(at, 1, '-');
  return IsUuid(uuid) ? uuid : "";
}

}  // namespace davit
