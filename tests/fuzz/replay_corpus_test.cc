// Gives every input of a fuzzer's corpus to it: what was once found, and what
// the fuzzer starts from, as a plain test. $FUZZ_CORPUS is the directory.

#include <stdint.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "gtest/gtest.h"
#include "runtime/base/file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace davit {
namespace {

void Replay(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(input.data()),
                         input.size());
}

TEST(Corpus, EveryInputIsHandled) {
  const char* corpus = getenv("FUZZ_CORPUS");
  ASSERT_NE(corpus, nullptr);
  int inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(corpus)) {
    SCOPED_TRACE(entry.path());
    absl::StatusOr<std::string> input = ReadFile(entry.path());
    ASSERT_TRUE(input.ok()) << input.status();
    Replay(*input);
    ++inputs;
  }
  EXPECT_GT(inputs, 0) << corpus;
}

TEST(Corpus, NothingAtAllIsHandled) { Replay(""); }

}  // namespace
}  // namespace davit
