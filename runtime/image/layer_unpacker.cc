#include "runtime/image/layer_unpacker.h"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/tree_writer.h"

namespace davit {
namespace {

constexpr absl::string_view kWhiteoutPrefix = ".wh.";
constexpr absl::string_view kAufsPrefix = ".wh..wh.";
constexpr absl::string_view kOpaqueName = ".wh..wh..opq";

std::string TextOrEmpty(const char* text) {
  return text != nullptr ? text : "";
}

// "./a//b/" and "/a/b" → "a/b".
absl::StatusOr<std::string> NormalPath(absl::string_view name,
                                       size_t max_depth) {
  std::vector<absl::string_view> parts;
  for (absl::string_view part : absl::StrSplit(name, '/', absl::SkipEmpty())) {
    if (part == ".") continue;
    if (part == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", absl::CHexEscape(name), "\" holds \"..\""));
    }
    parts.push_back(part);
  }
  if (parts.size() > max_depth) {
    return absl::InvalidArgumentError(
        absl::StrCat("deeper than ", max_depth, " directories"));
  }
  return absl::StrJoin(parts, "/");
}

absl::StatusOr<FileMetadata> MetadataOf(archive_entry* entry) {
  FileMetadata metadata;
  la_int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
  // (uid_t)-1 would mean "unchanged" to chown(2).
  for (la_int64_t id : {uid, gid}) {
    if (id < 0 || id >= UINT32_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat("owner ", uid, ":", gid, " is out of range"));
    }
  }
  metadata.uid = static_cast<uid_t>(uid);
  metadata.gid = static_cast<gid_t>(gid);
  metadata.permissions = archive_entry_perm(entry) & 07777;
  metadata.mtime.tv_sec = archive_entry_mtime(entry);
  metadata.mtime.tv_nsec = archive_entry_mtime_nsec(entry);
  const char* name;
  const void* value;
  size_t size;
  archive_entry_xattr_reset(entry);
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    if (!KeepXattr(name)) continue;
    metadata.xattrs[name] = std::string(static_cast<const char*>(value), size);
  }
  return metadata;
}

class Unpacker {
 public:
  Unpacker(TarStream& tar, UniqueFd root, const UnpackLimits& limits)
      : tar_(tar), writer_(std::move(root)), limits_(limits) {}

  absl::StatusOr<UnpackedTree> Run() {
    while (true) {
      ASSIGN_OR_RETURN(archive_entry * entry, tar_.Next());
      if (entry == nullptr) break;
      std::string name = TextOrEmpty(archive_entry_pathname(entry));
      RETURN_IF_ERROR(Unpack(entry, name),
                      absl::StrCat("entry \"", absl::CHexEscape(name), "\""));
    }
    RETURN_IF_ERROR(writer_.Finish());
    result_.implicit_directories.assign(writer_.implicit_directories().begin(),
                                        writer_.implicit_directories().end());
    return std::move(result_);
  }

 private:
  absl::Status Unpack(archive_entry* entry, const std::string& name) {
    if (++result_.entries > limits_.max_entries) {
      return absl::ResourceExhaustedError(
          absl::StrCat("more than ", limits_.max_entries, " entries"));
    }
    ASSIGN_OR_RETURN(std::string path, NormalPath(name, limits_.max_depth));
    absl::string_view base = path;
    base.remove_prefix(path.rfind('/') + 1);
    if (absl::StartsWith(base, kWhiteoutPrefix)) {
      return UnpackWhiteout(path, base);
    }
    if (const char* target = archive_entry_hardlink(entry)) {
      ASSIGN_OR_RETURN(std::string target_path,
                       NormalPath(target, limits_.max_depth), "hard link");
      return writer_.AddHardLink(path, target_path);
    }
    ASSIGN_OR_RETURN(FileMetadata metadata, MetadataOf(entry));
    return UnpackByType(entry, path, metadata);
  }

  absl::Status UnpackWhiteout(const std::string& path, absl::string_view base) {
    std::string directory =
        path.substr(0, path.size() - base.size());  // "" or "a/b/"
    if (base == kOpaqueName) {
      return writer_.AddOpaque(std::string(absl::StripSuffix(directory, "/")));
    }
    // AUFS's own records (".wh..wh.plnk" and the like) are no files.
    if (absl::StartsWith(base, kAufsPrefix)) return absl::OkStatus();
    absl::string_view hidden = absl::StripPrefix(base, kWhiteoutPrefix);
    if (hidden.empty() || hidden == "." || hidden == "..") {
      return absl::InvalidArgumentError("whiteout of nothing");
    }
    return writer_.AddWhiteout(absl::StrCat(directory, hidden));
  }

  absl::Status UnpackByType(archive_entry* entry, const std::string& path,
                            const FileMetadata& metadata) {
    mode_t type = archive_entry_filetype(entry);
    switch (type) {
      case AE_IFREG:
        return UnpackFile(entry, path, metadata);
      case AE_IFDIR:
        return writer_.AddDirectory(path, metadata);
      case AE_IFLNK:
        return UnpackSymlink(entry, path, metadata);
      case AE_IFCHR:
      case AE_IFBLK:
      case AE_IFIFO:
        return writer_.AddNode(path, type,
                               type == AE_IFIFO ? 0 : archive_entry_rdev(entry),
                               metadata);
      default:
        return absl::InvalidArgumentError(
            absl::StrFormat("unknown file type %#o", type));
    }
  }

  absl::Status UnpackSymlink(archive_entry* entry, const std::string& path,
                             const FileMetadata& metadata) {
    std::string target = TextOrEmpty(archive_entry_symlink(entry));
    if (target.empty()) {
      return absl::InvalidArgumentError("symbolic link to nothing");
    }
    return writer_.AddSymlink(path, target, metadata);
  }

  absl::Status UnpackFile(archive_entry* entry, const std::string& path,
                          const FileMetadata& metadata) {
    la_int64_t size = archive_entry_size(entry);
    if (size < 0) return absl::InvalidArgumentError("size is negative");
    uint64_t bytes = static_cast<uint64_t>(size);
    // Sparse entries say more bytes than the tar has.
    if (bytes > limits_.max_bytes - result_.size_bytes) {
      return absl::ResourceExhaustedError(absl::StrCat(
          "files are larger than ", limits_.max_bytes, " bytes together"));
    }
    result_.size_bytes += bytes;
    return writer_.AddFile(path, metadata,
                           [&](int fd) { return tar_.CopyData(fd, bytes); });
  }

  TarStream& tar_;
  TreeWriter writer_;
  const UnpackLimits limits_;
  UnpackedTree result_;
};

}  // namespace

absl::StatusOr<UnpackedTree> UnpackTar(TarStream& tar, UniqueFd root,
                                       const UnpackLimits& limits) {
  return Unpacker(tar, std::move(root), limits).Run();
}

}  // namespace davit
