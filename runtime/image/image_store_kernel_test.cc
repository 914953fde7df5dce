// What the store on disk does beyond single imports: sharing, removal, crashes,
// parallel imports, and that its layers work as a pod's root.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_store.h"
#include "runtime/image/image_store_conformance.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/test_images.h"
#include "runtime/rootfs/private_mounts.h"
#include "runtime/rootfs/rootfs.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::InPrivateMounts;
using ::davit::testing::IsOk;
using ::davit::testing::LayoutBuilder;
using ::davit::testing::Put;
using ::davit::testing::StatusIs;
using ::davit::testing::TarBuilder;
using ::davit::testing::TempDir;
using ::davit::testing::TestImage;
using ::nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

struct DiskBackend {
  DiskBackend() {
    Put(web, TarBuilder().File("web").Build());
    Put(db, TarBuilder().File("db").Build());
  }
  TempDir dir;
  std::string web = dir / "web.tar";
  std::string db = dir / "db.tar";
  std::unique_ptr<ImageStore> store = ImageStore::Open(dir / "store").value();
};

}  // namespace

namespace testing {
INSTANTIATE_TYPED_TEST_SUITE_P(Disk, ImageStoreConformance, DiskBackend);
}  // namespace testing

namespace {

class ImageStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, ImageStore::Open(root_));
  }

  // Imports an image of these layers, bottom first.
  Image Import(const std::string& name, const std::vector<TarBuilder>& layers) {
    TestImage image;
    for (const TarBuilder& layer : layers) {
      image.layers.push_back(layer.Build());
    }
    image.config["Cmd"] = {name};
    std::string path = dir_ / ("layout-" + name);
    LayoutBuilder layout(path);
    layout.List(layout.AddImage(image), name + ":latest");
    absl::StatusOr<std::vector<Image>> images = store_->Import({.path = path});
    EXPECT_THAT(images, IsOk());
    return images.ok() ? images->front() : Image();
  }

  std::vector<std::string> ListDir(const std::string& name) {
    std::vector<std::string> names;
    for (const auto& item :
         std::filesystem::directory_iterator(root_ + "/" + name)) {
      names.push_back(item.path().filename());
    }
    return names;
  }

  // Runs `body` with the image mounted as a pod's root would be.
  void Mounted(const std::string& image,
               const std::function<void(const std::string& root)>& body) {
    ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold(image));
    std::string base = absl::StrCat(dir_.path(), "/mount", ++mounts_);
    OverlaySpec spec = {hold->lower_dirs(), base + "/upper", base + "/work",
                        base + "/root"};
    InPrivateMounts([&] {
      ASSERT_THAT(MountOverlay(spec), IsOk());
      body(spec.target);
    });
  }

  TempDir dir_;
  const std::string root_ = dir_ / "store";
  std::unique_ptr<ImageStore> store_;
  int mounts_ = 0;
};

TEST_F(ImageStoreTest, LayersAreSharedAndRemovedWithTheirLastImage) {
  TarBuilder base, one, two;
  base.File("base", "b");
  one.File("one", "1");
  two.File("two", "2");
  Image first = Import("first", {base, one});
  Import("second", {base, two});
  EXPECT_THAT(ListDir("layers"), SizeIs(3));
  EXPECT_THAT(ListDir("blobs/sha256"), SizeIs(4));
  ASSERT_THAT(store_->Remove("first"), IsOk());
  EXPECT_THAT(ListDir("layers"),
              UnorderedElementsAre(Sha256Digest(base.Build()).substr(7),
                                   Sha256Digest(two.Build()).substr(7)));
  EXPECT_THAT(ListDir("blobs/sha256"), SizeIs(2));
  EXPECT_THAT(ListDir("tmp"), IsEmpty());
  Mounted("second", [](const std::string& root) {
    EXPECT_EQ(*ReadFile(root + "/base"), "b");
  });
  ASSERT_THAT(store_->Remove("second"), IsOk());
  for (const char* name : {"layers", "blobs/sha256", "images", "tmp", "l"}) {
    EXPECT_THAT(ListDir(name), IsEmpty()) << name;
  }
}

TEST_F(ImageStoreTest, ImagesWorkAsRoots) {
  TarBuilder base, upper;
  base.Dir("./", 0755).Dir("tmp", 01777).Dir("etc").File("etc/a").File("gone");
  base.Dir("old").File("old/x");
  upper.File("etc/b").File(".wh.gone").File("tmp/x").File("old/.wh..wh..opq");
  Import("app", {base, upper, TarBuilder(), upper});
  Mounted("app", [](const std::string& root) {
    EXPECT_TRUE(PathExists(root + "/etc/a"));
    EXPECT_TRUE(PathExists(root + "/etc/b"));
    EXPECT_FALSE(PathExists(root + "/gone"));
    EXPECT_FALSE(PathExists(root + "/old/x"));
    struct stat st;
    ASSERT_EQ(stat((root + "/tmp").c_str(), &st), 0);
    // No upper layer describes /tmp; it must stay what the lowest says.
    EXPECT_EQ(st.st_mode, S_IFDIR | 01777u);
    Put(root + "/written", "x");
  });
}

TEST_F(ImageStoreTest, OpaqueRootHidesLowerLayers) {
  TarBuilder base, upper;
  base.File("old");
  upper.File("new").File(".wh..wh..opq");
  Import("app", {base, upper});
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("app"));
  EXPECT_THAT(hold->lower_dirs(), SizeIs(1));
  Mounted("app", [](const std::string& root) {
    EXPECT_TRUE(PathExists(root + "/new"));
    EXPECT_FALSE(PathExists(root + "/old"));
  });
}

TEST_F(ImageStoreTest, HundredsOfLayersMount) {
  std::vector<TarBuilder> layers;
  for (int i = 0; i < 200; ++i) {
    layers.push_back(TarBuilder()
                         .Dir("./")
                         .File(absl::StrCat("f", i))
                         .File("last", absl::StrCat(i)));
  }
  Import("deep", layers);
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("deep"));
  EXPECT_THAT(hold->lower_dirs(), SizeIs(200));
  Mounted("deep", [](const std::string& root) {
    EXPECT_TRUE(PathExists(root + "/f0"));
    EXPECT_EQ(*ReadFile(root + "/last"), "199");
  });
}

TEST_F(ImageStoreTest, ImagesSurviveReopening) {
  Image image = Import("app", {TarBuilder().File("x", "data")});
  Reopen();
  ASSERT_OK_AND_ASSIGN(Image found, store_->Get("app"));
  EXPECT_EQ(found.id, image.id);
  EXPECT_EQ(found.names, image.names);
  EXPECT_EQ(found.layers, image.layers);
  EXPECT_EQ(found.size_bytes, 4u);
  EXPECT_EQ(found.imported_at, image.imported_at);
  EXPECT_THAT(found.config.cmd, ElementsAre("app"));
  Mounted("app", [](const std::string& root) {
    EXPECT_EQ(*ReadFile(root + "/x"), "data");
  });
}

TEST_F(ImageStoreTest, OpenRemovesWhatACrashLeft) {
  Image image = Import("kept", {TarBuilder().File("x")});
  Image lost = Import("lost", {TarBuilder().File("y")});
  { ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("lost")); }
  store_.reset();
  // Crashes: amid unpacking, amid a record's write, between the commits of a
  // layer and its image, and between the removal of a record and its layers.
  Put(root_ + "/tmp/1234/rootfs/etc/passwd", "half");
  Put(root_ + "/images/.tmp-abcdef", "{\"ver");
  Put(root_ + "/blobs/sha256/.tmp-abcdef", "{");
  std::string orphan = std::string(64, 'e');
  Put(root_ + "/layers/" + orphan + "/rootfs/x", "x");
  Put(root_ + "/blobs/sha256/" + orphan, "{}");
  std::filesystem::remove(root_ + "/images/" + lost.id.substr(7) + ".json");
  Reopen();
  EXPECT_THAT(ListDir("tmp"), IsEmpty());
  EXPECT_THAT(ListDir("images"), ElementsAre(image.id.substr(7) + ".json"));
  EXPECT_THAT(ListDir("layers"), ElementsAre(image.layers[0].substr(7)));
  EXPECT_THAT(ListDir("blobs/sha256"), SizeIs(2));
  EXPECT_THAT(ListDir("l"), IsEmpty());
  EXPECT_THAT(store_->Get("lost"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Hold("kept"), IsOk());
}

TEST_F(ImageStoreTest, CrashAmidTheMoveOfANameLeavesItWithTheYounger) {
  Image old_image = Import("app", {TarBuilder().File("x")});
  std::string path = root_ + "/images/" + old_image.id.substr(7) + ".json";
  ASSERT_OK_AND_ASSIGN(std::string old_record, ReadFile(path));
  ASSERT_THAT(RemoveTree(dir_ / "layout-app"), IsOk());
  Image new_image = Import("app", {TarBuilder().File("y")});
  store_.reset();
  Put(path, old_record);
  Reopen();
  EXPECT_EQ(store_->Get("app")->id, new_image.id);
  EXPECT_THAT(store_->Get(old_image.id)->names, IsEmpty());
}

TEST_F(ImageStoreTest, UnreadableRecordsStopOpenInsteadOfLosingLayers) {
  Image image = Import("app", {TarBuilder().File("x")});
  store_.reset();
  std::string path = root_ + "/images/" + image.id.substr(7) + ".json";
  ASSERT_OK_AND_ASSIGN(std::string record, ReadFile(path));
  Put(path, record.substr(0, 100));
  EXPECT_THAT(ImageStore::Open(root_),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr(path)));
  EXPECT_THAT(ListDir("layers"), SizeIs(1));
  Put(path, record);
  Reopen();
  EXPECT_THAT(store_->Get("app"), IsOk());
}

TEST_F(ImageStoreTest, OnlyOneOpensAStore) {
  EXPECT_THAT(ImageStore::Open(root_),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("it is already open")));
  EXPECT_THAT(ImageStore::Open("relative"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(ImageStoreTest, MissingLayersAreSaidAndRepairedByAnImport) {
  Image image = Import("app", {TarBuilder().File("x")});
  std::filesystem::remove_all(root_ + "/layers/" + image.layers[0].substr(7));
  EXPECT_THAT(store_->Hold("app"),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("import the image again")));
  Image again = Import("app", {TarBuilder().File("x")});
  EXPECT_EQ(again.id, image.id);
  EXPECT_THAT(store_->Hold("app"), IsOk());
}

TEST_F(ImageStoreTest, HoldsMayOutliveTheStore) {
  Import("app", {TarBuilder().File("x", "data")});
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("app"));
  store_.reset();
  EXPECT_EQ(*ReadFile(hold->lower_dirs()[0] + "/x"), "data");
}

TEST_F(ImageStoreTest, ParallelImportsOfTheSameLayers) {
  TestImage image;
  TarBuilder big;
  for (int i = 0; i < 300; ++i) {
    big.File(absl::StrCat("d", i, "/f"), std::string(1000, 'x'));
  }
  image.layers = {big.Build(), TarBuilder().File("y").Build()};
  std::string path = dir_ / "layout";
  LayoutBuilder layout(path);
  layout.List(layout.AddImage(image));
  image.config["Cmd"] = {"other"};
  std::string sibling_path = dir_ / "sibling";
  LayoutBuilder sibling(sibling_path);
  sibling.List(sibling.AddImage(image));

  // While others remove the images, which must never break an import.
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 5; ++round) {
        std::string name = absl::StrCat("n", i);
        EXPECT_THAT(
            store_->Import({.path = i % 2 ? path : sibling_path, .name = name}),
            IsOk());
        EXPECT_THAT(store_->Hold(name), IsOk());
        EXPECT_THAT(store_->Remove(name), IsOk());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(store_->List(), IsEmpty());
  for (const char* name : {"layers", "blobs/sha256", "images", "tmp"}) {
    EXPECT_THAT(ListDir(name), IsEmpty()) << name;
  }
}

TEST_F(ImageStoreTest, AmbiguousIdPrefixesAreRefused) {
  // Find two images whose ids share four digits: some hundred imports do.
  std::map<std::string, std::string> ids;
  for (int i = 0; i < 3000; ++i) {
    json config = {{"architecture", "amd64"}, {"n", i}};
    config["rootfs"]["diff_ids"] = {
        Sha256Digest(TarBuilder().File("x").Build())};
    ids.emplace(Sha256Digest(config.dump()), config.dump());
  }
  auto a = ids.begin(), b = std::next(a);
  while (b != ids.end() && a->first.substr(0, 11) != b->first.substr(0, 11)) {
    ++a, ++b;
  }
  ASSERT_NE(b, ids.end());
  LayoutBuilder layout(dir_ / "layout");
  for (auto it : {a, b}) {
    json layer = layout.AddBlob(TarBuilder().File("x").Build(),
                                "application/vnd.oci.image.layer.v1.tar");
    json manifest = {
        {"config", layout.AddBlob(it->second,
                                  "application/vnd.oci.image.config.v1+json")},
        {"layers", {layer}}};
    layout.List(layout.AddBlob(manifest.dump(),
                               "application/vnd.oci.image.manifest.v1+json"));
  }
  ASSERT_OK_AND_ASSIGN(std::vector<Image> images,
                       store_->Import({.path = dir_ / "layout"}));
  ASSERT_EQ(images.size(), 2u);
  EXPECT_THAT(images[0].names, IsEmpty());
  EXPECT_THAT(
      store_->Get(a->first.substr(0, 11)),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("is ambiguous")));
  EXPECT_EQ(store_->Get(a->first.substr(7, 12))->id, a->first);
}

}  // namespace
}  // namespace davit
