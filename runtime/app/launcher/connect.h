#ifndef DAVIT_RUNTIME_APP_LAUNCHER_CONNECT_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_CONNECT_H_

namespace davit {

// Descriptors of `davit-app connect`.
inline constexpr int kConnectSocketFd = 3;  // AF_UNIX stream, unconnected
inline constexpr int kConnectPidfd = 4;     // the pod's PID 1

// `davit-app connect`, on the node: connects the socket to the private socket
// of a pod's systemd. systemd takes connections from its own pid namespace only
// (SO_PEERCRED tells it pid 0 for a process outside, and it refuses), and the
// credentials are those of the process that calls connect(2): so a child is put
// there that does nothing else. The description of the socket is shared with
// our parent, which goes on with it.
//
// The pod's root can see that child and may trace it. So it has nothing: the
// pod's own namespaces and root, no capability, no other descriptor.
// Returns the exit code; an error is one line on stderr.
int ConnectToPod();

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_CONNECT_H_
