#include "runtime/image/archive_stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"

namespace davit {
namespace {

constexpr size_t kReadSize = 256 << 10;

struct ArchiveDeleter {
  void operator()(archive* a) const { archive_read_free(a); }
};
using Archive = std::unique_ptr<archive, ArchiveDeleter>;

std::string ErrorText(archive* a) {
  const char* text = archive_error_string(a);
  return text != nullptr ? text : "unknown error";
}

// The first two stages: a file, hashed, as a decompressed stream, hashed.
class Decompressor {
 public:
  Decompressor(UniqueFd fd, uint64_t max_bytes, ReadProgress* progress)
      : fd_(std::move(fd)),
        buffer_(kReadSize),
        max_bytes_(max_bytes),
        progress_(progress),
        archive_(archive_read_new()) {}

  absl::Status Open() {
    archive* a = archive_.get();
    if (a == nullptr) return absl::ResourceExhaustedError("out of memory");
    archive_read_support_filter_gzip(a);
    archive_read_support_filter_xz(a);
    archive_read_support_filter_zstd(a);
    archive_read_support_filter_bzip2(a);
    archive_read_support_format_raw(a);
    archive_read_support_format_empty(a);
    if (archive_read_open(a, this, nullptr, &Decompressor::ReadFile, nullptr) !=
        ARCHIVE_OK) {
      return Failure();
    }
    compressed_ = archive_filter_code(a, 0) != ARCHIVE_FILTER_NONE;
    archive_entry* entry;
    int rc = archive_read_next_header(a, &entry);
    if (rc == ARCHIVE_EOF) at_end_ = true;
    if (rc < ARCHIVE_WARN) return Failure();
    return absl::OkStatus();
  }

  // Sets `*data` to the next decompressed bytes; empty at the end.
  absl::Status NextBlock(absl::string_view* data) {
    *data = {};
    if (!status_.ok()) return status_;
    while (!at_end_ && data->empty()) {
      const void* block = nullptr;
      size_t size = 0;
      la_int64_t offset = 0;
      int rc = archive_read_data_block(archive_.get(), &block, &size, &offset);
      if (rc == ARCHIVE_EOF) at_end_ = true;
      if (rc < ARCHIVE_WARN) return status_ = Failure();
      *data = absl::string_view(static_cast<const char*>(block), size);
    }
    stream_bytes_ += data->size();
    if (stream_bytes_ > max_bytes_) {
      return status_ = absl::ResourceExhaustedError(
                 absl::StrCat("archive is larger than ", max_bytes_, " bytes"));
    }
    // Without compression both digests are the same.
    if (compressed_) tar_hash_.Update(*data);
    return absl::OkStatus();
  }

  absl::StatusOr<StreamDigests> Finish() {
    absl::string_view rest;
    do {
      RETURN_IF_ERROR(NextBlock(&rest));
    } while (!rest.empty());
    const void* unused;
    while (true) {
      la_ssize_t n = ReadFile(archive_.get(), this, &unused);
      if (n < 0) return status_;
      if (n == 0) break;
    }
    StreamDigests digests;
    digests.blob = blob_hash_.Finish();
    digests.blob_size = blob_bytes_;
    digests.diff_id = compressed_ ? tar_hash_.Finish() : digests.blob;
    return digests;
  }

  const absl::Status& status() const { return status_; }

 private:
  static la_ssize_t ReadFile(archive* a, void* self_pointer,
                             const void** data) {
    auto* self = static_cast<Decompressor*>(self_pointer);
    *data = self->buffer_.data();
    ssize_t n;
    do {
      n = read(self->fd_.get(), self->buffer_.data(), self->buffer_.size());
    } while (n < 0 && errno == EINTR);
    absl::Status status;
    if (n < 0) {
      status = ErrnoError("read");
    } else {
      absl::string_view bytes(self->buffer_.data(), static_cast<size_t>(n));
      self->blob_hash_.Update(bytes);
      self->blob_bytes_ += bytes.size();
      if (self->progress_ != nullptr) {
        status = self->progress_->Add(bytes.size());
      }
    }
    if (status.ok()) return n;
    self->status_ = status;
    archive_set_error(a, EIO, "%s", std::string(status.message()).c_str());
    return ARCHIVE_FATAL;
  }

  absl::Status Failure() {
    if (!status_.ok()) return status_;
    return absl::DataLossError(
        absl::StrCat("cannot decompress: ", ErrorText(archive_.get())));
  }

  UniqueFd fd_;
  std::vector<char> buffer_;
  const uint64_t max_bytes_;
  ReadProgress* const progress_;
  Archive archive_;
  Sha256 blob_hash_;
  Sha256 tar_hash_;
  uint64_t blob_bytes_ = 0;
  uint64_t stream_bytes_ = 0;
  bool compressed_ = false;
  bool at_end_ = false;
  absl::Status status_;  // the first failure, which libarchive only quotes
};

class LibarchiveTarStream : public TarStream {
 public:
  LibarchiveTarStream(UniqueFd fd, uint64_t max_bytes, ReadProgress* progress)
      : source_(std::move(fd), max_bytes, progress),
        archive_(archive_read_new()) {}

  absl::Status Open() {
    RETURN_IF_ERROR(source_.Open());
    archive* a = archive_.get();
    if (a == nullptr) return absl::ResourceExhaustedError("out of memory");
    archive_read_support_format_tar(a);
    archive_read_support_format_empty(a);
    if (archive_read_open(a, this, nullptr, &LibarchiveTarStream::ReadStream,
                          nullptr) != ARCHIVE_OK) {
      return Failure();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<archive_entry*> Next() override {
    archive_entry* entry = nullptr;
    int rc = archive_read_next_header(archive_.get(), &entry);
    if (rc == ARCHIVE_EOF) return nullptr;
    // A warning is mostly a name that the locale cannot show; its bytes are
    // kept all the same.
    if (rc < ARCHIVE_WARN) return Failure();
    return entry;
  }

  absl::Status CopyData(int fd, uint64_t size) override {
    while (true) {
      const void* block = nullptr;
      size_t length = 0;
      la_int64_t offset = 0;
      int rc =
          archive_read_data_block(archive_.get(), &block, &length, &offset);
      if (rc == ARCHIVE_EOF) break;
      if (rc < ARCHIVE_WARN) return Failure();
      RETURN_IF_ERROR(WriteAt(fd, block, length, offset, size));
    }
    if (ftruncate(fd, static_cast<off_t>(size)) < 0) {
      return ErrnoError("ftruncate(%d)", size);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<StreamDigests> Finish() override { return source_.Finish(); }

 private:
  static la_ssize_t ReadStream(archive* a, void* self_pointer,
                               const void** data) {
    auto* self = static_cast<LibarchiveTarStream*>(self_pointer);
    absl::string_view block;
    absl::Status status = self->source_.NextBlock(&block);
    if (!status.ok()) {
      archive_set_error(a, EIO, "%s", std::string(status.message()).c_str());
      return ARCHIVE_FATAL;
    }
    *data = block.data();
    return static_cast<la_ssize_t>(block.size());
  }

  static absl::Status WriteAt(int fd, const void* data, size_t length,
                              la_int64_t offset, uint64_t size) {
    if (offset < 0 || static_cast<uint64_t>(offset) > size ||
        length > size - static_cast<uint64_t>(offset)) {
      return absl::InvalidArgumentError("data lie beyond the entry's size");
    }
    const char* from = static_cast<const char*>(data);
    while (length > 0) {
      ssize_t n = pwrite(fd, from, length, offset);
      if (n < 0) {
        if (errno == EINTR) continue;
        return ErrnoError("pwrite(%d bytes)", length);
      }
      from += n;
      offset += n;
      length -= static_cast<size_t>(n);
    }
    return absl::OkStatus();
  }

  absl::Status Failure() {
    if (!source_.status().ok()) return source_.status();
    std::string text = ErrorText(archive_.get());
    if (archive_format(archive_.get()) == 0) {
      return absl::InvalidArgumentError(absl::StrCat("not a tar: ", text));
    }
    return absl::DataLossError(absl::StrCat("broken tar: ", text));
  }

  Decompressor source_;
  Archive archive_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TarStream>> TarStream::Open(
    UniqueFd fd, uint64_t max_bytes, ReadProgress* progress) {
  auto stream =
      std::make_unique<LibarchiveTarStream>(std::move(fd), max_bytes, progress);
  RETURN_IF_ERROR(stream->Open());
  return stream;
}

}  // namespace davit
