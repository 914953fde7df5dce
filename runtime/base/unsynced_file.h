#ifndef DAVIT_RUNTIME_BASE_UNSYNCED_FILE_H_
#define DAVIT_RUNTIME_BASE_UNSYNCED_FILE_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace davit {

// WriteFileAtomic without its waits for the disk (two of some milliseconds):
// when the process is killed, readers find the old or the new content; after a
// power failure the file may be empty or absent. For what tells only of things
// that the machine's end takes along, and whose reader takes damage for
// absence.
absl::Status WriteFileUnsynced(const std::string& path, absl::string_view data,
                               mode_t mode = 0644);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_UNSYNCED_FILE_H_
