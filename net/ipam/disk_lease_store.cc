#include "net/ipam/disk_lease_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kLockFile[] = "lock";
constexpr char kTemporary[] = ".tmp-lease";

// Go ends the line of the container's id like this.
constexpr char kLineBreak[] = "\r\n";

// No lease is as long: an id of a path component's length and an ifname.
constexpr size_t kMaxLeaseSize = 4096;

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

std::string LastReservedName(int set) {
  return absl::StrCat("last_reserved_ip.", set);
}

LeaseOwner ParseOwner(const std::string& content) {
  size_t end = content.find(kLineBreak);
  if (end == std::string::npos) return {content, ""};
  return {content.substr(0, end), content.substr(end + 2)};
}

absl::StatusOr<std::string> NetworkPath(const std::string& data_dir,
                                        const std::string& network) {
  if (network.empty() || network == "." || network == ".." ||
      absl::StrContains(network, '/')) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "network name \"%s\" cannot name a directory", network));
  }
  return absl::StrCat(data_dir, "/", network);
}

}  // namespace

// Unlocks by closing: the lock belongs to the open file description.
class DiskLeaseStore::FileLock : public LeaseStore::Held {
 public:
  FileLock(DiskLeaseStore* store, UniqueFd fd)
      : store_(*store), fd_(std::move(fd)) {}
  ~FileLock() override { store_.SaveIndex(); }

 private:
  DiskLeaseStore& store_;
  UniqueFd fd_;
};

absl::StatusOr<std::unique_ptr<DiskLeaseStore>> DiskLeaseStore::Open(
    const std::string& data_dir, const std::string& network) {
  ASSIGN_OR_RETURN(std::string path, NetworkPath(data_dir, network));
  RETURN_IF_ERROR(MakeDirectories(path, 0755));
  return OpenExisting(data_dir, network);
}

absl::StatusOr<std::unique_ptr<DiskLeaseStore>> DiskLeaseStore::OpenExisting(
    const std::string& data_dir, const std::string& network) {
  ASSIGN_OR_RETURN(std::string path, NetworkPath(data_dir, network));
  UniqueFd directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return ErrnoError("open(%s, O_DIRECTORY)", path);
  return std::unique_ptr<DiskLeaseStore>(
      new DiskLeaseStore(std::move(path), std::move(directory)));
}

absl::StatusOr<std::unique_ptr<LeaseStore::Held>> DiskLeaseStore::Lock() {
  UniqueFd fd(openat(directory_.get(), kLockFile,
                     O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                     0600));
  if (!fd) return ErrnoError("open(%s/%s)", path_, kLockFile);
  while (flock(fd.get(), LOCK_EX) < 0) {
    if (errno != EINTR) return ErrnoError("flock(%s/%s)", path_, kLockFile);
  }
  return std::make_unique<FileLock>(this, std::move(fd));
}

std::string DiskLeaseStore::ReadSmallFile(const std::string& name) const {
  // O_NONBLOCK: a FIFO must not hang us.
  UniqueFd fd(openat(directory_.get(), name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) < 0 || !S_ISREG(info.st_mode)) return "";
  absl::StatusOr<std::string> content = ReadAll(fd.get(), kMaxLeaseSize);
  if (!content.ok()) return "";
  return std::string(absl::StripAsciiWhitespace(*content));
}

absl::StatusOr<std::vector<Lease>> DiskLeaseStore::List() {
  UniqueFd fd(
      openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path_);
  DirectoryStream stream(fdopendir(fd.get()));
  if (stream == nullptr) return ErrnoError("fdopendir(%s)", path_);
  fd.Release();  // the stream's now

  std::vector<Lease> leases;
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    absl::StatusOr<IpAddress> address = IpAddress::Parse(name);
    if (!address.ok() || address->ToString() != name) continue;
    std::string content = ReadSmallFile(name);
    if (!content.empty()) leases.push_back({*address, ParseOwner(content)});
  }
  if (errno != 0) return ErrnoError("readdir(%s)", path_);
  return leases;
}

absl::Status DiskLeaseStore::LoadIndex() {
  absl::StatusOr<LeaseIndex> index = LeaseIndex::Read(directory_.get());
  if (index.ok()) {
    index_ = *std::move(index);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(std::vector<Lease> leases, List());
  index_ = LeaseIndex::Of(leases);
  index_changed_ = true;
  return absl::OkStatus();
}

void DiskLeaseStore::SaveIndex() {
  // It is only a hint, and the next one finds out if it could not be written.
  if (index_changed_ && index_->size() >= LeaseIndex::kWorthwhile) {
    index_->Write(directory_.get()).IgnoreError();
  }
  index_.reset();
  index_changed_ = false;
}

absl::StatusOr<std::vector<Lease>> DiskLeaseStore::ListOf(
    const LeaseOwner& owner) {
  if (!index_.has_value()) RETURN_IF_ERROR(LoadIndex());
  std::vector<Lease> leases;
  for (const Lease& lease : index_->Find(owner.container_id)) {
    // Somebody may have written to the file itself.
    const std::string content = ReadSmallFile(lease.address.ToString());
    if (!content.empty()) {
      leases.push_back({lease.address, ParseOwner(content)});
    }
  }
  return LeasesOf(leases, owner);
}

// True unless the name is free. The empty rest of a crashed Go plugin is
// removed, see the class comment.
absl::StatusOr<bool> DiskLeaseStore::IsTaken(const std::string& name) {
  struct stat info;
  if (fstatat(directory_.get(), name.c_str(), &info, AT_SYMLINK_NOFOLLOW) < 0) {
    if (errno == ENOENT) return false;
    return ErrnoError("stat(%s/%s)", path_, name);
  }
  if (!S_ISREG(info.st_mode) || info.st_size > 0) return true;
  RETURN_IF_ERROR(Remove(name));
  return false;
}

absl::Status DiskLeaseStore::WriteNewFile(const std::string& name,
                                          const std::string& content,
                                          int flags) {
  UniqueFd fd(openat(
      directory_.get(), name.c_str(),
      O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | flags, 0600));
  if (!fd) return ErrnoError("open(%s/%s)", path_, name);
  return Annotate(WriteAll(fd.get(), content), absl::StrCat(path_, "/", name));
}

absl::StatusOr<bool> DiskLeaseStore::Reserve(const IpAddress& address,
                                             const LeaseOwner& owner, int set) {
  const std::string name = address.ToString();
  ASSIGN_OR_RETURN(bool taken, IsTaken(name));
  if (taken) return false;

  Rollback rollback;
  // Removed before it is written: after a crash between link and unlink it may
  // be a second name of a lease, which must not be truncated.
  RETURN_IF_ERROR(Remove(kTemporary));
  rollback.Add("remove temporary", [this] { return Remove(kTemporary); });
  RETURN_IF_ERROR(WriteNewFile(
      kTemporary, absl::StrCat(owner.container_id, kLineBreak, owner.ifname),
      O_EXCL));
  if (linkat(directory_.get(), kTemporary, directory_.get(), name.c_str(), 0) <
      0) {
    if (errno == EEXIST) return false;
    return ErrnoError("link(%s/%s, %s)", path_, kTemporary, name);
  }
  rollback.Add("remove lease", [&] { return Remove(name); });
  RETURN_IF_ERROR(Remove(kTemporary));
  RETURN_IF_ERROR(WriteNewFile(LastReservedName(set), name, O_TRUNC));
  rollback.Commit();
  if (index_.has_value()) {
    index_->Add({address, owner});
    index_changed_ = true;
  }
  return true;
}

absl::Status DiskLeaseStore::Remove(const std::string& name) {
  if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s/%s)", path_, name);
  }
  return absl::OkStatus();
}

absl::Status DiskLeaseStore::Release(const IpAddress& address) {
  if (index_.has_value()) {
    index_->Remove(address);
    index_changed_ = true;
  }
  return Remove(address.ToString());
}

std::optional<IpAddress> DiskLeaseStore::LastReserved(int set) {
  absl::StatusOr<IpAddress> address =
      IpAddress::Parse(ReadSmallFile(LastReservedName(set)));
  if (!address.ok()) return std::nullopt;
  return *address;
}

}  // namespace davit
