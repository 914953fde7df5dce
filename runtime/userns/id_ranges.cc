#include "runtime/userns/id_ranges.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/temporaries.h"
#include "runtime/base/unique_fd.h"

namespace davit {
namespace {

constexpr uint32_t kSize = 65536;

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};

// Held until the descriptor is closed. Whoever held it last may have been
// killed while it wrote.
absl::StatusOr<UniqueFd> Lock(const std::string& directory) {
  RETURN_IF_ERROR(MakeDirectories(directory, 0700));
  std::string path = directory + "/lock";
  UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!fd) return ErrnoError("open(%s, O_CREAT)", path);
  int result;
  do {
    result = flock(fd.get(), LOCK_EX);
  } while (result < 0 && errno == EINTR);
  if (result < 0) return ErrnoError("flock(%s)", path);
  RETURN_IF_ERROR(RemoveTemporaries(directory));
  return fd;
}

// Owners by base. What is no number is not a range.
absl::StatusOr<std::map<uint32_t, std::string>> ReadRanges(
    const std::string& directory) {
  std::map<uint32_t, std::string> ranges;
  std::unique_ptr<DIR, DirCloser> dir(opendir(directory.c_str()));
  if (dir == nullptr) return ErrnoError("opendir(%s)", directory);
  while (dirent* entry = readdir(dir.get())) {
    uint32_t base;
    if (!absl::SimpleAtoi(entry->d_name, &base)) continue;
    ASSIGN_OR_RETURN(ranges[base],
                     ReadFile(absl::StrCat(directory, "/", entry->d_name)));
  }
  return ranges;
}

// Bases whose range overlaps with a line "name:first:count" of the file.
std::set<uint32_t> Subordinates(const std::string& path) {
  std::set<uint32_t> bases;
  std::string text = ReadFile(path).value_or("");
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> field = absl::StrSplit(line, ':');
    uint64_t first = 0, count = 0;
    if (field.size() != 3 || !absl::SimpleAtoi(field[1], &first) ||
        !absl::SimpleAtoi(field[2], &count) || count == 0 ||
        first > UINT32_MAX) {
      continue;
    }
    uint64_t end = std::min<uint64_t>(first + count, uint64_t{1} << 32);
    for (uint64_t id = first - first % kSize; id < end; id += kSize) {
      bases.insert(static_cast<uint32_t>(id));
    }
  }
  return bases;
}

}  // namespace

absl::StatusOr<uint32_t> IdRanges::Take(const std::string& owner) const {
  const std::string& directory = options_.directory;
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(directory), "id ranges");
  ASSIGN_OR_RETURN(auto taken, ReadRanges(directory), "id ranges");
  for (const auto& [base, holder] : taken) {
    if (holder == owner) return base;
  }
  std::set<uint32_t> reserved = Subordinates(options_.subuid);
  reserved.merge(Subordinates(options_.subgid));
  uint64_t count = (options_.last - options_.first) / kSize + 1;
  // Spread, so that a pod soon after another does not get what that one had.
  uint64_t start = absl::Hash<std::string>()(owner) % count;
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t base =
        options_.first + static_cast<uint32_t>((start + i) % count) * kSize;
    if (reserved.count(base) != 0) continue;
    auto found = taken.find(base);
    if (found != taken.end() && PathExists(found->second)) continue;
    RETURN_IF_ERROR(
        WriteFileAtomic(absl::StrCat(directory, "/", base), owner, 0600),
        "id ranges");
    return base;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("id ranges: all ", count, " ranges of 65536 ids are taken"));
}

absl::Status IdRanges::Free(const std::string& owner) const {
  if (!PathExists(options_.directory)) return absl::OkStatus();
  ASSIGN_OR_RETURN(UniqueFd lock, Lock(options_.directory), "id ranges");
  ASSIGN_OR_RETURN(auto taken, ReadRanges(options_.directory), "id ranges");
  for (const auto& [base, holder] : taken) {
    if (holder != owner) continue;
    RETURN_IF_ERROR(RemoveFile(absl::StrCat(options_.directory, "/", base)));
  }
  return absl::OkStatus();
}

}  // namespace davit
