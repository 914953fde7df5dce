#ifndef DAVIT_CLI_DETACH_KEYS_H_
#define DAVIT_CLI_DETACH_KEYS_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace davit::cli {

// Finds the keys in what is typed that mean "leave me out", as docker's and
// podman's --detach-keys.
class DetachKeys {
 public:
  // "ctrl-p,ctrl-q": single characters, or "ctrl-" and one of a-z @ [ \ ] ^ _,
  // separated by commas. "" is none.
  static absl::StatusOr<DetachKeys> Parse(const std::string& text);

  // What of `typed` is to be passed on. The beginning of the keys waits until
  // it is known whether the rest follows. True if it has: what comes after is
  // for nobody.
  struct Typed {
    std::string pass_on;
    bool detached = false;
  };
  Typed Filter(absl::string_view typed);

 private:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}

  std::string keys_;
  size_t matched_ = 0;  // so many of them were typed last
};

}  // namespace davit::cli

#endif  // DAVIT_CLI_DETACH_KEYS_H_
