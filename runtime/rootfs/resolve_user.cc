#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/rootfs/openat2.h"
#include "runtime/rootfs/resolve.h"

namespace davit {
namespace {

constexpr size_t kMaxFileBytes = 16 << 20;

struct PasswdEntry {
  std::string name;
  unsigned uid = 0;
  unsigned gid = 0;
  std::string home;
};

struct GroupEntry {
  std::string name;
  unsigned gid = 0;
  std::vector<std::string> members;
};

// (uid_t)-1 means "unchanged" to chown(2) and setresuid(2), so it is no id.
std::optional<unsigned> ParseId(absl::string_view text) {
  uint32_t id;
  if (text.empty() || text.find_first_not_of("0123456789") != text.npos ||
      !absl::SimpleAtoi(text, &id) || id == UINT32_MAX) {
    return std::nullopt;
  }
  return id;
}

// Empty if the image has no such file.
absl::StatusOr<std::string> ReadInRoot(int root_fd, const std::string& path) {
  // O_NONBLOCK: a FIFO of that name must not hold us up.
  UniqueFd fd =
      OpenBelow(root_fd, path, O_RDONLY | O_NONBLOCK, Lookup::kInRoot);
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return "";
    return ErrnoError("open(%s)", path);
  }
  struct stat st;
  if (fstat(fd.get(), &st) < 0) return ErrnoError("fstat(%s)", path);
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " is not a regular file"));
  }
  ASSIGN_OR_RETURN(std::string text, ReadAll(fd.get(), kMaxFileBytes), path);
  return text;
}

// passwd(5). Lines that make no sense are skipped, as libc does.
std::vector<PasswdEntry> ParsePasswd(const std::string& text) {
  std::vector<PasswdEntry> entries;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> field = absl::StrSplit(line, ':');
    if (field.size() < 6 || field[0].empty()) continue;
    auto uid = ParseId(field[2]), gid = ParseId(field[3]);
    if (!uid || !gid) continue;
    entries.push_back({field[0], *uid, *gid, field[5]});
  }
  return entries;
}

// group(5).
std::vector<GroupEntry> ParseGroup(const std::string& text) {
  std::vector<GroupEntry> entries;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<std::string> field = absl::StrSplit(line, ':');
    if (field.size() < 4 || field[0].empty()) continue;
    auto gid = ParseId(field[2]);
    if (!gid) continue;
    entries.push_back(
        {field[0], *gid, absl::StrSplit(field[3], ',', absl::SkipEmpty())});
  }
  return entries;
}

// By name first: a user may be called "1000".
const PasswdEntry* FindUser(const std::vector<PasswdEntry>& passwd,
                            const std::string& text) {
  for (const PasswdEntry& entry : passwd) {
    if (entry.name == text) return &entry;
  }
  std::optional<unsigned> uid = ParseId(text);
  for (const PasswdEntry& entry : passwd) {
    if (uid && entry.uid == *uid) return &entry;
  }
  return nullptr;
}

absl::StatusOr<unsigned> FindGroup(const std::vector<GroupEntry>& groups,
                                   const std::string& text) {
  for (const GroupEntry& entry : groups) {
    if (entry.name == text) return entry.gid;
  }
  if (std::optional<unsigned> gid = ParseId(text)) return *gid;
  return absl::NotFoundError(
      absl::StrCat("group \"", text, "\" not found in the image's /etc/group"));
}

std::vector<unsigned> GroupsOf(const std::vector<GroupEntry>& groups,
                               const std::string& user, unsigned primary) {
  std::vector<unsigned> gids;
  for (const GroupEntry& entry : groups) {
    bool is_member = std::find(entry.members.begin(), entry.members.end(),
                               user) != entry.members.end();
    bool is_known = entry.gid == primary || std::find(gids.begin(), gids.end(),
                                                      entry.gid) != gids.end();
    if (is_member && !is_known) gids.push_back(entry.gid);
  }
  return gids;
}

}  // namespace

absl::StatusOr<ResolvedUser> ResolveUser(const std::string& root,
                                         const std::string& user) {
  UniqueFd root_fd(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root_fd) return ErrnoError("open(%s, O_DIRECTORY)", root);
  ASSIGN_OR_RETURN(std::string passwd_text,
                   ReadInRoot(root_fd.get(), "/etc/passwd"));
  ASSIGN_OR_RETURN(std::string group_text,
                   ReadInRoot(root_fd.get(), "/etc/group"));
  std::vector<PasswdEntry> passwd = ParsePasswd(passwd_text);
  std::vector<GroupEntry> groups = ParseGroup(group_text);

  std::pair<std::string, std::string> parts =
      absl::StrSplit(user, absl::MaxSplits(':', 1));
  std::string user_part = parts.first.empty() ? "0" : parts.first;

  ResolvedUser result;
  const PasswdEntry* entry = FindUser(passwd, user_part);
  if (entry != nullptr) {
    result.uid = entry->uid;
    result.gid = entry->gid;
    if (!entry->home.empty()) result.home = entry->home;
  } else if (std::optional<unsigned> uid = ParseId(user_part)) {
    result.uid = *uid;
  } else {
    return absl::NotFoundError(absl::StrCat(
        "user \"", user_part, "\" not found in the image's /etc/passwd"));
  }
  if (!parts.second.empty()) {
    // As in Docker: an explicit group is the only one.
    ASSIGN_OR_RETURN(result.gid, FindGroup(groups, parts.second));
  } else if (entry != nullptr) {
    result.supplementary_gids = GroupsOf(groups, entry->name, result.gid);
  }
  return result;
}

}  // namespace davit
