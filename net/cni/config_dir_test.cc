#include "net/cni/config_dir.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string List(const std::string& name, const std::string& plugin = "ptp") {
  return R"({"cniVersion":"1.0.0","name":")" + name +
         R"(","plugins":[{"type":")" + plugin + R"("}]})";
}

class CniConfigDirTest : public ::testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_THAT(WriteFileAtomic(dir_ / name, text), IsOk());
  }
  // "file name error" of each network.
  std::vector<std::string> Listed() {
    std::vector<std::string> lines;
    for (const NetworkInfo& info : configs_.List()) {
      lines.push_back(info.file.substr(dir_.path().size() + 1) + " " +
                      info.name + " " + info.error);
    }
    return lines;
  }

  TempDir dir_;
  CniConfigDir configs_{dir_.path()};
};

TEST_F(CniConfigDirTest, LoadsInLexicalOrderAndIgnoresOtherFiles) {
  Write("20-b.conf", R"({"cniVersion":"0.4.0","name":"b","type":"bridge"})");
  Write("10-a.conflist", List("a"));
  Write("30-c.json", R"({"name":"c","type":"loopback"})");
  Write("README", "x");
  Write("40-d.conflist.dpkg-old", List("d"));
  Write(".50-e.conflist", List("e"));
  EXPECT_THAT(Listed(),
              ElementsAre("10-a.conflist a ", "20-b.conf b ", "30-c.json c "));
  std::vector<NetworkInfo> infos = configs_.List();
  EXPECT_EQ(infos[1].cni_version, "0.4.0");
  EXPECT_THAT(infos[1].plugins, ElementsAre("bridge"));
  EXPECT_EQ((*configs_.Find("b"))->plugins[0].type, "bridge");
}

TEST_F(CniConfigDirTest, BrokenFilesAreListedAndStopNoOther) {
  Write("10-bad.conflist", "{");
  Write("20-named.conflist", R"({"name":"named","plugins":[]})");
  Write("30-good.conflist", List("good"));
  ASSERT_EQ(mkfifo((dir_ / "40-fifo.conf").c_str(), 0600), 0);
  ASSERT_THAT(MakeDirectories(dir_ / "50-dir.conf"), IsOk());
  ASSERT_EQ(symlink("/nonexistent", (dir_ / "60-link.conf").c_str()), 0);
  Write("70-huge.conflist", std::string(2 << 20, ' '));
  EXPECT_THAT(
      Listed(),
      ElementsAre(HasSubstr("10-bad.conflist  parse error"),
                  "20-named.conflist named plugins is missing or empty",
                  "30-good.conflist good ", "40-fifo.conf  not a regular file",
                  "50-dir.conf  not a regular file",
                  HasSubstr("60-link.conf  stat("),
                  HasSubstr("70-huge.conflist  ")));
  EXPECT_THAT(configs_.Find("good"), IsOk());
  EXPECT_THAT(configs_.Find("named"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("network \"named\" is broken"),
                             HasSubstr("20-named.conflist: plugins is"))));
}

TEST_F(CniConfigDirTest, UnknownNetworkNamesThoseThatExist) {
  Write("10.conflist", List("a"));
  Write("20.conflist", List("b"));
  EXPECT_THAT(configs_.Find("c"), StatusIs(absl::StatusCode::kNotFound,
                                           AllOf(HasSubstr("network \"c\""),
                                                 HasSubstr("has [a, b]"))));
}

TEST_F(CniConfigDirTest, FirstOfOneNameWins) {
  Write("10.conflist", List("a", "ptp"));
  Write("20.conflist", List("a", "bridge"));
  EXPECT_THAT(Listed(),
              ElementsAre("10.conflist a ",
                          "20.conflist a network \"a\" is already in " +
                              (dir_ / "10.conflist")));
  EXPECT_EQ((*configs_.Find("a"))->plugins[0].type, "ptp");
  // A broken one does not stand in the way of a later good one.
  Write("10.conflist", R"({"name":"a"})");
  EXPECT_EQ((*configs_.Find("a"))->plugins[0].type, "bridge");
}

TEST_F(CniConfigDirTest, SeesChanges) {
  EXPECT_THAT(configs_.List(), IsEmpty());
  Write("10.conflist", List("a"));
  EXPECT_THAT(configs_.Find("a"), IsOk());
  Write("10.conflist", List("b"));
  EXPECT_THAT(configs_.Find("a"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(configs_.Find("b"), IsOk());
  ASSERT_THAT(RemoveFile(dir_ / "10.conflist"), IsOk());
  EXPECT_THAT(configs_.List(), IsEmpty());
}

TEST_F(CniConfigDirTest, LoadsNothingAnewWithoutAChange) {
  Write("10.conflist", List("a"));
  EXPECT_EQ(*configs_.Find("a"), *configs_.Find("a")) << "the same object";
}

TEST_F(CniConfigDirTest, PluginsBesideTheListAreAppended) {
  Write("10.conflist", List("a"));
  ASSERT_THAT(MakeDirectories(dir_ / "a"), IsOk());
  Write("a/20-tuning.conf", R"({"type":"tuning"})");
  Write("a/10-portmap.conf", R"({"type":"portmap"})");
  Write("a/README", "x");
  EXPECT_THAT(configs_.List().at(0).plugins,
              ElementsAre("ptp", "portmap", "tuning"));
  ASSERT_THAT(RemoveFile(dir_ / "a/20-tuning.conf"), IsOk());
  EXPECT_THAT(configs_.List().at(0).plugins, ElementsAre("ptp", "portmap"));
  Write("a/10-portmap.conf", "{");
  EXPECT_THAT(configs_.List().at(0).error,
              AllOf(HasSubstr("a/10-portmap.conf"), HasSubstr("parse error")));
}

TEST(CniConfigDir, AbsentDirectoryHasNoNetworksAndAFileIsAnError) {
  TempDir dir;
  CniConfigDir absent(dir / "absent");
  EXPECT_THAT(absent.List(), IsEmpty());
  EXPECT_THAT(absent.Find("a"), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_THAT(MakeDirectories(dir / "absent"), IsOk());
  ASSERT_THAT(WriteFileAtomic(dir / "absent/10.conflist", List("a")), IsOk());
  EXPECT_THAT(absent.Find("a"), IsOk());

  ASSERT_THAT(WriteFileAtomic(dir / "file", ""), IsOk());
  CniConfigDir file(dir / "file");
  ASSERT_EQ(file.List().size(), 1u);
  EXPECT_EQ(file.List()[0].file, dir / "file");
  EXPECT_THAT(file.List()[0].error, HasSubstr("opendir("));
}

}  // namespace
}  // namespace davit
