#ifndef DAVIT_TESTS_SUPPORT_TEMP_DIR_H_
#define DAVIT_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>

#include <string>

#include "runtime/base/file.h"

namespace davit::testing {

// A fresh directory under `base`, by default /tmp, removed with its owner. It
// is not in Bazel's $TEST_TMPDIR, whose name grows with the place of Bazel's
// cache: a socket's path has 107 characters at most (unix(7)).
class TempDir {
 public:
  TempDir() : TempDir("/tmp") {}
  explicit TempDir(const std::string& base) : path_(base + "/davit-XXXXXX") {
    if (mkdtemp(path_.data()) == nullptr) abort();
  }
  TempDir(const TempDir&) = delete;
  ~TempDir() { RemoveTree(path_).IgnoreError(); }

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_TEMP_DIR_H_
