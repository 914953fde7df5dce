#ifndef DAVIT_RUNTIME_BOOT_PLAN_STEPS_H_
#define DAVIT_RUNTIME_BOOT_PLAN_STEPS_H_

#include <map>
#include <string>
#include <vector>

#include "runtime/boot/launch_plan.h"
#include "runtime/boot/launcher.h"
#include "runtime/cgroup/pod_cgroup.h"

// The parts of a pod's tree that systemd's Container Interface asks for (RHn,
// EEn are its points; facts/systemd-containers.md §1). All pure; each appends
// to `steps`. Call them in the order of this header.

namespace davit {

struct RunHostContent {
  std::string manager;     // container-manager: "davit"
  std::string uuid;        // container-uuid
  std::string os_release;  // the host's; empty: none
  std::map<std::string, std::string> credentials;
  std::vector<PodUser> users;
  std::string unix_export;  // directory of the host
  std::vector<PodOverlay> overlays;
};

// The names in /dev of `count` ptys beside the console: "pts/1 pts/2" (EV3).
std::string ExtraTtyNames(int count);

// The access rules for the nodes that PlanDevices makes (EE3).
std::vector<DeviceRule> DefaultDeviceRules();

// /proc, /sys, /dev, /run, /tmp (EE2, EE3).
void PlanApiMounts(std::vector<FsStep>& steps);
// Device nodes, pts, shm, mqueue, the console and more ptys (EE3, EV3).
void PlanDevices(int extra_ttys, std::vector<FsStep>& steps);
// /proc/kmsg, where a reader waits for messages that never come. Before
// PlanRunHost, which covers the fifo: the kernel mounts nothing over a file
// that was removed, as services with ProtectKernelLogs= want it.
void PlanKmsg(std::vector<FsStep>& steps);
// /run/host with all below it, read-only at the end (RH0 to RH11).
void PlanRunHost(const RunHostContent& content, std::vector<FsStep>& steps);
// /proc: read-only and masked parts, a boot_id of the pod's own.
// With a network namespace of its own the pod may write to /proc/sys/net (EE2).
void PlanProc(const std::string& boot_id, bool own_network,
              std::vector<FsStep>& steps);
// The pod's cgroups (EE6): all hierarchies as the host has them, controllers of
// v1 read-only, or with `unified_only` just v2.
void PlanCgroupMounts(const PodCgroup& cgroup, bool unified_only,
                      std::vector<FsStep>& steps);
// /etc/localtime, a relative link into the pod's zoneinfo; a zone that it lacks
// comes from the host (AI1).
void PlanTimezone(const std::string& timezone, bool guest_has_it,
                  std::vector<FsStep>& steps);
// Masks generators of the guest by links in /run (systemd.generator(7)): each
// is a process before the first unit.
void PlanIdleGenerators(const std::vector<std::string>& names,
                        std::vector<FsStep>& steps);
// Spares the guest's start what it would do for nothing: these generators, and
// a mount for the credentials of each of these services (systemd.exec(5),
// LoadCredential=). All of it goes with the first run of its
// systemd-tmpfiles(8), so that after a daemon-reload, or a restart of a
// service, what somebody has put there by then counts.
void PlanStartOnly(const std::vector<std::string>& generators,
                   const std::vector<std::string>& credential_readers,
                   std::vector<FsStep>& steps);
// /sys becomes read-only; its selinuxfs too where the host has one (EE2, EE4).
void PlanSysReadOnly(bool has_selinux, std::vector<FsStep>& steps);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_PLAN_STEPS_H_
