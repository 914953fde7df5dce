#include "runtime/cgroup/hierarchy.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unescape_octal.h"

namespace davit {
namespace {

constexpr absl::string_view kSystemd = "name=systemd";

struct CgroupMount {
  std::string root;
  std::string mount_point;
  bool read_only = false;
  bool v2 = false;
  std::vector<std::string> options;  // of the superblock
};

// One line: "36 31 0:33 / /sys/fs/cgroup/memory rw,relatime shared:4 - cgroup
// cgroup rw,memory". False if it is no cgroup mount of the host.
bool ParseMountLine(absl::string_view line, CgroupMount& mount) {
  std::pair<absl::string_view, absl::string_view> halves =
      absl::StrSplit(line, absl::MaxSplits(" - ", 1));
  std::vector<absl::string_view> left = absl::StrSplit(halves.first, ' ');
  std::vector<absl::string_view> right = absl::StrSplit(halves.second, ' ');
  if (left.size() < 6 || right.size() < 3) return false;
  if (right[0] != "cgroup" && right[0] != "cgroup2") return false;
  if (right[1] == kOwnCgroupMount) return false;
  mount.root = UnescapeOctal(left[3]);
  mount.mount_point = UnescapeOctal(left[4]);
  std::vector<absl::string_view> flags = absl::StrSplit(left[5], ',');
  mount.read_only = std::find(flags.begin(), flags.end(), "ro") != flags.end();
  mount.v2 = right[0] == "cgroup2";
  mount.options = absl::StrSplit(right[2], ',');
  return true;
}

// /proc/PID/cgroup: "4:memory:/x", "9:name=systemd:/", "0::/". The controllers
// of a line are what identifies a v1 hierarchy; a superblock may also carry
// "xattr", "clone_children" or "release_agent=…".
std::map<std::string, std::string> ParseMembership(absl::string_view text) {
  std::map<std::string, std::string> paths;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> fields =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (fields.size() == 3) {
      paths[std::string(fields[1])] = std::string(fields[2]);
    }
  }
  return paths;
}

bool HasAll(const std::vector<std::string>& options,
            const std::vector<std::string>& wanted) {
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& one) {
    return std::find(options.begin(), options.end(), one) != options.end();
  });
}

// The directory under the mount that shows `path`; a mount may show only a part
// of its hierarchy (its root field is not "/").
bool DirectoryOf(const CgroupMount& mount, absl::string_view path,
                 std::string& directory) {
  absl::string_view rest = path;
  if (mount.root != "/") {
    if (rest != mount.root && !absl::StartsWith(rest, mount.root + "/")) {
      return false;
    }
    rest.remove_prefix(mount.root.size());
  }
  if (rest == "/") rest = "";
  // A cgroup outside of our cgroup namespace shows as "/../x".
  if (absl::StartsWith(rest, "/..")) return false;
  directory = absl::StrCat(mount.mount_point, rest);
  return true;
}

}  // namespace

absl::StatusOr<std::vector<CgroupHierarchy>> ParseCgroupHierarchies(
    absl::string_view mountinfo, absl::string_view proc_cgroup) {
  std::vector<CgroupMount> mounts;
  for (absl::string_view line : absl::StrSplit(mountinfo, '\n')) {
    CgroupMount mount;
    if (ParseMountLine(line, mount) && !mount.read_only) {
      mounts.push_back(std::move(mount));
    }
  }
  std::vector<CgroupHierarchy> result;
  for (const auto& [key, path] : ParseMembership(proc_cgroup)) {
    bool v2 = key.empty();
    if (absl::StartsWith(key, "name=") && key != kSystemd) continue;
    std::vector<std::string> controllers;
    if (!v2) controllers = absl::StrSplit(key, ',');
    for (const CgroupMount& mount : mounts) {
      CgroupHierarchy found;
      if (mount.v2 != v2 || !HasAll(mount.options, controllers) ||
          !DirectoryOf(mount, path, found.own_dir)) {
        continue;
      }
      found.v2 = v2;
      found.controllers = controllers;
      found.mount_point = mount.mount_point;
      found.own_path = path;
      result.push_back(std::move(found));
      break;
    }
  }
  if (result.empty()) {
    return absl::FailedPreconditionError(
        "no writable cgroup hierarchy is mounted");
  }
  return result;
}

absl::StatusOr<std::vector<CgroupHierarchy>> DiscoverCgroupHierarchies() {
  return DiscoverCgroupHierarchiesOf(getpid());
}

absl::StatusOr<std::vector<CgroupHierarchy>> DiscoverCgroupHierarchiesOf(
    pid_t pid) {
  ASSIGN_OR_RETURN(std::string mountinfo, ReadFile("/proc/self/mountinfo"));
  ASSIGN_OR_RETURN(std::string membership,
                   ReadFile(absl::StrCat("/proc/", pid, "/cgroup")));
  return ParseCgroupHierarchies(mountinfo, membership);
}

}  // namespace davit
