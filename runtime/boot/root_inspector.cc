#include "runtime/boot/root_inspector.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"
#include "runtime/base/uuid.h"

namespace davit {
namespace {

constexpr const char* kInits[] = {"/sbin/init", "/usr/lib/systemd/systemd",
                                  "/lib/systemd/systemd"};
// They look for encrypted and verified disks (a pod has no device mapper), for
// partitions, for an image to resume from and for a boot loader (these three
// end as soon as they see that they are in a container, or in no initrd), and
// for the machine's TPM, whose device no pod has.
constexpr const char* kIdleGenerators[] = {"systemd-cryptsetup-generator",
                                           "systemd-integritysetup-generator",
                                           "systemd-veritysetup-generator",
                                           "systemd-gpt-auto-generator",
                                           "systemd-hibernate-resume-generator",
                                           "systemd-bless-boot-generator",
                                           "systemd-tpm2-generator"};
constexpr char kGenerators[] = "/usr/lib/systemd/system-generators";
constexpr const char* kUnits[] = {"/etc/systemd/system/",
                                  "/usr/lib/systemd/system/"};
// Where it is run at each start, which ends the pause of generators.
constexpr char kTmpfilesSetup[] =
    "/usr/lib/systemd/system/sysinit.target.wants/"
    "systemd-tmpfiles-setup.service";
constexpr char kSharedLibrary[] = "libsystemd-shared-";

// Of those that systemd's own start begins with. These versions mount a file
// system for each, whether there are any or not; later ones have the services
// ask in another way.
constexpr const char* kCredentialReaders[] = {
    "systemd-sysctl.service", "systemd-sysusers.service",
    "systemd-tmpfiles-setup.service", "systemd-tmpfiles-setup-dev.service"};
constexpr int kFirstToMountCredentials = 250;
constexpr int kLastToMountCredentials = 253;
constexpr const char* kCredentialStores[] = {
    "/etc/credstore", "/etc/credstore.encrypted", "/usr/lib/credstore",
    "/usr/lib/credstore.encrypted", "/usr/local/lib/credstore"};

struct DirCloser {
  void operator()(DIR* dir) const { closedir(dir); }
};
using DirHandle = std::unique_ptr<DIR, DirCloser>;

UniqueFd OpenInRoot(int root, const std::string& path, int flags) {
  open_how how = {};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(
      syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how))));
}

// The id in the root's machine-id(5) as a UUID. Empty if the file is, or says
// "uninitialized": then systemd takes container_uuid.
std::string PresetUuid(int root) {
  // Not to block on a fifo that an image has there.
  UniqueFd fd = OpenInRoot(root, "/etc/machine-id", O_RDONLY | O_NONBLOCK);
  char id[33];
  ssize_t n = fd ? read(fd.get(), id, sizeof(id)) : -1;
  if (n < 32 || (n == 33 && id[32] != '\n')) return "";
  return UuidOfMachineId(absl::string_view(id, 32));
}

bool IsExecutable(int root, const std::string& path) {
  UniqueFd fd = OpenInRoot(root, path, O_PATH);
  struct stat st;
  return fd && fstat(fd.get(), &st) == 0 && S_ISREG(st.st_mode) &&
         (st.st_mode & 0111) != 0;
}

std::vector<std::string> IdleGenerators(int root) {
  std::vector<std::string> names;
  UniqueFd dir = OpenInRoot(root, kGenerators, O_PATH);
  if (!dir) return names;
  for (const char* name : kIdleGenerators) {
    if (IsExecutable(dir.get(), name)) names.emplace_back(name);
  }
  return names;
}

DirHandle OpenDirectory(int root, const std::string& path) {
  UniqueFd fd = OpenInRoot(root, path, O_RDONLY | O_DIRECTORY);
  if (!fd) return nullptr;
  DirHandle dir(fdopendir(fd.get()));
  if (dir != nullptr) fd.Release();
  return dir;
}

bool IsThere(int root, const std::string& path) {
  return OpenInRoot(root, path, O_PATH | O_NOFOLLOW).valid();
}

// fstab(5) without a line that says anything.
bool HasEmptyFstab(int root) {
  constexpr size_t kEnough = 4096;
  UniqueFd fd = OpenInRoot(root, "/etc/fstab", O_RDONLY | O_NONBLOCK);
  if (!fd) return errno == ENOENT;
  absl::StatusOr<std::string> text = ReadAll(fd.get(), kEnough);
  if (!text.ok()) return false;
  for (absl::string_view line : absl::StrSplit(*text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (!line.empty() && line[0] != '#') return false;
  }
  return true;
}

bool HasUnit(int root, absl::string_view script) {
  std::string unit = absl::StrCat(absl::StripSuffix(script, ".sh"), ".service");
  return std::any_of(
      std::begin(kUnits), std::end(kUnits),
      [&](const char* units) { return IsThere(root, units + unit); });
}

// Whether systemd has a unit of its own for each script of /etc/init.d, as
// Debian's packages bring one.
bool HasUnitsForAllScripts(int root) {
  DirHandle scripts = OpenDirectory(root, "/etc/init.d");
  if (scripts == nullptr) return errno == ENOENT;
  while (dirent* entry = readdir(scripts.get())) {
    if (IsExecutable(root, absl::StrCat("/etc/init.d/", entry->d_name)) &&
        !HasUnit(root, entry->d_name)) {
      return false;
    }
  }
  return true;
}

bool HasEntries(int root, const std::string& directory) {
  DirHandle dir = OpenDirectory(root, directory);
  if (dir == nullptr) return errno != ENOENT;
  int entries = 0;
  while (readdir(dir.get()) != nullptr) ++entries;
  return entries > 2;  // "." and ".."
}

std::vector<std::string> CredentialReaders(int root, int version) {
  std::vector<std::string> names;
  if (version < kFirstToMountCredentials || version > kLastToMountCredentials ||
      !IsThere(root, kTmpfilesSetup) ||
      std::any_of(std::begin(kCredentialStores), std::end(kCredentialStores),
                  [&](const char* store) { return HasEntries(root, store); })) {
    return names;
  }
  for (const char* name : kCredentialReaders) {
    if (IsThere(root, absl::StrCat("/usr/lib/systemd/system/", name))) {
      names.emplace_back(name);
    }
  }
  return names;
}

std::vector<PausedGenerator> PausedGenerators(int root) {
  std::vector<PausedGenerator> found;
  if (!IsThere(root, kTmpfilesSetup)) return found;
  UniqueFd dir = OpenInRoot(root, kGenerators, O_PATH);
  auto add = [&](bool nothing_to_do, const char* name, const char* input) {
    if (dir && nothing_to_do && IsExecutable(dir.get(), name)) {
      found.push_back({name, input});
    }
  };
  add(HasEmptyFstab(root), "systemd-fstab-generator", "/etc/fstab");
  add(!IsExecutable(root, "/etc/rc.local"), "systemd-rc-local-generator",
      "/etc/rc.local");
  add(HasUnitsForAllScripts(root), "systemd-sysv-generator", "/etc/init.d");
  add(!IsThere(root, "/system-update") && !IsThere(root, "/etc/system-update"),
      "systemd-system-update-generator", "/system-update");
  // They do what PID 1 is told by arguments and credentials.
  add(true, "systemd-debug-generator", "");
  add(true, "systemd-run-generator", "");
  return found;
}

// The number in "libsystemd-shared-252.so", "…-257.13-1~deb13u1.so"; 0: none.
int VersionOfLibrary(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kSharedLibrary)) return 0;
  size_t digits = 0;
  while (digits < name.size() && name[digits] >= '0' && name[digits] <= '9') {
    ++digits;
  }
  int version = 0;
  return absl::SimpleAtoi(name.substr(0, digits), &version) ? version : 0;
}

int VersionIn(int root, const std::string& directory) {
  DirHandle dir = OpenDirectory(root, directory);
  int version = 0;
  if (dir == nullptr) return 0;
  while (dirent* entry = readdir(dir.get())) {
    version = std::max(version, VersionOfLibrary(entry->d_name));
  }
  return version;
}

// Debian keeps the library in /usr/lib/<architecture>/systemd, others in
// /usr/lib/systemd or /usr/lib64/systemd.
int SystemdVersion(int root) {
  int version = 0;
  for (const char* directory :
       {"/usr/lib/systemd", "/usr/lib64/systemd", "/lib/systemd"}) {
    version = std::max(version, VersionIn(root, directory));
  }
  if (version != 0) return version;
  DirHandle libraries = OpenDirectory(root, "/usr/lib");
  if (libraries == nullptr) return 0;
  while (dirent* entry = readdir(libraries.get())) {
    if (!absl::StrContains(entry->d_name, "-linux-")) continue;
    version = std::max(
        version,
        VersionIn(root, absl::StrCat("/usr/lib/", entry->d_name, "/systemd")));
  }
  return version;
}

}  // namespace

absl::StatusOr<GuestFacts> InspectRoot(const std::string& root, bool need_init,
                                       const std::string& timezone) {
  UniqueFd fd(open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return ErrnoError("open(%s, O_DIRECTORY)", root);
  GuestFacts facts;
  facts.systemd_version = SystemdVersion(fd.get());
  facts.preset_uuid = PresetUuid(fd.get());
  facts.idle_generators = IdleGenerators(fd.get());
  facts.paused_generators = PausedGenerators(fd.get());
  facts.credential_readers = CredentialReaders(fd.get(), facts.systemd_version);
  facts.has_timezone =
      !timezone.empty() &&
      OpenInRoot(fd.get(), absl::StrCat("/usr/share/zoneinfo/", timezone),
                 O_PATH)
          .valid();
  if (!need_init) return facts;
  for (const char* path : kInits) {
    if (!IsExecutable(fd.get(), path)) continue;
    facts.init = path;
    return facts;
  }
  return absl::FailedPreconditionError(
      absl::StrCat("root image has no systemd: none of ",
                   absl::StrJoin(kInits, ", "), " exists"));
}

}  // namespace davit
