#include "net/cni/one_line.h"

#include <gmock/gmock.h>

namespace davit {
namespace {

TEST(OneLine, IsOneLineOfUtf8) {
  EXPECT_EQ(OneLine(" a \"b\"\n\tc\x7f\n", 100), "a \"b\"\\n\\x09c\\x7f");
  EXPECT_EQ(OneLine("\xc3\xa4", 100), "\xc3\xa4");
  EXPECT_EQ(OneLine("a\xff\xc3\xa4", 100), "a\\xff\\xc3\\xa4");
}

TEST(OneLine, KnowsUtf8FromWhatOnlyLooksLikeIt) {
  for (const char* good : {"\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(OneLine(good, 100), good);
  }
  for (const char* bad :
       {"\xc0\x80", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x80", "\xe2\x41\x80",
        "\x80"}) {
    EXPECT_NE(OneLine(bad, 100), bad);
  }
}

TEST(OneLine, IsCutBetweenCharacters) {
  EXPECT_EQ(OneLine("abcdef", 6), "abcdef");
  EXPECT_EQ(OneLine("abcdef", 4), "abcd… (2 more bytes)");
  EXPECT_EQ(OneLine("abc\xe2\x80\xa6", 5), "abc… (3 more bytes)");
  EXPECT_EQ(OneLine("\xa6\xa6\xa6\xa6\xa6\xa6", 4), "\\xa6… (5 more bytes)");
}

}  // namespace
}  // namespace davit
