#include "runtime/app/pod_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/process_id.h"
#include "runtime/base/status_macros.h"
#include "runtime/rootfs/openat2.h"

namespace davit {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const { closedir(directory); }
};

// Opens what `place` (O_PATH) refers to, if it is of `type` (S_IF…).
absl::StatusOr<UniqueFd> OpenIfOfType(const UniqueFd& place, mode_t type,
                                      int flags, const std::string& path) {
  struct stat info;
  if (fstat(place.get(), &info) < 0) return ErrnoError("fstat(%s)", path);
  if ((info.st_mode & S_IFMT) != type) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " of the pod has an unexpected file type"));
  }
  UniqueFd fd(open(absl::StrCat("/proc/self/fd/", place.get()).c_str(),
                   flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd) return ErrnoError("open(%s, %#x)", path, flags);
  return fd;
}

// /dev/ptmx and its like: a clone device with this number in every devpts.
bool IsPtmx(const UniqueFd& place) {
  struct stat info;
  return fstat(place.get(), &info) == 0 && S_ISCHR(info.st_mode) &&
         info.st_rdev == makedev(5, 2);
}

// Gives `fd` to a user of the pod, whose ids are not ours with a user
// namespace: they begin at the owner of /run there.
absl::Status GiveToPod(int root, int fd, uint32_t uid = 0) {
  UniqueFd run = OpenBelow(root, "run", O_PATH | O_DIRECTORY, Lookup::kInRoot);
  struct stat info;
  if (!run || fstat(run.get(), &info) < 0) return ErrnoError("stat(/run)");
  uid_t owner = info.st_uid + uid;
  if (fchownat(fd, "", owner, info.st_gid, AT_EMPTY_PATH) < 0) {
    return ErrnoError("fchownat(%d, %d)", owner, info.st_gid);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PodTree> PodTree::Open(const PodRef& pod) {
  ASSIGN_OR_RETURN(ProcessHandle init, ProcessHandle::Open(pod.init));
  std::string path = absl::StrCat("/proc/", pod.init.pid, "/root");
  UniqueFd root(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return ErrnoError("open(%s)", path);
  // Alive after the open: so the pid was the pod's at the open.
  if (!init.IsAlive()) {
    return absl::NotFoundError(
        absl::StrCat("process ", pod.init.pid, " has exited"));
  }
  return PodTree(std::move(root));
}

absl::StatusOr<std::string> PodTree::ReadFile(const std::string& path,
                                              size_t limit) const {
  UniqueFd place = OpenBelow(root_.get(), path, O_PATH, Lookup::kInRoot);
  if (!place) return ErrnoError("openat2(%s) in the pod", path);
  ASSIGN_OR_RETURN(UniqueFd file, OpenIfOfType(place, S_IFREG, O_RDONLY, path));
  std::string content(limit, '\0');
  ssize_t size = pread(file.get(), content.data(), limit, 0);
  if (size < 0) return ErrnoError("pread(%s) in the pod", path);
  content.resize(static_cast<size_t>(size));
  return content;
}

absl::StatusOr<std::vector<std::string>> PodTree::ListDirectory(
    const std::string& path, size_t limit) const {
  UniqueFd fd =
      OpenBelow(root_.get(), path, O_RDONLY | O_DIRECTORY, Lookup::kInRoot);
  if (!fd) return ErrnoError("openat2(%s) in the pod", path);
  std::unique_ptr<DIR, DirectoryCloser> directory(fdopendir(fd.get()));
  if (directory == nullptr) return ErrnoError("fdopendir(%s)", path);
  fd.Release();  // the directory owns it now
  std::vector<std::string> names;
  while (names.size() < limit) {
    const dirent* entry = readdir(directory.get());
    if (entry == nullptr) break;
    std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(std::move(name));
  }
  return names;
}

absl::StatusOr<UniqueFd> PodTree::MakeFifo(const std::string& directory,
                                           const std::string& name) const {
  UniqueFd parent =
      OpenBelow(root_.get(), directory, O_PATH | O_DIRECTORY, Lookup::kInRoot);
  if (!parent) return ErrnoError("openat2(%s) in the pod", directory);
  std::string path = absl::StrCat(directory, "/", name);
  if (unlinkat(parent.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s) in the pod", path);
  }
  if (mkfifoat(parent.get(), name.c_str(), 0600) < 0) {
    return ErrnoError("mkfifo(%s) in the pod", path);
  }
  UniqueFd place(
      openat(parent.get(), name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!place) return ErrnoError("open(%s, O_PATH) in the pod", path);
  ASSIGN_OR_RETURN(UniqueFd fifo, OpenIfOfType(place, S_IFIFO, O_RDONLY, path));
  RETURN_IF_ERROR(GiveToPod(root_.get(), fifo.get()), path);
  return fifo;
}

absl::Status PodTree::RemoveFile(const std::string& directory,
                                 const std::string& name) const {
  UniqueFd parent =
      OpenBelow(root_.get(), directory, O_PATH | O_DIRECTORY, Lookup::kInRoot);
  if (!parent) return ErrnoError("openat2(%s) in the pod", directory);
  if (unlinkat(parent.get(), name.c_str(), 0) < 0 && errno != ENOENT) {
    return ErrnoError("unlink(%s/%s) in the pod", directory, name);
  }
  return absl::OkStatus();
}

absl::StatusOr<PodTree::Pty> PodTree::OpenPty(uint32_t uid) const {
  constexpr char kPath[] = "dev/pts/ptmx";
  UniqueFd place = OpenBelow(root_.get(), kPath, O_PATH, Lookup::kInRoot);
  if (!place) return ErrnoError("openat2(%s) in the pod", kPath);
  if (!IsPtmx(place)) {
    return absl::FailedPreconditionError("/dev/pts/ptmx of the pod is no ptmx");
  }
  Pty pty;
  ASSIGN_OR_RETURN(pty.master, OpenIfOfType(place, S_IFCHR, O_RDWR, kPath));
  int unlock = 0;
  if (ioctl(pty.master.get(), TIOCSPTLCK, &unlock) < 0) {
    return ErrnoError("ioctl(%s, TIOCSPTLCK)", kPath);
  }
  pty.slave = UniqueFd(
      ioctl(pty.master.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (!pty.slave) return ErrnoError("ioctl(%s, TIOCGPTPEER)", kPath);
  RETURN_IF_ERROR(GiveToPod(root_.get(), pty.slave.get(), uid),
                  "pty of the pod");
  return pty;
}

// passwd(5): "name:password:uid:…".
absl::StatusOr<uint32_t> PodTree::FindUser(const std::string& user) const {
  uint32_t number;
  if (absl::SimpleAtoi(user, &number)) return number;
  constexpr size_t kLongestPasswd = 1 << 20;
  ASSIGN_OR_RETURN(std::string text, ReadFile("etc/passwd", kLongestPasswd));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    std::vector<absl::string_view> field =
        absl::StrSplit(line, absl::MaxSplits(':', 3));
    if (field.size() == 4 && field[0] == user &&
        absl::SimpleAtoi(field[2], &number)) {
      return number;
    }
  }
  return absl::NotFoundError(
      absl::StrCat("no user \"", user, "\" in the pod's /etc/passwd"));
}

}  // namespace davit
