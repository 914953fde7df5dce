#ifndef DAVIT_RUNTIME_APP_POD_BUS_H_
#define DAVIT_RUNTIME_APP_POD_BUS_H_

#include <poll.h>
#include <systemd/sd-bus.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/app/pod_apps.h"

namespace davit {

struct BusMessageDeleter {
  void operator()(sd_bus_message* message) const {
    sd_bus_message_unref(message);
  }
};
using BusMessage = std::unique_ptr<sd_bus_message, BusMessageDeleter>;

struct BusSlotDeleter {
  void operator()(sd_bus_slot* slot) const { sd_bus_slot_unref(slot); }
};
using BusSlot = std::unique_ptr<sd_bus_slot, BusSlotDeleter>;

// An error reply, or a negative errno of sd-bus, as a Status: "call: message".
// NotFound for units that do not exist, DeadlineExceeded, Unavailable when the
// connection is gone.
absl::Status BusError(const sd_bus_error& error, int result,
                      absl::string_view call);

// Waits until the pod's systemd hangs up, as PodApps::AwaitShutdown says. By a
// connection that never introduces itself: to one that has, systemd sends all
// that changes while it stops its units, which doubles its work.
// DeadlineExceeded after `timeout`, or a minute: it hangs up by itself later.
absl::Status AwaitHangUp(const PodRef& pod, const std::string& app_launcher,
                         absl::Duration timeout);

// A peer-to-peer D-Bus connection to the systemd of a pod (sd-bus(3)). One
// thread at a time. Every wait has a deadline, whatever the peer does.
class PodBus {
 public:
  // Connects by `davit-app connect` (launcher/connect.h says why) and makes
  // sure that the peer is the pod's PID 1. NotFound if the pod has ended,
  // Unavailable if its systemd takes no connection (now).
  static absl::StatusOr<PodBus> Connect(const PodRef& pod,
                                        const std::string& app_launcher,
                                        absl::Time deadline);

  sd_bus* get() const { return bus_.get(); }

  // A call to org.freedesktop.systemd1 with the named interface's short name
  // ("Manager"); append its arguments with sd_bus_message_append.
  absl::StatusOr<BusMessage> NewCall(const std::string& path,
                                     const std::string& interface,
                                     const std::string& member) const;

  // Sends it and waits for the reply.
  absl::StatusOr<BusMessage> Call(const BusMessage& message,
                                  absl::Time deadline);

  // Handles messages until `done()`, which is asked after each message and each
  // event of `also` (its revents are set). DeadlineExceeded.
  absl::Status RunUntil(const std::function<bool()>& done, absl::Time deadline,
                        std::vector<pollfd>* also = nullptr);

  // Handles what is there, without waiting. Unavailable once disconnected.
  absl::Status Dispatch();

  // What to poll for: fd and events, and until when at most.
  absl::StatusOr<std::pair<pollfd, absl::Time>> PollFor() const;

 private:
  struct Closer {
    void operator()(sd_bus* bus) const { sd_bus_close_unref(bus); }
  };
  explicit PodBus(sd_bus* bus) : bus_(bus) {}
  std::unique_ptr<sd_bus, Closer> bus_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_POD_BUS_H_
