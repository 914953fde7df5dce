#ifndef DAVIT_NET_NETNS_NETNS_PINS_H_
#define DAVIT_NET_NETNS_NETNS_PINS_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "net/netns/netns.h"

namespace davit {

// The pinned network namespaces of one agent's pods. Other CNI runtimes name
// their pins in the same way in the same directory, so each of ours is recorded
// in a place of our own before it is made and until it is gone:
//
//   <netns_dir>/cni-<pod id>   the pin, for `ip netns` and `nsenter --net=`
//   <record_dir>/<pod id>      text: the pin's path
//
// Thread-safe for different pods; the caller serialises calls for one.
class NetnsPins {
 public:
  NetnsPins(std::string netns_dir, std::string record_dir)
      : netns_dir_(std::move(netns_dir)), record_dir_(std::move(record_dir)) {}

  // Forgets records that have no pin: those of before a reboot or of a crash in
  // Create(), half-written ones too. For an agent's start, before any other
  // call.
  absl::Status ForgetMissing();

  // Makes and pins a namespace, "lo" up; returns the pin's path. AlreadyExists
  // if the pin is there, ours or another's. `pod_id` must be a file name.
  absl::StatusOr<std::string> Create(const std::string& pod_id);

  // The same with a namespace that exists (Netns::Adopt).
  absl::StatusOr<std::string> Adopt(const std::string& pod_id, int fd);

  // Unpins. OK if there is no pin.
  absl::Status Remove(const std::string& pod_id);

  // The pods whose pin exists (leftover plain files included), sorted.
  absl::StatusOr<std::vector<std::string>> List() const;

  std::string PinPath(const std::string& pod_id) const;

 private:
  absl::StatusOr<std::string> Record(
      const std::string& pod_id,
      const std::function<absl::StatusOr<Netns>(const std::string&)>& make);
  std::string RecordPath(const std::string& pod_id) const;

  std::string netns_dir_;
  std::string record_dir_;
};

}  // namespace davit

#endif  // DAVIT_NET_NETNS_NETNS_PINS_H_
