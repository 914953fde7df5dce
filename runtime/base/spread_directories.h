#ifndef DAVIT_RUNTIME_BASE_SPREAD_DIRECTORIES_H_
#define DAVIT_RUNTIME_BASE_SPREAD_DIRECTORIES_H_

#include <string>

#include "absl/status/status.h"

namespace davit {

// Tells the file system of directory `path` that its subdirectories have
// nothing to do with each other (chattr(1), +T), so that each gets a part of
// the disk of its own. Otherwise ext4 looks for each new file's inode among
// those of all subdirectories, past every one that was deleted within the last
// minute. OK on a file system that knows no such hint.
absl::Status SpreadSubdirectories(const std::string& path);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_SPREAD_DIRECTORIES_H_
