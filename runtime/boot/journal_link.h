#ifndef DAVIT_RUNTIME_BOOT_JOURNAL_LINK_H_
#define DAVIT_RUNTIME_BOOT_JOURNAL_LINK_H_

#include <string>

#include "absl/status/status.h"

namespace davit {

// A pod's journal in the host's journal directory, so that "journalctl -m"
// shows both (AI2 of systemd's Container Interface).
struct JournalLink {
  std::string host_root;   // "/var/log/journal"; absent: the host keeps none
  std::string host_id;     // the host's machine id
  std::string machine_id;  // the pod's
  std::string pod_root;    // the pod's /var/log/journal, on the host
  std::string intent;      // where to remember it
};

// Makes <host_root>/<machine_id> a link to <pod_root>/<machine_id>, unless the
// host keeps no journal, or the pod has an id that is not its own: the host's,
// or that of another pod, whose link stays.
absl::Status LinkJournal(const JournalLink& link);

// Removes what the intent tells of, and the intent. OK if there is none; a link
// that leads elsewhere by now is left alone.
absl::Status UnlinkJournal(const std::string& intent);

}  // namespace davit

#endif  // DAVIT_RUNTIME_BOOT_JOURNAL_LINK_H_
