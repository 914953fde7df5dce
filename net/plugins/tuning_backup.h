#ifndef DAVIT_NET_PLUGINS_TUNING_BACKUP_H_
#define DAVIT_NET_PLUGINS_TUNING_BACKUP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netlink/link.h"
#include "net/plugins/tuning_config.h"

namespace davit {

// <data dir>/<container id>_<ifname>.json: what tuning changed of an interface,
// as it was, in the format of Go's plugin:
//
//   {"mac": "02:…", "promisc": false, "mtu": 1500, "allmulti": false,
//    "txQLen": 1000}
std::string TuningBackupPath(const std::string& data_dir,
                             const std::string& container_id,
                             const std::string& ifname);

// Writes what `config` is about to change of `link`. Creates the directory.
absl::Status WriteTuningBackup(const std::string& path,
                               const TuningConfig& config, const Link& link);

// What has to be changed for the interface to be as it was. NotFound if there
// is no backup; InvalidArgument if it cannot be understood.
absl::StatusOr<LinkChange> ReadTuningBackup(const std::string& path);

}  // namespace davit

#endif  // DAVIT_NET_PLUGINS_TUNING_BACKUP_H_
