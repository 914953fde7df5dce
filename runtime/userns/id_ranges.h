#ifndef DAVIT_RUNTIME_USERNS_ID_RANGES_H_
#define DAVIT_RUNTIME_USERNS_ID_RANGES_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace davit {

// Which pods have which 65536 user and group ids of the machine. A registry on
// disk, shared by all agents of the machine under one lock (flock(2)):
//
//   <directory>/lock
//   <directory>/<base>    a range that is taken; its content is the owner, the
//                         absolute path of a directory that is the owner's
//                         alone
//
// A range whose owner's directory is gone is free: an agent that died leaves
// nothing taken for ever. The directory belongs below /run: ids are those of
// running pods, files on disk have others.
class IdRanges {
 public:
  // The first and last base that is handed out: above what useradd(8) gives to
  // people and their subordinate ids, the range that systemd keeps for
  // containers (https://systemd.io/UIDS-GIDS).
  static constexpr uint32_t kFirst = 0x00080000;
  static constexpr uint32_t kLast = 0x6fff0000;

  struct Options {
    std::string directory = "/run/davit-id-ranges";
    // subuid(5), subgid(5): what overlaps with an entry is not handed out.
    std::string subuid = "/etc/subuid";
    std::string subgid = "/etc/subgid";
    uint32_t first = kFirst;
    uint32_t last = kLast;
  };

  explicit IdRanges(Options options) : options_(std::move(options)) {}

  // The range of `owner`, a multiple of 65536; the same again if it has one.
  // ResourceExhausted if all are taken.
  absl::StatusOr<uint32_t> Take(const std::string& owner) const;

  // Frees the owner's range; OK if it has none.
  absl::Status Free(const std::string& owner) const;

 private:
  const Options options_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_USERNS_ID_RANGES_H_
