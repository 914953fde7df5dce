#include "runtime/boot/plan_steps.h"

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"

namespace davit {
namespace {

using Kind = FsStep::Kind;

constexpr uint64_t kNoSuidDevExec =
    MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
constexpr uint64_t kReadOnlyApi = kNoSuidDevExec | MOUNT_ATTR_RDONLY;
constexpr char kInaccessible[] = "/run/host/inaccessible/";

FsStep Mount(std::string target, std::string type, std::string options,
             uint64_t attributes) {
  return {.kind = Kind::kMount,
          .target = std::move(target),
          .source = std::move(type),
          .options = std::move(options),
          .attributes = attributes};
}

FsStep Directory(std::string target, mode_t mode) {
  return {.kind = Kind::kDirectory, .target = std::move(target), .mode = mode};
}

FsStep File(std::string target, std::string content, mode_t mode) {
  return {.kind = Kind::kFile,
          .target = std::move(target),
          .source = std::move(content),
          .mode = mode};
}

FsStep Symlink(std::string target, std::string to) {
  return {.kind = Kind::kSymlink,
          .target = std::move(target),
          .source = std::move(to)};
}

FsStep Node(std::string target, mode_t mode, dev_t device = 0) {
  return {.kind = Kind::kNode,
          .target = std::move(target),
          .mode = mode,
          .device = device};
}

FsStep Bind(std::string source, std::string target, uint64_t attributes) {
  return {.kind = Kind::kBind,
          .target = std::move(target),
          .source = std::move(source),
          .attributes = attributes};
}

FsStep BindIfPresent(std::string source, std::string target,
                     uint64_t attributes) {
  FsStep step = Bind(std::move(source), std::move(target), attributes);
  step.if_present = true;
  return step;
}

FsStep ReadOnly(std::string target) {
  return {.kind = Kind::kReadOnly, .target = std::move(target)};
}

FsStep Remove(std::string target) {
  return {.kind = Kind::kRemove, .target = std::move(target)};
}

struct DeviceNode {
  const char* name;
  unsigned major;
  unsigned minor;
};
constexpr DeviceNode kNodes[] = {
    {"null", 1, 3},   {"zero", 1, 5},    {"full", 1, 7},
    {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
};

// systemd.generator(7)
FsStep MaskGenerator(const std::string& name) {
  return Symlink(absl::StrCat("/run/systemd/system-generators/", name),
                 "/dev/null");
}

// The name under /sys/fs/cgroup that the host uses, and symlinks for each of
// several controllers that are mounted together.
void PlanHierarchy(const CgroupDir& dir, std::vector<FsStep>& steps) {
  std::string name = dir.mount_point.substr(dir.mount_point.rfind('/') + 1);
  std::string target = absl::StrCat("/sys/fs/cgroup/", name);
  if (dir.v2) {
    steps.push_back(Mount(target, "cgroup2", "", kNoSuidDevExec));
  } else if (dir.Has("name=systemd")) {
    steps.push_back(
        Mount(target, "cgroup", "none,name=systemd", kNoSuidDevExec));
  } else {
    // Or the pod could write its own limits and device list.
    steps.push_back(Mount(target, "cgroup", absl::StrJoin(dir.controllers, ","),
                          kReadOnlyApi));
  }
  if (dir.controllers.size() < 2) return;
  for (const std::string& controller : dir.controllers) {
    if (controller == name) continue;
    steps.push_back(Symlink(absl::StrCat("/sys/fs/cgroup/", controller), name));
  }
}

// A user as nss-systemd(8) looks it up, by name and by number, and the group;
// and its home (RH10, RH11). JSON user and group records:
// https://systemd.io/USER_RECORD, https://systemd.io/GROUP_RECORD.
void PlanUser(const PodUser& user, std::vector<FsStep>& steps) {
  constexpr char kUserdb[] = "/run/host/userdb/";
  std::string home = absl::StrCat("/run/host/home/", user.name);
  nlohmann::json record = {{"userName", user.name},
                           {"uid", user.uid},
                           {"gid", user.gid},
                           {"disposition", "regular"},
                           {"shell", user.shell}};
  record["homeDirectory"] = user.home.empty() ? "/" : home;
  nlohmann::json group = {
      {"groupName", user.name}, {"gid", user.gid}, {"disposition", "regular"}};
  steps.push_back(File(absl::StrCat(kUserdb, user.name, ".user"),
                       record.dump() + "\n", 0444));
  steps.push_back(
      Symlink(absl::StrCat(kUserdb, user.uid, ".user"), user.name + ".user"));
  steps.push_back(File(absl::StrCat(kUserdb, user.name, ".group"),
                       group.dump() + "\n", 0444));
  steps.push_back(
      Symlink(absl::StrCat(kUserdb, user.gid, ".group"), user.name + ".group"));
  if (user.home.empty()) return;
  steps.push_back({.kind = Kind::kHostBind,
                   .target = home,
                   .source = user.home,
                   .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV,
                   .recursive = true});
}

void PlanOverlays(const std::vector<PodOverlay>& overlays,
                  std::vector<FsStep>& steps) {
  for (const PodOverlay& overlay : overlays) {
    steps.push_back({.kind = Kind::kHostMount,
                     .target = overlay.target,
                     .source = "overlay",
                     .options = absl::StrCat(
                         "lowerdir=", absl::StrJoin(overlay.lower_dirs, ":")),
                     .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                   MOUNT_ATTR_NODEV});
  }
}

void PlanUsers(const std::vector<PodUser>& users, std::vector<FsStep>& steps) {
  if (users.empty()) return;
  steps.push_back(Directory("/run/host/userdb", 0755));
  steps.push_back(Directory("/run/host/home", 0755));
  for (const PodUser& user : users) PlanUser(user, steps);
}

// Credentials are in memory that is never swapped out.
void PlanCredentials(const std::map<std::string, std::string>& credentials,
                     std::vector<FsStep>& steps) {
  if (credentials.empty()) return;
  steps.push_back(
      Mount("/run/host/credentials", "ramfs", "mode=700", kNoSuidDevExec));
  for (const auto& [name, value] : credentials) {
    steps.push_back(
        File(absl::StrCat("/run/host/credentials/", name), value, 0400));
  }
  steps.push_back(ReadOnly("/run/host/credentials"));
}

}  // namespace

std::vector<DeviceRule> DefaultDeviceRules() {
  std::vector<DeviceRule> rules;
  for (const DeviceNode& node : kNodes) {
    rules.push_back({'c', node.major, static_cast<int>(node.minor), "rwm"});
  }
  rules.push_back({'c', 5, 2, "rwm"});    // ptmx
  rules.push_back({'c', 136, -1, "rw"});  // pts/*
  return rules;
}

void PlanApiMounts(std::vector<FsStep>& steps) {
  constexpr uint64_t kScratch =
      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_STRICTATIME;
  steps.push_back(Mount("/proc", "proc", "", kNoSuidDevExec));
  steps.push_back(Mount("/sys", "sysfs", "", kNoSuidDevExec));
  steps.push_back(Mount("/dev", "tmpfs", "mode=755,size=4m,nr_inodes=64k",
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_STRICTATIME));
  steps.push_back(
      Mount("/run", "tmpfs", "mode=755,size=20%,nr_inodes=800k", kScratch));
  steps.push_back(
      Mount("/tmp", "tmpfs", "mode=1777,size=10%,nr_inodes=1m", kScratch));
}

void PlanDevices(int extra_ttys, std::vector<FsStep>& steps) {
  for (const DeviceNode& node : kNodes) {
    steps.push_back(Node(absl::StrCat("/dev/", node.name), S_IFCHR | 0666,
                         makedev(node.major, node.minor)));
  }
  // Group 5 is "tty" on every distribution that systemd knows.
  steps.push_back(Mount("/dev/pts", "devpts",
                        "newinstance,ptmxmode=0666,mode=0620,gid=5",
                        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC));
  steps.push_back(
      Mount("/dev/shm", "tmpfs", "mode=1777,size=10%",
            MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_STRICTATIME));
  steps.push_back(Mount("/dev/mqueue", "mqueue", "", kNoSuidDevExec));
  steps.push_back(Symlink("/dev/ptmx", "pts/ptmx"));
  // The first pty; the others count on.
  steps.push_back({.kind = Kind::kConsole, .target = "/dev/console"});
  for (int i = 1; i <= extra_ttys; ++i) {
    steps.push_back(
        {.kind = Kind::kTty, .target = absl::StrCat("/dev/pts/", i)});
  }
}

std::string ExtraTtyNames(int count) {
  std::vector<std::string> names;
  for (int i = 1; i <= count; ++i) names.push_back(absl::StrCat("pts/", i));
  return absl::StrJoin(names, " ");
}

void PlanKmsg(std::vector<FsStep>& steps) {
  constexpr char kKmsg[] = "/run/host/kmsg";
  steps.push_back(Directory("/run/host", 0755));
  steps.push_back({.kind = Kind::kHeldFifo, .target = kKmsg, .mode = 0600});
  steps.push_back(Bind(kKmsg, "/proc/kmsg", kNoSuidDevExec));
}

void PlanRunHost(const RunHostContent& content, std::vector<FsStep>& steps) {
  // A file system of its own, so that making it read-only is one attribute.
  steps.push_back(Mount("/run/host", "tmpfs", "mode=755,size=4m,nr_inodes=1k",
                        kNoSuidDevExec));
  steps.push_back(Directory("/run/host/incoming", 0700));
  steps.push_back(Directory("/run/host/inaccessible", 0755));
  steps.push_back(Node(absl::StrCat(kInaccessible, "reg"), S_IFREG));
  steps.push_back(Directory(absl::StrCat(kInaccessible, "dir"), 0));
  steps.push_back(Node(absl::StrCat(kInaccessible, "fifo"), S_IFIFO));
  steps.push_back(Node(absl::StrCat(kInaccessible, "sock"), S_IFSOCK));
  steps.push_back(Node(absl::StrCat(kInaccessible, "chr"), S_IFCHR));
  steps.push_back(Node(absl::StrCat(kInaccessible, "blk"), S_IFBLK));
  steps.push_back(File("/run/host/container-manager",
                       absl::StrCat(content.manager, "\n"), 0444));
  steps.push_back(
      File("/run/host/container-uuid", absl::StrCat(content.uuid, "\n"), 0444));
  if (!content.os_release.empty()) {
    steps.push_back(File("/run/host/os-release", content.os_release, 0444));
  }
  PlanCredentials(content.credentials, steps);
  // Its other end is on the host (PodStart), which connects to what the pod
  // binds there.
  steps.push_back({.kind = Kind::kHostBind,
                   .target = "/run/host/unix-export",
                   .source = content.unix_export,
                   .attributes = kNoSuidDevExec,
                   .keep_ids = true});
  PlanUsers(content.users, steps);
  PlanOverlays(content.overlays, steps);
  steps.push_back({.kind = Kind::kNotifySocket, .target = "/run/host/notify"});
  steps.push_back(ReadOnly("/run/host"));
}

void PlanProc(const std::string& boot_id, bool own_network,
              std::vector<FsStep>& steps) {
  if (own_network) {
    // A mount of its own below the read-only one, so it stays writable.
    steps.push_back(Bind("/proc/sys", "/proc/sys", kNoSuidDevExec));
    steps.push_back(Bind("/proc/sys/net", "/proc/sys/net", kNoSuidDevExec));
    steps.push_back(ReadOnly("/proc/sys"));
  } else {
    steps.push_back(Bind("/proc/sys", "/proc/sys", kReadOnlyApi));
  }
  for (const char* hidden :
       {"kallsyms", "kcore", "keys", "sysrq-trigger", "timer_list"}) {
    steps.push_back(BindIfPresent(absl::StrCat(kInaccessible, "reg"),
                                  absl::StrCat("/proc/", hidden),
                                  kReadOnlyApi));
  }
  for (const char* name :
       {"acpi", "apm", "asound", "bus", "fs", "irq", "scsi"}) {
    std::string path = absl::StrCat("/proc/", name);
    steps.push_back(BindIfPresent(path, path, kReadOnlyApi));
  }
  // Or the journals of two boots of one pod would mix.
  constexpr char kBootId[] = "/run/.davit-boot-id";
  steps.push_back(File(kBootId, absl::StrCat(boot_id, "\n"), 0444));
  steps.push_back(
      Bind(kBootId, "/proc/sys/kernel/random/boot_id", kReadOnlyApi));
  steps.push_back(Remove(kBootId));
}

void PlanCgroupMounts(const PodCgroup& cgroup, bool unified_only,
                      std::vector<FsStep>& steps) {
  bool v1 = false;
  for (const CgroupDir& dir : cgroup.dirs()) v1 = v1 || !dir.v2;
  if (!v1 || unified_only) {
    steps.push_back(Mount("/sys/fs/cgroup", "cgroup2", "", kNoSuidDevExec));
    return;
  }
  steps.push_back(Mount("/sys/fs/cgroup", "tmpfs",
                        "mode=755,size=4m,nr_inodes=1k",
                        kNoSuidDevExec | MOUNT_ATTR_STRICTATIME));
  for (const CgroupDir& dir : cgroup.dirs()) PlanHierarchy(dir, steps);
  steps.push_back(ReadOnly("/sys/fs/cgroup"));
}

void PlanTimezone(const std::string& timezone, bool guest_has_it,
                  std::vector<FsStep>& steps) {
  if (timezone.empty()) return;
  // Without the link it is UTC anyway (localtime(5)), and small images have no
  // zones.
  if (!guest_has_it && (timezone == "UTC" || timezone == "Etc/UTC")) return;
  std::string file = absl::StrCat("/usr/share/zoneinfo/", timezone);
  if (!guest_has_it) {
    steps.push_back({.kind = Kind::kHostBind,
                     .target = file,
                     .source = file,
                     .attributes = kReadOnlyApi});
  }
  steps.push_back(Symlink("/etc/localtime", absl::StrCat("..", file)));
}

void PlanIdleGenerators(const std::vector<std::string>& names,
                        std::vector<FsStep>& steps) {
  for (const std::string& name : names) steps.push_back(MaskGenerator(name));
}

void PlanStartOnly(const std::vector<std::string>& generators,
                   const std::vector<std::string>& credential_readers,
                   std::vector<FsStep>& steps) {
  std::vector<FsStep> files;
  for (const std::string& name : generators) {
    files.push_back(MaskGenerator(name));
  }
  for (const std::string& name : credential_readers) {
    files.push_back(
        File(absl::StrCat("/run/systemd/system/", name, ".d/davit-start.conf"),
             "[Service]\nLoadCredential=\n", 0644));
  }
  if (files.empty()) return;
  std::string rules;
  for (const FsStep& file : files) {
    absl::StrAppend(&rules, "r! ", file.target, "\n");
  }
  files.push_back(File("/run/tmpfiles.d/davit-start.conf", rules, 0644));
  steps.insert(steps.end(), files.begin(), files.end());
}

void PlanSysReadOnly(bool has_selinux, std::vector<FsStep>& steps) {
  if (has_selinux) {
    steps.push_back({.kind = Kind::kHostBind,
                     .target = "/sys/fs/selinux",
                     .source = "/sys/fs/selinux",
                     .attributes = kReadOnlyApi});
  }
  // Only the mount: the superblock is the kernel's one and only sysfs.
  steps.push_back(ReadOnly("/sys"));
}

}  // namespace davit
