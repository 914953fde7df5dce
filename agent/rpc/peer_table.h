#ifndef DAVIT_AGENT_RPC_PEER_TABLE_H_
#define DAVIT_AGENT_RPC_PEER_TABLE_H_

#include <sys/types.h>

#include <map>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace davit {

// Who is at the other end of a unix socket, as the kernel saw it at connect(2)
// (SO_PEERCRED, unix(7)).
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool operator==(const PeerCredentials&) const = default;
};

// Remembers the credentials of accepted connections by descriptor. gRPC, which
// owns the descriptors, tells us of an rpc's connection only ServerContext's
// peer(): "fd:<number>" for a descriptor that it was given. A number that is
// used again is overwritten by its next Add, so the table never grows past the
// process's limit of descriptors. For logs; look a peer up when its rpc begins.
// Thread-safe.
class PeerTable {
 public:
  void Add(int fd, const PeerCredentials& credentials);
  std::optional<PeerCredentials> Find(const std::string& grpc_peer) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, PeerCredentials> peers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_PEER_TABLE_H_
