#include "runtime/image/tar_builder.h"

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>

#include <filesystem>
#include <utility>

#include "runtime/base/file.h"

namespace davit::testing {
namespace {

void Require(int rc) {
  if (rc < ARCHIVE_WARN) abort();
}

la_ssize_t Append(archive*, void* out, const void* data, size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(data), size);
  return static_cast<la_ssize_t>(size);
}

void SetCompression(archive* a, Compression compression) {
  switch (compression) {
    case Compression::kNone:
      return Require(archive_write_add_filter_none(a));
    case Compression::kGzip:
      return Require(archive_write_add_filter_gzip(a));
    case Compression::kZstd:
      return Require(archive_write_add_filter_zstd(a));
    case Compression::kXz:
      return Require(archive_write_add_filter_xz(a));
  }
}

void Write(archive* a, const TarEntry& from) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, from.path.c_str());
  archive_entry_set_mode(entry, from.mode);
  archive_entry_set_uid(entry, from.uid);
  archive_entry_set_gid(entry, from.gid);
  archive_entry_set_mtime(entry, from.mtime, from.mtime_nsec);
  archive_entry_set_rdev(entry, from.device);
  if (!from.symlink.empty()) {
    archive_entry_set_symlink(entry, from.symlink.c_str());
  }
  if (!from.hardlink.empty()) {
    archive_entry_set_hardlink(entry, from.hardlink.c_str());
  }
  for (const auto& [name, value] : from.xattrs) {
    archive_entry_xattr_add_entry(entry, name.c_str(), value.data(),
                                  value.size());
  }
  archive_entry_set_size(entry, static_cast<int64_t>(from.data.size()));
  Require(archive_write_header(a, entry));
  if (!from.data.empty()) {
    archive_write_data(a, from.data.data(), from.data.size());
  }
  archive_entry_free(entry);
}

}  // namespace

TarBuilder& TarBuilder::Add(TarEntry entry) {
  entries_.push_back(std::move(entry));
  return *this;
}

TarBuilder& TarBuilder::Dir(const std::string& path, mode_t mode) {
  return Add({.path = path, .mode = S_IFDIR | mode});
}

TarBuilder& TarBuilder::File(const std::string& path, const std::string& data,
                             mode_t mode) {
  return Add({.path = path, .mode = S_IFREG | mode, .data = data});
}

TarBuilder& TarBuilder::Symlink(const std::string& path,
                                const std::string& target) {
  return Add({.path = path, .mode = S_IFLNK | 0777, .symlink = target});
}

TarBuilder& TarBuilder::HardLink(const std::string& path,
                                 const std::string& target) {
  return Add({.path = path, .hardlink = target});
}

std::string TarBuilder::Build(Compression compression) const {
  std::string out;
  archive* a = archive_write_new();
  SetCompression(a, compression);
  Require(archive_write_set_format_pax(a));
  // No padding behind the compressed data, which real tools do not write.
  Require(archive_write_set_bytes_in_last_block(a, 1));
  Require(archive_write_open(a, &out, nullptr, Append, nullptr));
  for (const TarEntry& entry : entries_) Write(a, entry);
  Require(archive_write_close(a));
  archive_write_free(a);
  return out;
}

std::string TarOfDirectory(const std::string& directory) {
  TarBuilder tar;
  for (const auto& item :
       std::filesystem::recursive_directory_iterator(directory)) {
    std::string path = std::filesystem::relative(item.path(), directory);
    if (item.is_directory()) {
      tar.Dir(path);
    } else {
      tar.File(path, ReadFile(item.path(), size_t{1} << 30).value());
    }
  }
  return tar.Build();
}

}  // namespace davit::testing
