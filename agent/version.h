#ifndef DAVIT_AGENT_VERSION_H_
#define DAVIT_AGENT_VERSION_H_

namespace davit {

// The git commit that this was built from; "unknown" if the build was not told
// (STABLE_GIT_COMMIT of --workspace_status_command). The release is
// kDavitVersion of runtime/base/version.h.
const char* GitCommit();

}  // namespace davit

#endif  // DAVIT_AGENT_VERSION_H_
