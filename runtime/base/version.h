#ifndef DAVIT_RUNTIME_BASE_VERSION_H_
#define DAVIT_RUNTIME_BASE_VERSION_H_

namespace davit {

// The release, as agent and client print it (semver.org).
inline constexpr char kDavitVersion[] = "0.1.0";

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_VERSION_H_
