#include "agent/log.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace davit {
namespace {

using ::testing::EndsWith;
using ::testing::MatchesRegex;

constexpr char kTime[] = "[0-9-]+T[0-9:]+\\.[0-9]+Z";

TEST(LogTest, TextQuotesWhatIsNoPlainWord) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "pod \"web\" started",
                          {{"pod", "web"},
                           {"error", "a b=\"c\""},
                           {"empty", ""},
                           {"count", int64_t{-3}},
                           {"seconds", 0.25}}),
            R"(message="pod \"web\" started" pod=web )"
            R"(error="a b=\"c\"" empty="" count=-3 seconds=0.25)");
}

TEST(LogTest, NothingBreaksALine) {
  EXPECT_EQ(FormatLogLine(LogFormat::kText, "a\nb",
                          {{"x", "1\n2 level=error"}, {"y", "\x1b[0m"}}),
            R"(message="a\nb" x="1\n2 level=error" y="\033[0m")");
  std::string json =
      FormatLogLine(LogFormat::kJson, "a\nb", {{"x", "\xff\n\""}});
  EXPECT_EQ(json.find('\n'), std::string::npos);
  auto parsed = nlohmann::json::parse("{" + json + "}");
  EXPECT_EQ(parsed["message"], "a\nb");
  EXPECT_EQ(parsed["x"], "\xef\xbf\xbd\n\"");
}

TEST(LogTest, JsonKeepsNumbers) {
  EXPECT_EQ(FormatLogLine(LogFormat::kJson, "m",
                          {{"n", int64_t{5}}, {"d", 0.5}, {"s", "5"}}),
            R"("message":"m","n":5,"d":0.5,"s":"5")");
}

TEST(LogTest, WritesTextLinesOfTheWantedLevels) {
  ::testing::internal::CaptureStderr();
  SetUpLog(LogLevel::kWarning, LogFormat::kText);
  Log(LogLevel::kInfo, "unwanted");
  Log(LogLevel::kError, "braces {} %s %v", {{"a", "b"}});
  EXPECT_THAT(::testing::internal::GetCapturedStderr(),
              MatchesRegex(std::string(kTime) +
                           " error message=\"braces \\{\\} %s %v\" a=b\n"));
}

TEST(LogTest, WritesJsonLines) {
  ::testing::internal::CaptureStderr();
  SetUpLog(LogLevel::kDebug, LogFormat::kJson);
  Log(LogLevel::kDebug, "hello", {{"a", "b"}});
  std::string line = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(line, EndsWith("}\n"));
  auto parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["level"], "debug");
  EXPECT_EQ(parsed["message"], "hello");
  EXPECT_EQ(parsed["a"], "b");
  EXPECT_THAT(parsed["time"].get<std::string>(), MatchesRegex(kTime));
}

}  // namespace
}  // namespace davit
