#ifndef DAVIT_NET_CNI_CACHE_H_
#define DAVIT_NET_CNI_CACHE_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/cni/attachment.h"
#include "net/cni/json.h"

namespace davit {

// What has to be known to undo an ADD, whatever happens to us or to the
// configuration in between.
struct CniCacheEntry {
  std::string network;
  CniAttachment attachment;
  std::string config;             // the configuration list's text
  std::optional<CniJson> result;  // none: ADD had begun, nothing more is known
};

// What names an attachment.
struct CniCacheKey {
  std::string network;
  std::string container_id;
  std::string ifname;
  bool operator==(const CniCacheKey&) const = default;
};

// The attachments of this node on disk, in the format of Go's libcni
// ("cniCacheV1", libcni/api.go), readable by each other:
//
//   <cache_dir>/results/                               0700
//   <cache_dir>/results/<network>-<container>-<ifname>  0600, one attachment
//
// Beyond libcni: files are replaced atomically and durably, and an entry
// without "result" is written before an ADD begins. Thread-safe for different
// attachments. The parts of a key must be valid names (network_config.h).
class CniCache {
 public:
  explicit CniCache(std::string cache_dir)
      : dir_(std::move(cache_dir) + "/results") {}

  // Creates or replaces the attachment's entry.
  absl::Status Put(const CniCacheEntry& entry) const;

  // NotFound if there is no entry; DataLoss if the file is no entry of this
  // attachment: cut short, of another format, or of a clash of names (each part
  // of the file's name may hold '-').
  absl::StatusOr<CniCacheEntry> Get(const std::string& network,
                                    const std::string& container_id,
                                    const std::string& ifname) const;

  // All attachments whose files can be read, in order of the files' names.
  // Those of broken files go to `broken` (unless null) as far as the file's
  // name tells: containers whose id is a UUID, as our pods' are.
  absl::StatusOr<std::vector<CniCacheEntry>> List(
      std::vector<CniCacheKey>* broken = nullptr) const;

  // OK if there is no entry. May come back after a power failure, so what
  // follows from an entry must be repeatable, as DEL is.
  absl::Status Remove(const std::string& network,
                      const std::string& container_id,
                      const std::string& ifname) const;

  // Removes what a write that was interrupted has left. Before anything else.
  absl::Status RemoveTemporaries() const;

 private:
  std::string Path(const std::string& network, const std::string& container_id,
                   const std::string& ifname) const;

  std::string dir_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_CACHE_H_
