#ifndef DAVIT_RUNTIME_BASE_UUID_H_
#define DAVIT_RUNTIME_BASE_UUID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace davit {

// A random (version 4) UUID in lower case with dashes, from getrandom(2).
std::string NewUuid();

// True for exactly the form that NewUuid makes, of any version.
bool IsUuid(absl::string_view text);

// The same without dashes: the form of /etc/machine-id (machine-id(5)).
std::string MachineIdOfUuid(absl::string_view uuid);

// The other way: 32 hexadecimal digits in lower case as a UUID; "" for anything
// else, and for the null id.
std::string UuidOfMachineId(absl::string_view id);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_UUID_H_
