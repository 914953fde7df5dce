#include "agent/version.h"

#include "agent/git_commit.h"

namespace davit {

const char* GitCommit() { return kGitCommit; }

}  // namespace davit
