#ifndef DAVIT_NET_CNI_VERSIONS_H_
#define DAVIT_NET_CNI_VERSIONS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "net/cni/exec.h"
#include "net/cni/network_config.h"

namespace davit {

// Knows which versions of the specification the plugins speak: asks each
// program by VERSION, once, and again when its file has changed. Borrows the
// executor. Thread-safe.
class CniVersions {
 public:
  explicit CniVersions(const CniExec* exec) : exec_(*exec) {}

  // As the plugin says; {"0.1.0"} of one that does not know VERSION, which
  // came with 0.2.0. The errors of CniExec; Internal for an answer that is
  // none.
  absl::StatusOr<std::vector<std::string>> Of(const std::string& type);

  // The list in the highest of its versions that all of its plugins speak.
  // Asks only if the list leaves a choice: a list of one version is returned
  // as it is, and its plugins refuse it themselves. FailedPrecondition telling
  // what each plugin speaks if there is none.
  absl::StatusOr<std::shared_ptr<const CniNetworkConfig>> Negotiate(
      std::shared_ptr<const CniNetworkConfig> network);

 private:
  struct Answer {
    std::string stamp;  // of the program's file
    std::vector<std::string> versions;
  };

  absl::StatusOr<std::vector<std::string>> Ask(const std::string& type) const;

  const CniExec& exec_;
  absl::Mutex mutex_;
  std::map<std::string, Answer> answers_ ABSL_GUARDED_BY(mutex_);  // by path
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_VERSIONS_H_
