#include "agent/rpc/peer_table.h"

#include "absl/strings/str_cat.h"

namespace davit {

void PeerTable::Add(int fd, const PeerCredentials& credentials) {
  absl::MutexLock lock(&mutex_);
  peers_[absl::StrCat("fd:", fd)] = credentials;
}

std::optional<PeerCredentials> PeerTable::Find(
    const std::string& grpc_peer) const {
  absl::MutexLock lock(&mutex_);
  auto it = peers_.find(grpc_peer);
  if (it == peers_.end()) return std::nullopt;
  return it->second;
}

}  // namespace davit
