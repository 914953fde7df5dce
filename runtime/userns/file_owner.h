#ifndef DAVIT_RUNTIME_USERNS_FILE_OWNER_H_
#define DAVIT_RUNTIME_USERNS_FILE_OWNER_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace davit {

// From now on what the calling thread creates belongs to these ids
// (setfsuid(2)). It keeps all capabilities that it has, also those over files,
// which a change of the file system ids takes away. With 0, 0 root acts as root
// again.
absl::Status CreateFilesAs(uid_t uid, gid_t gid);

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_FILE_OWNER_H_
