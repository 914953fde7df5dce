#include "runtime/image/tree_digest.h"

#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/tree_walk.h"
#include "runtime/image/tree_writer.h"

namespace davit {
namespace {

// Changes with the format of the listing.
constexpr char kHeader[] = "davit-tree-1\n";

class Lister {
 public:
  Lister() : buffer_(256 << 10) { hash_.Update(kHeader); }

  absl::Status Visit(const TreeEntry& entry) {
    const struct stat& st = entry.st;
    Field("path", entry.path);
    Field("mode", absl::StrCat(st.st_mode));
    Field("owner", absl::StrCat(st.st_uid, ":", st.st_gid));
    Field("mtime", absl::StrCat(st.st_mtim.tv_sec, ".", st.st_mtim.tv_nsec));
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
      auto [first, is_new] =
          first_path_.try_emplace({st.st_dev, st.st_ino}, entry.path);
      if (!is_new) {
        Field("link", first->second);
        return absl::OkStatus();
      }
    }
    if (S_ISLNK(st.st_mode)) return VisitSymlink(entry);
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      Field("device", absl::StrCat(st.st_rdev));
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return absl::OkStatus();
    ASSIGN_OR_RETURN(UniqueFd fd, OpenEntry(entry));
    ASSIGN_OR_RETURN(auto xattrs, ReadXattrs(fd.get()), entry.path);
    for (const auto& [name, value] : xattrs) {
      Field("xattr", name);
      Field("value", value);
    }
    return S_ISREG(st.st_mode) ? VisitData(entry, fd.get()) : absl::OkStatus();
  }

  std::string Finish() { return hash_.Finish(); }

 private:
  // Lengths keep "ab" + "c" and "a" + "bc" apart.
  void Field(absl::string_view key, absl::string_view value) {
    hash_.Update(absl::StrCat(key, " ", value.size(), " "));
    hash_.Update(value);
    hash_.Update("\n");
  }

  absl::Status VisitSymlink(const TreeEntry& entry) {
    char target[PATH_MAX];
    ssize_t n =
        readlinkat(entry.parent_fd, entry.name.c_str(), target, sizeof(target));
    if (n < 0) return ErrnoError("readlinkat(%s)", entry.path);
    Field("target", absl::string_view(target, static_cast<size_t>(n)));
    return absl::OkStatus();
  }

  absl::Status VisitData(const TreeEntry& entry, int fd) {
    hash_.Update(absl::StrCat("data ", entry.st.st_size, " "));
    while (true) {
      ssize_t n = read(fd, buffer_.data(), buffer_.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoError("read(%s)", entry.path);
      if (n == 0) break;
      hash_.Update(absl::string_view(buffer_.data(), static_cast<size_t>(n)));
    }
    hash_.Update("\n");
    return absl::OkStatus();
  }

  Sha256 hash_;
  std::vector<char> buffer_;
  std::map<std::pair<dev_t, ino_t>, std::string> first_path_;
};

}  // namespace

absl::StatusOr<std::string> TreeDigest(int root_fd) {
  Lister lister;
  RETURN_IF_ERROR(WalkTree(
      root_fd, [&](const TreeEntry& entry) { return lister.Visit(entry); }));
  return lister.Finish();
}

}  // namespace davit
