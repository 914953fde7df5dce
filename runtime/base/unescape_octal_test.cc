#include "runtime/base/unescape_octal.h"

#include <gtest/gtest.h>

namespace davit {
namespace {

TEST(UnescapeOctalTest, RestoresWhatMountinfoEscapes) {
  EXPECT_EQ(UnescapeOctal("/a\\040b\\011c\\012d\\134e"), "/a b\tc\nd\\e");
  EXPECT_EQ(UnescapeOctal("\\134040"), "\\040");
}

TEST(UnescapeOctalTest, KeepsWhatIsNoEscape) {
  for (const char* text : {"", "/plain", "\\", "\\04", "\\0a0", "\\890"}) {
    EXPECT_EQ(UnescapeOctal(text), text);
  }
}

}  // namespace
}  // namespace davit
