#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/image/layer_view.h"
#include "runtime/image/parent_directories.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/unpack_for_test.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TarBuilder;
using ::davit::testing::TempDir;
using ::davit::testing::UnpackForTest;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LayerViewTest : public ::testing::Test {
 protected:
  // Puts a layer on top of those that are there.
  void AddLayer(const TarBuilder& tar) {
    std::string tree = absl::StrCat(dir_.path(), "/", trees_.size());
    auto unpacked = UnpackForTest(tar.Build(), tree);
    ASSERT_THAT(unpacked, IsOk());
    trees_.insert(trees_.begin(), tree);
    implicit_.insert(implicit_.begin(),
                     {unpacked->tree.implicit_directories.begin(),
                      unpacked->tree.implicit_directories.end()});
  }
  static UniqueFd OpenDir(const std::string& path) {
    return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  LayerView View() { return LayerView::Open(trees_).value(); }
  std::vector<size_t> LayersOf(const std::string& path) {
    std::vector<size_t> layers;
    absl::StatusOr<std::vector<LayerView::Source>> sources = View().Find(path);
    EXPECT_THAT(sources, IsOk());
    for (const LayerView::Source& source : *sources) {
      layers.push_back(source.layer);
    }
    return layers;
  }

  TempDir dir_;
  std::vector<std::string> trees_;  // topmost first
  std::vector<std::set<std::string>> implicit_;
};

TEST_F(LayerViewTest, FindsAsOverlayMerges) {
  AddLayer(TarBuilder().File("d/a").File("gone").File("o/old").File("f/x"));
  AddLayer(TarBuilder().File("d/b").File(".wh.gone").File("o/.wh..wh..opq"));
  AddLayer(TarBuilder().File("d/c").File("f"));
  EXPECT_THAT(LayersOf(""), ElementsAre(0, 1, 2));
  EXPECT_THAT(LayersOf("d"), ElementsAre(0, 1, 2));
  EXPECT_THAT(LayersOf("d/a"), ElementsAre(2));
  EXPECT_THAT(LayersOf("d/b"), ElementsAre(1));
  EXPECT_THAT(LayersOf("gone"), IsEmpty());
  EXPECT_THAT(LayersOf("o"), ElementsAre(1));
  EXPECT_THAT(LayersOf("o/old"), IsEmpty());
  EXPECT_THAT(LayersOf("f"), ElementsAre(0));
  EXPECT_THAT(LayersOf("f/x"), IsEmpty());
  EXPECT_THAT(LayersOf("d/absent"), IsEmpty());
}

TEST_F(LayerViewTest, ResolvesSymlinksAcrossLayers) {
  AddLayer(TarBuilder()
               .File("usr/lib/systemd/systemd", "", 0755)
               .Symlink("lib", "usr/lib")
               .Symlink("abs", "/usr/../usr/lib")
               .Symlink("out", "../../../../usr")
               .Symlink("a", "b")
               .Symlink("b", "a"));
  AddLayer(TarBuilder().Symlink("sbin/init", "/lib/systemd/systemd"));
  for (std::string path :
       {"/sbin/init", "/lib/systemd/systemd", "/abs/systemd/./systemd",
        "/out/lib/systemd/systemd", "/../usr/lib/systemd/systemd"}) {
    SCOPED_TRACE(path);
    ASSERT_OK_AND_ASSIGN(LayerView::Source source, View().Resolve(path));
    EXPECT_EQ(source.layer, 1u);
    EXPECT_EQ(source.st.st_mode, S_IFREG | 0755u);
  }
  EXPECT_THAT(
      View().Resolve("/sbin/absent"),
      StatusIs(absl::StatusCode::kNotFound, "/sbin/absent: no such file"));
  EXPECT_THAT(View().Resolve("/a"),
              StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST_F(LayerViewTest, GuessedDirectoriesAreRepaired) {
  TarBuilder lower;
  lower.Dir("./")
      .Dir("tmp", 01777)
      .Dir("var")
      .Add({.path = "var/db", .mode = S_IFDIR | 0700, .uid = 70, .gid = 71});
  AddLayer(lower);
  AddLayer(TarBuilder().File("tmp/x").File("var/db/x").File("new/x"));
  AddLayer(TarBuilder().File("tmp/y"));
  ASSERT_OK_AND_ASSIGN(std::set<std::string> wrong,
                       FindMisguessedDirectories(View(), implicit_));
  EXPECT_THAT(wrong, ElementsAre("", "tmp", "var", "var/db"));

  std::string repaired = dir_ / "repaired";
  mkdir(repaired.c_str(), 0755);
  ASSERT_THAT(
      WriteParentDirectories(View(), implicit_, wrong, OpenDir(repaired)),
      IsOk());
  struct stat st;
  ASSERT_EQ(stat((repaired + "/tmp").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFDIR | 01777u);
  EXPECT_EQ(st.st_mtim.tv_sec, 1000000000);
  ASSERT_EQ(stat((repaired + "/var/db").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode, S_IFDIR | 0700u);
  EXPECT_EQ(st.st_uid, 70u);
  EXPECT_EQ(st.st_gid, 71u);
}

TEST_F(LayerViewTest, RightOrUnanswerableGuessesNeedNoRepair) {
  AddLayer(TarBuilder().Dir("same").Dir("hidden", 0700).File("guessed/x"));
  AddLayer(TarBuilder()
               .File("same/x")
               .File("guessed/y")
               .File("hidden/.wh..wh..opq"));
  AddLayer(TarBuilder().File("hidden/x").Dir("same", 0711));
  ASSERT_OK_AND_ASSIGN(std::set<std::string> wrong,
                       FindMisguessedDirectories(View(), implicit_));
  EXPECT_THAT(wrong, IsEmpty());
}

}  // namespace
}  // namespace davit
