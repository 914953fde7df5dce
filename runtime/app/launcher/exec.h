#ifndef DAVIT_RUNTIME_APP_LAUNCHER_EXEC_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_EXEC_H_

namespace davit {

// `davit-app exec`: the one process of an exec-….service. Its standard input is
// a SOCK_SEQPACKET whose other end the session's owner on the node holds: gets
// the plan and the streams from it, runs the command beside the app, answers
// with ExecReply datagrams, takes ExecSignal ones, and kills the command's
// session when the owner goes away. Being a child of the pod's PID 1 it can
// give no more than the pod has. Returns the exit code.
int ServeExec();

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_EXEC_H_
