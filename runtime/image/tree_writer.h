#ifndef DAVIT_RUNTIME_IMAGE_TREE_WRITER_H_
#define DAVIT_RUNTIME_IMAGE_TREE_WRITER_H_

#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/base/unique_fd.h"

namespace davit {

// What is kept of a file beside its contents and name.
struct FileMetadata {
  mode_t permissions = 0;  // 07777
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime = {};
  std::map<std::string, std::string> xattrs;  // only KeepXattr() ones
};

// True for the extended attributes that layers carry: security.capability,
// user.* and POSIX ACLs. Never overlayfs's own ones: trusted.overlay.redirect
// in an image would show other files than those that were verified.
bool KeepXattr(absl::string_view name);

// The kept attributes of an open regular file or directory.
absl::StatusOr<std::map<std::string, std::string>> ReadXattrs(int fd);

// True for overlayfs's whiteout, the character device 0:0.
bool IsWhiteout(const struct stat& st);

// True if the open directory hides what layers below have at its path.
bool IsOpaque(int directory_fd);

// Writes a tree of files below one directory and nowhere else, whatever it is
// asked for: parents are opened by openat2(2) without symlinks, and each file
// is made, never opened, in its parent. Later entries replace earlier ones;
// absent parents are made (root, 0755) and remembered.
//
// Paths are relative and normal ("etc/passwd"; "" is the root): no "..", no
// empty parts. What a stranger's archive can provoke is InvalidArgument.
// One thread at a time.
class TreeWriter {
 public:
  // `root` is an open, empty directory that nobody else writes to.
  explicit TreeWriter(UniqueFd root);

  absl::Status AddDirectory(const std::string& path,
                            const FileMetadata& metadata);
  // `write` fills the open, empty file.
  absl::Status AddFile(const std::string& path, const FileMetadata& metadata,
                       absl::FunctionRef<absl::Status(int fd)> write);
  absl::Status AddSymlink(const std::string& path, const std::string& target,
                          const FileMetadata& metadata);
  // A hard link to what has been added as `target` before.
  absl::Status AddHardLink(const std::string& path, const std::string& target);
  // A device, FIFO: `type` is S_IFCHR, S_IFBLK or S_IFIFO.
  absl::Status AddNode(const std::string& path, mode_t type, dev_t device,
                       const FileMetadata& metadata);

  // Hides `path` of lower layers. What this tree itself has there stays
  // (image-spec/layer.md, "Whiteouts"): then a directory becomes opaque.
  absl::Status AddWhiteout(const std::string& path);
  // Hides what lower layers have in the directory `path`.
  absl::Status AddOpaque(const std::string& path);

  // Sets the times of directories, which every entry in them had changed. Call
  // it last.
  absl::Status Finish();

  // Directories that no entry described, "" included: their owner and mode are
  // a guess.
  const std::set<std::string>& implicit_directories() const {
    return implicit_;
  }

 private:
  absl::StatusOr<int> OpenParent(const std::string& path);
  absl::Status MakeParents(const std::string& directory);
  absl::StatusOr<UniqueFd> OpenDirectory(const std::string& path);
  // Runs `create`, a call that fails with EEXIST if the name is taken; then
  // removes what has it and runs `create` again.
  absl::Status CreateReplacing(const std::string& path, int parent,
                               absl::FunctionRef<int()> create,
                               absl::string_view call);
  absl::Status Clear(const std::string& path, int parent);
  // mkdirat that replaces what is no directory; that, too, hides lower layers.
  absl::Status MakeOrKeepDirectory(const std::string& path, int parent);
  void Forget(const std::string& path);

  UniqueFd root_;
  std::string parent_path_;  // of parent_
  UniqueFd parent_;          // the last parent: entries come in runs
  std::set<std::string> implicit_;
  std::map<std::string, timespec> directory_times_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_TREE_WRITER_H_
