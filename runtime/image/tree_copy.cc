#include "runtime/image/tree_copy.h"

#include <errno.h>
#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/tree_walk.h"
#include "runtime/image/tree_writer.h"

namespace davit {
namespace {

// How much is copied between two questions whether to go on.
constexpr off_t kChunk = 64 << 20;

// Copies through user space what copy_file_range(2) cannot. Returns the bytes
// copied; 0 at the end of the file.
absl::StatusOr<ssize_t> CopyByHand(int from, int to, off_t offset,
                                   off_t length) {
  std::vector<char> buffer(
      static_cast<size_t>(std::min<off_t>(length, 1 << 20)));
  ssize_t n = pread(from, buffer.data(), buffer.size(), offset);
  if (n < 0) return ErrnoError("pread");
  for (ssize_t done = 0; done < n;) {
    ssize_t written = pwrite(to, buffer.data() + done,
                             static_cast<size_t>(n - done), offset + done);
    if (written < 0) return ErrnoError("pwrite");
    done += written;
  }
  return n;
}

absl::Status CopyRange(int from, int to, off_t offset, off_t end,
                       ReadProgress* progress) {
  while (offset < end) {
    off_t in = offset, out = offset;
    off_t length = std::min(end - offset, kChunk);
    ssize_t n =
        copy_file_range(from, &in, to, &out, static_cast<size_t>(length), 0);
    if (n < 0) {
      if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP &&
          errno != ENOSYS) {
        return ErrnoError("copy_file_range");
      }
      ASSIGN_OR_RETURN(n, CopyByHand(from, to, offset, length));
    }
    if (n == 0) break;  // the file became shorter
    offset += n;
    if (progress != nullptr) {
      RETURN_IF_ERROR(progress->Add(static_cast<uint64_t>(n)));
    }
  }
  return absl::OkStatus();
}

// Copies what is not a hole.
absl::Status CopyContents(int from, int to, off_t size,
                          ReadProgress* progress) {
  if (size == 0) return absl::OkStatus();
  if (ioctl(to, FICLONE, from) == 0) {
    return progress != nullptr ? progress->Add(static_cast<uint64_t>(size))
                               : absl::OkStatus();
  }
  if (ftruncate(to, size) < 0) return ErrnoError("ftruncate(%d)", size);
  off_t offset = 0;
  while (offset < size) {
    off_t data = lseek(from, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) break;  // only a hole is left
    if (data < 0 && errno != EINVAL) return ErrnoError("lseek(SEEK_DATA)");
    if (data < 0) return CopyRange(from, to, offset, size, progress);
    off_t hole = lseek(from, data, SEEK_HOLE);
    if (hole < 0) return ErrnoError("lseek(SEEK_HOLE)");
    off_t end = std::min(hole, size);
    RETURN_IF_ERROR(CopyRange(from, to, data, end, progress));
    offset = end;
  }
  return absl::OkStatus();
}

class Copier {
 public:
  Copier(UniqueFd to, const UnpackLimits& limits, ReadProgress* progress)
      : writer_(std::move(to)), limits_(limits), progress_(progress) {}

  absl::Status Visit(const TreeEntry& entry) {
    const struct stat& st = entry.st;
    if (S_ISSOCK(st.st_mode)) return absl::OkStatus();
    if (entry.mount_point && !S_ISDIR(st.st_mode)) return absl::OkStatus();
    if (++result_.entries > limits_.max_entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.max_entries, " entries"));
    }
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      auto [first, is_new] =
          first_path_.try_emplace({st.st_dev, st.st_ino}, entry.path);
      if (!is_new) return writer_.AddHardLink(entry.path, first->second);
    }
    return Copy(entry);
  }

  absl::StatusOr<UnpackedTree> Finish() {
    RETURN_IF_ERROR(writer_.Finish());
    return std::move(result_);
  }

 private:
  absl::Status Copy(const TreeEntry& entry) {
    const struct stat& st = entry.st;
    FileMetadata metadata;
    metadata.permissions = st.st_mode & 07777;
    metadata.uid = st.st_uid;
    metadata.gid = st.st_gid;
    metadata.mtime = st.st_mtim;
    if (S_ISLNK(st.st_mode)) return CopySymlink(entry, metadata);
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
      return writer_.AddNode(entry.path, st.st_mode & S_IFMT, st.st_rdev,
                             metadata);
    }
    // What is mounted here says nothing about the tree's own directory.
    if (entry.mount_point) return writer_.AddDirectory(entry.path, metadata);
    ASSIGN_OR_RETURN(UniqueFd fd, OpenEntry(entry));
    ASSIGN_OR_RETURN(metadata.xattrs, ReadXattrs(fd.get()));
    if (S_ISDIR(st.st_mode)) return writer_.AddDirectory(entry.path, metadata);
    return CopyFile(entry, fd.get(), metadata);
  }

  absl::Status CopySymlink(const TreeEntry& entry,
                           const FileMetadata& metadata) {
    char target[PATH_MAX + 1];
    ssize_t n =
        readlinkat(entry.parent_fd, entry.name.c_str(), target, PATH_MAX);
    if (n < 0) return ErrnoError("readlinkat");
    return writer_.AddSymlink(
        entry.path, std::string(target, static_cast<size_t>(n)), metadata);
  }

  absl::Status CopyFile(const TreeEntry& entry, int fd,
                        const FileMetadata& metadata) {
    uint64_t size = static_cast<uint64_t>(entry.st.st_size);
    if (size > limits_.max_bytes - result_.size_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "files are larger than ", limits_.max_bytes, " bytes together"));
    }
    result_.size_bytes += size;
    return writer_.AddFile(entry.path, metadata, [&](int to) {
      return CopyContents(fd, to, entry.st.st_size, progress_);
    });
  }

  TreeWriter writer_;
  const UnpackLimits limits_;
  ReadProgress* const progress_;
  UnpackedTree result_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_path_;
};

}  // namespace

absl::StatusOr<UnpackedTree> CopyTree(int from_fd, UniqueFd to,
                                      const UnpackLimits& limits,
                                      ReadProgress* progress) {
  Copier copier(std::move(to), limits, progress);
  RETURN_IF_ERROR(WalkTree(from_fd, [&](const TreeEntry& entry) {
    return Annotate(copier.Visit(entry), entry.path);
  }));
  return copier.Finish();
}

}  // namespace davit
