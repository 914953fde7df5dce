#include "net/ipam/lease_index.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr char kIndexFile[] = ".index";
constexpr size_t kMaxIndexSize = 64 << 20;
constexpr int64_t kNanosecondsPerSecond = 1'000'000'000;

std::string FormatStamp(const timespec& time) {
  return absl::StrFormat("end %d.%09d\n", time.tv_sec, time.tv_nsec);
}

absl::StatusOr<std::string> StampOf(int directory) {
  struct stat info;
  if (fstat(directory, &info) < 0) return ErrnoError("fstat(leases)");
  return FormatStamp(info.st_mtim);
}

// Sets the directory's time to a moment between two and one seconds ago.
absl::StatusOr<std::string> MakeStamp(int directory) {
  uint32_t random;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
    return ErrnoError("getrandom(4)");
  }
  timespec times[2] = {{0, UTIME_OMIT}, {}};
  clock_gettime(CLOCK_REALTIME, &times[1]);
  times[1].tv_sec -= 2;
  times[1].tv_nsec = random % kNanosecondsPerSecond;
  if (futimens(directory, times) < 0) return ErrnoError("futimens(leases)");
  // As the file system has rounded it.
  return StampOf(directory);
}

bool CanBeIndexed(const Lease& lease) {
  auto is_word = [](const std::string& text) {
    return text.find_first_of(" \t\r\n") == std::string::npos;
  };
  return is_word(lease.owner.container_id) && is_word(lease.owner.ifname);
}

}  // namespace

absl::StatusOr<LeaseIndex> LeaseIndex::Read(int directory) {
  UniqueFd fd(openat(directory, kIndexFile,
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s)", kIndexFile);
  LeaseIndex index;
  ASSIGN_OR_RETURN(index.lines_, ReadAll(fd.get(), kMaxIndexSize));
  ASSIGN_OR_RETURN(std::string stamp, StampOf(directory));
  if (!absl::EndsWith(index.lines_, stamp)) {
    return absl::NotFoundError("the directory has changed since");
  }
  index.lines_.resize(index.lines_.size() - stamp.size());
  index.size_ = static_cast<size_t>(
      std::count(index.lines_.begin(), index.lines_.end(), '\n'));
  return index;
}

LeaseIndex LeaseIndex::Of(const std::vector<Lease>& leases) {
  LeaseIndex index;
  for (const Lease& lease : leases) index.Add(lease);
  return index;
}

std::vector<Lease> LeaseIndex::Find(const std::string& container_id) const {
  std::vector<Lease> leases;
  const std::string needle = absl::StrCat(" ", container_id, " ");
  for (size_t at = lines_.find(needle); at != std::string::npos;
       at = lines_.find(needle, at + 1)) {
    const size_t before = lines_.rfind('\n', at);
    const size_t begin = before == std::string::npos ? 0 : before + 1;
    const size_t ifname = at + needle.size();
    absl::StatusOr<IpAddress> address =
        IpAddress::Parse(lines_.substr(begin, at - begin));
    if (!address.ok()) continue;
    leases.push_back(
        {*address,
         {container_id,
          lines_.substr(ifname, lines_.find('\n', ifname) - ifname)}});
  }
  return leases;
}

void LeaseIndex::Add(const Lease& lease) {
  // Of an owner whose name is none, nobody will ask.
  if (!CanBeIndexed(lease)) return;
  absl::StrAppend(&lines_, lease.address.ToString(), " ",
                  lease.owner.container_id, " ", lease.owner.ifname, "\n");
  ++size_;
}

void LeaseIndex::Remove(const IpAddress& address) {
  const std::string start = absl::StrCat(address.ToString(), " ");
  size_t begin = 0;
  if (!absl::StartsWith(lines_, start)) {
    begin = lines_.find("\n" + start);
    if (begin == std::string::npos) return;
    ++begin;
  }
  lines_.erase(begin, lines_.find('\n', begin) + 1 - begin);
  --size_;
}

absl::Status LeaseIndex::Write(int directory) const {
  // Making the file changes the directory, so the stamp comes after that.
  UniqueFd fd(openat(directory, kIndexFile,
                     O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                     0600));
  if (!fd) return ErrnoError("open(%s)", kIndexFile);
  ASSIGN_OR_RETURN(std::string stamp, MakeStamp(directory));
  const std::string content = lines_ + stamp;
  // The stamp is the last that is written: whatever breaks off before that
  // leaves an old one at the end, or none.
  if (ftruncate(fd.get(), static_cast<off_t>(content.size())) < 0) {
    return ErrnoError("ftruncate(%s)", kIndexFile);
  }
  return WriteAll(fd.get(), content);
}

}  // namespace davit
