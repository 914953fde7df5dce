#ifndef DAVIT_TESTS_SUPPORT_TEMP_DIR_H_
#define DAVIT_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>

#include <string>

#include "runtime/base/file.h"

namespace davit::testing {

// A fresh directory under $TEST_TMPDIR (else /tmp), removed with its owner.
class TempDir {
 public:
  TempDir() {
    const char* base = getenv("TEST_TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/davit-XXXXXX";
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
