#include "tests/support/peer_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

namespace davit::testing {
namespace {

// A socket belongs to the namespace that it was made in, for ever.
int ListenIn(const std::string& netns_path, const std::string& address) {
  int listener = -1;
  std::thread([&] {
    UniqueFd netns(open(netns_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (setns(netns.get(), CLONE_NEWNET) < 0) return;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    if (bind(listener, reinterpret_cast<sockaddr*>(&at), sizeof(at)) < 0 ||
        listen(listener, 16) < 0) {
      close(listener);
      listener = -1;
    }
  }).join();
  return listener;
}

}  // namespace

PeerServer::PeerServer(const std::string& netns_path,
                       const std::string& address)
    : listener_(ListenIn(netns_path, address)) {
  EXPECT_TRUE(listener_.valid()) << "cannot listen on " << address;
  sockaddr_in at = {};
  socklen_t size = sizeof(at);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&at), &size);
  port_ = ntohs(at.sin_port);
  int stop[2];
  EXPECT_EQ(pipe2(stop, O_CLOEXEC), 0);
  stop_read_.Reset(stop[0]);
  stop_write_.Reset(stop[1]);
  thread_ = std::thread([this] { Serve(); });
}

PeerServer::~PeerServer() {
  stop_write_.Reset();
  thread_.join();
}

void PeerServer::Serve() {
  while (true) {
    pollfd polls[] = {{listener_.get(), POLLIN, 0},
                      {stop_read_.get(), POLLIN, 0}};
    if (poll(polls, 2, -1) < 0) continue;
    if (polls[1].revents != 0) return;
    sockaddr_in peer = {};
    socklen_t size = sizeof(peer);
    UniqueFd client(accept4(listener_.get(), reinterpret_cast<sockaddr*>(&peer),
                            &size, SOCK_CLOEXEC));
    if (!client) continue;
    char text[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &peer.sin_addr, text, sizeof(text));
    std::string line = std::string("you are ") + text + "\n";
    send(client.get(), line.data(), line.size(), MSG_NOSIGNAL);
  }
}

}  // namespace davit::testing
