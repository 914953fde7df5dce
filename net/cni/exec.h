#ifndef DAVIT_NET_CNI_EXEC_H_
#define DAVIT_NET_CNI_EXEC_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "net/cni/attachment.h"
#include "net/pod_network.h"

namespace davit {

struct CniExecOptions {
  std::vector<std::string> plugin_dirs;  // CNI_PATH; first hit wins
  // The network namespace that plugins run in, an open nsfs descriptor, not
  // owned; -1 for ours.
  int netns_fd = -1;
  absl::Duration timeout = absl::Seconds(30);  // of each call
  CniObserver* observer = nullptr;             // not owned; may be null
};

// Finds and runs plugin programs: the execution protocol, CNI specification
// section 2. Immutable, so any number of threads may use one.
class CniExec {
 public:
  explicit CniExec(CniExecOptions options) : options_(std::move(options)) {}

  // The program of `type`. NotFound naming the type and the directories;
  // FailedPrecondition if the first one found cannot be executed.
  absl::StatusOr<std::string> Find(const std::string& type) const;

  // Runs one plugin to its end with `config` on its standard input and returns
  // what it printed. Its environment is the CNI variables and a PATH of system
  // directories, nothing of ours. A failure's message holds everything that the
  // plugin said:
  //   plugin "ptp" (/usr/lib/cni/ptp) ADD: code 7: msg; details; stderr: …
  // with the code that StatusCodeOfCniError gives. Others: DeadlineExceeded on
  // timeout (the plugin's process group is killed), ResourceExhausted for
  // endless output, FailedPrecondition if it cannot be executed, Internal for a
  // failure without an error object, and those of Find().
  absl::StatusOr<std::string> Run(const std::string& type,
                                  const std::string& command,
                                  const CniAttachment& attachment,
                                  const std::string& config) const;

 private:
  absl::StatusOr<std::string> RunProgram(const std::string& path,
                                         const std::string& command,
                                         const CniAttachment& attachment,
                                         const std::string& config) const;

  CniExecOptions options_;
};

}  // namespace davit

#endif  // DAVIT_NET_CNI_EXEC_H_
