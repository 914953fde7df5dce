#include "runtime/sandbox/capabilities.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <initializer_list>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

// Indexed by number; the order is the kernel's ABI.
constexpr absl::string_view kNames[] = {
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
};
constexpr int kNameCount = sizeof(kNames) / sizeof(kNames[0]);
static_assert(kNames[CAP_CHECKPOINT_RESTORE] == "CHECKPOINT_RESTORE");
static_assert(kNames[CAP_SYS_ADMIN] == "SYS_ADMIN");

constexpr uint64_t Bits(std::initializer_list<int> numbers) {
  uint64_t bits = 0;
  for (int number : numbers) bits |= uint64_t{1} << number;
  return bits;
}

constexpr uint64_t kPod = Bits({CAP_CHOWN,
                                CAP_DAC_OVERRIDE,
                                CAP_DAC_READ_SEARCH,
                                CAP_FOWNER,
                                CAP_FSETID,
                                CAP_IPC_OWNER,
                                CAP_KILL,
                                CAP_LEASE,
                                CAP_LINUX_IMMUTABLE,
                                CAP_MKNOD,
                                CAP_NET_BIND_SERVICE,
                                CAP_NET_BROADCAST,
                                CAP_NET_RAW,
                                CAP_NET_ADMIN,
                                CAP_SETFCAP,
                                CAP_SETGID,
                                CAP_SETPCAP,
                                CAP_SETUID,
                                CAP_SYS_ADMIN,
                                CAP_SYS_BOOT,
                                CAP_SYS_CHROOT,
                                CAP_SYS_NICE,
                                CAP_SYS_PTRACE,
                                CAP_SYS_RESOURCE,
                                CAP_SYS_TTY_CONFIG});

constexpr uint64_t kApp =
    Bits({CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID, CAP_KILL,
          CAP_SETGID, CAP_SETUID, CAP_SETPCAP, CAP_NET_BIND_SERVICE,
          CAP_NET_RAW, CAP_SYS_CHROOT, CAP_MKNOD, CAP_SETFCAP});
static_assert((kApp & ~kPod) == 0);

bool IsAll(absl::string_view name) {
  return absl::EqualsIgnoreCase(name, "ALL") ||
         absl::EqualsIgnoreCase(name, "CAP_ALL");
}

// The kernel's 64 bits in two words of 32.
void Split(uint64_t bits, uint32_t& low, uint32_t& high) {
  low = static_cast<uint32_t>(bits);
  high = static_cast<uint32_t>(bits >> 32);
}

absl::Status DropFromBoundingSet(uint64_t keep) {
  for (int number = 0; prctl(PR_CAPBSET_READ, number) >= 0; ++number) {
    if ((keep >> number & 1) != 0) continue;
    if (prctl(PR_CAPBSET_DROP, number) < 0) {
      return ErrnoError("prctl(PR_CAPBSET_DROP, %s)", CapabilityName(number));
    }
  }
  return absl::OkStatus();
}

absl::Status ClearInheritable() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (syscall(SYS_capget, &header, data) < 0) return ErrnoError("capget");
  data[0].inheritable = data[1].inheritable = 0;
  if (syscall(SYS_capset, &header, data) < 0) {
    return ErrnoError("capset(inheritable=0)");
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t DefaultPodCapabilities() { return kPod; }

uint64_t DefaultAppCapabilities() { return kApp; }

absl::StatusOr<int> CapabilityByName(absl::string_view name) {
  absl::string_view bare = name;
  if (absl::StartsWithIgnoreCase(bare, "CAP_")) bare.remove_prefix(4);
  for (int number = 0; number < kNameCount; ++number) {
    if (absl::EqualsIgnoreCase(bare, kNames[number])) return number;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown capability \"", name, "\""));
}

std::string CapabilityName(int number) {
  if (number < 0 || number >= kNameCount) return absl::StrCat("CAP_", number);
  return absl::StrCat("CAP_", kNames[number]);
}

absl::StatusOr<uint64_t> CapabilitySet(uint64_t base,
                                       const std::vector<std::string>& add,
                                       const std::vector<std::string>& drop) {
  uint64_t added = 0, dropped = 0;
  for (const std::string& name : drop) {
    if (IsAll(name)) {
      dropped = ~uint64_t{0};
      continue;
    }
    ASSIGN_OR_RETURN(int number, CapabilityByName(name));
    dropped |= uint64_t{1} << number;
  }
  bool add_all = false;
  for (const std::string& name : add) {
    if (IsAll(name)) {
      add_all = true;
      continue;
    }
    ASSIGN_OR_RETURN(int number, CapabilityByName(name));
    if ((kPod >> number & 1) == 0) {
      return absl::PermissionDeniedError(
          absl::StrCat("capability ", CapabilityName(number),
                       " cannot be added: pods do not have it"));
    }
    added |= uint64_t{1} << number;
  }
  if (add_all) base = kPod;
  return (base & ~dropped) | added;
}

absl::Status LimitCapabilities(uint64_t bounding) {
  RETURN_IF_ERROR(DropFromBoundingSet(bounding));
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0) {
    return ErrnoError("prctl(PR_CAP_AMBIENT_CLEAR_ALL)");
  }
  return ClearInheritable();
}

absl::Status SetProcessCapabilities(uint64_t permitted, uint64_t effective,
                                    uint64_t inheritable) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  Split(permitted, data[0].permitted, data[1].permitted);
  Split(effective, data[0].effective, data[1].effective);
  Split(inheritable, data[0].inheritable, data[1].inheritable);
  if (syscall(SYS_capset, &header, data) < 0) {
    return ErrnoError("capset(permitted=%#x, effective=%#x, inheritable=%#x)",
                      permitted, effective, inheritable);
  }
  return absl::OkStatus();
}

}  // namespace davit
