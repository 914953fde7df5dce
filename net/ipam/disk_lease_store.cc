#include "net/ipam/disk_lease_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "net/netlink/stable_hash.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/rollback.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kLockFile[] = "lock";
constexpr char kTemporary[] = ".tmp-lease";

// The start of a lease's second name, see the class comment.
constexpr char kOwnerName[] = ".owner-";

// Go ends the line of the container's id like this.
constexpr char kLineBreak[] = "\r\n";

// No lease is as long: an id of a path component's length and an ifname.
constexpr size_t kMaxLeaseSize = 4096;

// Unlocks by closing: the lock belongs to the open file description.
class FileLock : public LeaseStore::Held {
 public:
  explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}

 private:
  UniqueFd fd_;
};

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};
using DirectoryStream = std::unique_ptr<DIR, DirectoryCloser>;

std::string LastReservedName(int set) {
  return absl::StrCat("last_reserved_ip.", set);
}

// Of the container alone: a lease may name no interface.
std::string OwnerNamePrefix(const LeaseOwner& owner) {
  return absl::StrFormat("%s%016x-", kOwnerName,
                         StableHash({owner.container_id}));
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

absl::StatusOr<std::unique_ptr<DiskLeaseStore>> DiskLeaseStore::Open(
    const std::string& data_dir, const std::string& network) {
  auto store = OpenExisting(data_dir, network);
  if (!absl::IsNotFound(store.status())) return store;
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
  return std::make_unique<FileLock>(std::move(fd));
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

absl::Status DiskLeaseStore::ForEachEntry(
    absl::FunctionRef<void(absl::string_view, uint64_t)> visit) const {
  UniqueFd fd(
      openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", path_);
  DirectoryStream stream(fdopendir(fd.get()));
  if (stream == nullptr) return ErrnoError("fdopendir(%s)", path_);
  fd.Release();  // the stream's now
  for (;;) {
    errno = 0;
    const dirent* entry = readdir(stream.get());
    if (entry == nullptr) break;
    visit(entry->d_name, entry->d_ino);
  }
  if (errno != 0) return ErrnoError("readdir(%s)", path_);
  return absl::OkStatus();
}

std::optional<Lease> DiskLeaseStore::ReadLease(const std::string& name) const {
  absl::StatusOr<IpAddress> address = IpAddress::Parse(name);
  if (!address.ok() || address->ToString() != name) return std::nullopt;
  std::string content = ReadSmallFile(name);
  if (content.empty()) return std::nullopt;
  return Lease{*address, ParseOwner(content)};
}

absl::StatusOr<std::vector<Lease>> DiskLeaseStore::List() {
  std::vector<Lease> leases;
  RETURN_IF_ERROR(ForEachEntry([&](absl::string_view name, uint64_t) {
    std::optional<Lease> lease = ReadLease(std::string(name));
    if (lease.has_value()) leases.push_back(*std::move(lease));
  }));
  return leases;
}

absl::StatusOr<std::vector<Lease>> DiskLeaseStore::ListOf(
    const LeaseOwner& owner) {
  const std::string own_names = OwnerNamePrefix(owner);
  absl::flat_hash_set<uint64_t> others;                  // inodes
  std::vector<std::pair<std::string, uint64_t>> leases;  // name and inode
  RETURN_IF_ERROR(ForEachEntry([&](absl::string_view name, uint64_t inode) {
    if (name[0] != '.') {
      leases.emplace_back(name, inode);
    } else if (absl::StartsWith(name, kOwnerName) &&
               !absl::StartsWith(name, own_names)) {
      others.insert(inode);
    }
  }));
  std::vector<Lease> found;
  for (const auto& [name, inode] : leases) {
    if (others.contains(inode)) continue;
    std::optional<Lease> lease = ReadLease(name);
    if (lease.has_value()) found.push_back(*std::move(lease));
  }
  return LeasesOf(found, owner);
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
  rollback.Add("remove lease", [&] { return Release(address); });
  RETURN_IF_ERROR(
      Rename(kTemporary, absl::StrCat(OwnerNamePrefix(owner), name)));
  RETURN_IF_ERROR(WriteNewFile(LastReservedName(set), name, O_TRUNC));
  rollback.Commit();
  return true;
}

absl::Status DiskLeaseStore::Remove(const std::string& name) {
  if (unlinkat(directory_.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s/%s)", path_, name);
  }
  return absl::OkStatus();
}

absl::Status DiskLeaseStore::Rename(const std::string& from,
                                    const std::string& to) {
  if (renameat(directory_.get(), from.c_str(), directory_.get(), to.c_str()) <
      0) {
    return ErrnoError("rename(%s/%s, %s)", path_, from, to);
  }
  return absl::OkStatus();
}

absl::Status DiskLeaseStore::Release(const IpAddress& address) {
  const std::string name = address.ToString();
  // The second name first: a lease without one is still found.
  std::optional<Lease> lease = ReadLease(name);
  if (lease.has_value()) {
    RETURN_IF_ERROR(Remove(absl::StrCat(OwnerNamePrefix(lease->owner), name)));
  }
  return Remove(name);
}

std::optional<IpAddress> DiskLeaseStore::LastReserved(int set) {
  absl::StatusOr<IpAddress> address =
      IpAddress::Parse(ReadSmallFile(LastReservedName(set)));
  if (!address.ok()) return std::nullopt;
  return *address;
}

}  // namespace davit
