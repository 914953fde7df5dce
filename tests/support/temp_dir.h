#ifndef DAVIT_TESTS_SUPPORT_TEMP_DIR_H_
#define DAVIT_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>

#include <string>

#include "runtime/base/file.h"

namespace davit::testing {

// A fresh directory under `base`, by default $TEST_TMPDIR (else /tmp), removed
// with its owner. Bazel's directory has a long name: sockets, whose paths have
// 107 characters at most (unix(7)), want another base.
class TempDir {
 public:
  TempDir() : TempDir(DefaultBase()) {}
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
  static std::string DefaultBase() {
    const char* base = getenv("TEST_TMPDIR");
    return base != nullptr ? base : "/tmp";
  }

  std::string path_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_SUPPORT_TEMP_DIR_H_
