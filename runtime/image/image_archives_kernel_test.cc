// Imports of every format, whole and broken, through the store.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/file.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_store.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/test_images.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::Compress;
using ::davit::testing::Compression;
using ::davit::testing::IsOk;
using ::davit::testing::LayoutBuilder;
using ::davit::testing::Put;
using ::davit::testing::StatusIs;
using ::davit::testing::TarBuilder;
using ::davit::testing::TarOfDirectory;
using ::davit::testing::TempDir;
using ::davit::testing::TestImage;
using ::davit::testing::WriteDockerArchive;
using ::nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kBad = absl::StatusCode::kInvalidArgument;
constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

TestImage Simple(const std::string& contents = "hello") {
  TestImage image;
  image.layers = {TarBuilder().Dir("etc").File("etc/motd", contents).Build()};
  image.config["Cmd"] = {"cat", "/etc/motd"};
  return image;
}

class ImageArchivesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(store_, ImageStore::Open(dir_ / "store"));
  }

  absl::StatusOr<Image> Import(const std::string& path,
                               const ImportRequest& extra = {}) {
    ImportRequest request = extra;
    request.path = path;
    absl::StatusOr<std::vector<Image>> images = store_->Import(request);
    if (!images.ok()) return images.status();
    EXPECT_EQ(images->size(), 1u);
    return images->front();
  }

  // A failed import must leave no trace.
  void ExpectEmptyStore() {
    EXPECT_THAT(store_->List(), IsEmpty());
    for (const char* name : {"layers", "images", "tmp", "l", "blobs/sha256"}) {
      EXPECT_TRUE(std::filesystem::is_empty(dir_ / "store" + "/" + name))
          << name;
    }
  }

  std::string ReadInTopLayer(const std::string& image, const char* path) {
    auto hold = store_->Hold(image);
    if (!hold.ok()) return hold.status().ToString();
    return ReadFile((*hold)->lower_dirs().front() + "/" + path)
        .value_or("<unreadable>");
  }

  TempDir dir_;
  const std::string layout_ = dir_ / "layout";
  std::unique_ptr<ImageStore> store_;
};

// --- OCI layouts and archives -----------------------------------------------

TEST_F(ImageArchivesTest, OciLayoutWithEachCompression) {
  for (Compression compression :
       {Compression::kNone, Compression::kGzip, Compression::kZstd}) {
    std::string name = absl::StrCat("c", static_cast<int>(compression));
    LayoutBuilder layout(dir_ / name);
    TestImage image = Simple(name);
    image.compression = compression;
    layout.List(layout.AddImage(image), "example.com/" + name + ":1");
    ASSERT_OK_AND_ASSIGN(Image imported, Import(dir_ / name));
    EXPECT_THAT(imported.names, ElementsAre("example.com/" + name + ":1"));
    EXPECT_THAT(imported.layers, ElementsAre(Sha256Digest(image.layers[0])));
    EXPECT_THAT(imported.config.cmd, ElementsAre("cat", "/etc/motd"));
    EXPECT_EQ(imported.size_bytes, name.size());
    EXPECT_FALSE(imported.bootable);
    EXPECT_EQ(ReadInTopLayer(imported.id, "etc/motd"), name);
  }
}

TEST_F(ImageArchivesTest, OciArchiveCompressedOrNot) {
  LayoutBuilder layout(layout_);
  layout.List(layout.AddImage(Simple()), "v1");
  for (Compression compression : {Compression::kNone, Compression::kGzip,
                                  Compression::kZstd, Compression::kXz}) {
    Put(dir_ / "app.oci.tar", Compress(TarOfDirectory(layout_), compression));
    ASSERT_OK_AND_ASSIGN(Image image, Import(dir_ / "app.oci.tar"));
    // A bare ref.name is a tag of the archive's own name.
    EXPECT_THAT(image.names, ElementsAre("docker.io/library/app:v1"));
    EXPECT_EQ(ReadInTopLayer("app:v1", "etc/motd"), "hello");
    ASSERT_THAT(store_->Remove("app:v1"), IsOk());
    ExpectEmptyStore();
  }
}

TEST_F(ImageArchivesTest, NamesComeFromRequestAnnotationsOrFile) {
  LayoutBuilder layout(layout_);
  json descriptor = layout.AddImage(Simple());
  descriptor["annotations"]["io.containerd.image.name"] = "docker.io/me/x:2";
  layout.List(descriptor, "2");
  EXPECT_THAT(Import(layout_)->names, ElementsAre("docker.io/me/x:2"));
  EXPECT_THAT(Import(layout_, {.name = "mine"})->names,
              ElementsAre("docker.io/me/x:2", "docker.io/library/mine:latest"));

  LayoutBuilder nameless(dir_ / "My Image_1.2");
  nameless.List(nameless.AddImage(Simple("nameless")));
  EXPECT_THAT(Import(dir_ / "My Image_1.2")->names,
              ElementsAre("docker.io/library/my-image_1.2:latest"));
}

TEST_F(ImageArchivesTest, SeveralImagesInOneLayout) {
  LayoutBuilder layout(layout_);
  json one = layout.AddImage(Simple("one"));
  layout.List(one, "a/x:1");
  layout.List(layout.AddImage(Simple("two")), "a/y:1");
  layout.List(one, "a/z:1");
  ASSERT_OK_AND_ASSIGN(std::vector<Image> images,
                       store_->Import({.path = layout_}));
  ASSERT_EQ(images.size(), 2u);
  EXPECT_THAT(images[0].names,
              ElementsAre("docker.io/a/x:1", "docker.io/a/z:1"));
  EXPECT_THAT(images[1].names, ElementsAre("docker.io/a/y:1"));
  EXPECT_THAT(store_->Import({.path = layout_, .name = "n"}),
              StatusIs(kBad, HasSubstr("name \"n\" cannot be given to 2")));
}

TEST_F(ImageArchivesTest, ChoosesThePlatform) {
  auto on = [](json descriptor, const char* os, const char* architecture) {
    descriptor["platform"] = {{"os", os}, {"architecture", architecture}};
    return descriptor;
  };
  LayoutBuilder layout(layout_);
  json windows = on(layout.AddImage(Simple("w")), "windows", "amd64");
  json arm = on(layout.AddImage(Simple("arm")), "linux", "arm64");
  json amd = on(layout.AddImage(Simple("amd")), "linux", "amd64");
  json attestation = on(layout.AddImage(Simple("att")), "unknown", "unknown");
  attestation["annotations"]["vnd.docker.reference.type"] =
      "attestation-manifest";
  layout.List(
      layout.AddIndex({layout.AddIndex({windows, arm, amd, attestation})}),
      "nested:1");
  for (const json& flat : {windows, arm, amd, attestation}) {
    layout.List(flat, "flat:1");
  }
  layout.List(layout.AddIndex({arm, attestation}), "only:1");
  ASSERT_THAT(store_->Import({.path = layout_}), IsOk());
  EXPECT_EQ(ReadInTopLayer("nested:1", "etc/motd"), "amd");
  EXPECT_EQ(ReadInTopLayer("flat:1", "etc/motd"), "amd");
  EXPECT_EQ(ReadInTopLayer("only:1", "etc/motd"), "arm");

  LayoutBuilder foreign(dir_ / "foreign");
  foreign.AddImage(Simple("w"));
  foreign.AddImage(Simple("arm"));
  foreign.List(foreign.AddIndex({windows, arm}), "x:1");
  EXPECT_THAT(Import(dir_ / "foreign"),
              StatusIs(kBad, AllOf(HasSubstr("no manifest for linux/amd64"),
                                   HasSubstr("windows/amd64, linux/arm64"))));
}

TEST_F(ImageArchivesTest, DockerMediaTypesAreAccepted) {
  LayoutBuilder layout(layout_);
  TestImage image = Simple();
  json config = layout.AddBlob(
      json({{"rootfs", {{"diff_ids", {Sha256Digest(image.layers[0])}}}}})
          .dump(),
      "application/vnd.docker.container.image.v1+json");
  json layer =
      layout.AddBlob(Compress(image.layers[0], Compression::kGzip),
                     "application/vnd.docker.image.rootfs.diff.tar.gzip");
  json manifest =
      layout.AddBlob(json({{"config", config}, {"layers", {layer}}}).dump(),
                     "application/vnd.docker.distribution.manifest.v2+json");
  json list = layout.AddBlob(
      json({{"manifests", {manifest}}}).dump(),
      "application/vnd.docker.distribution.manifest.list.v2+json");
  layout.List(list, "x:1");
  ASSERT_OK_AND_ASSIGN(Image imported, Import(layout_));
  EXPECT_EQ(imported.id, config["digest"]);
}

TEST_F(ImageArchivesTest, BrokenOciLayoutsLeaveNothing) {
  struct Case {
    const char* what;
    absl::StatusCode code;
    const char* message;
    std::function<void(LayoutBuilder&, const json& manifest)> damage;
  };
  TestImage image = Simple();
  json layer_descriptor = {
      {"digest", Sha256Digest(Compress(image.layers[0], Compression::kGzip))}};
  Case cases[] = {
      {"changed manifest", kDataLoss, "is in truth",
       [](LayoutBuilder& l, const json& m) { Put(l.BlobPath(m), "{}"); }},
      {"missing manifest", absl::StatusCode::kNotFound, "blobs/sha256",
       [](LayoutBuilder& l, const json& m) { unlink(l.BlobPath(m).c_str()); }},
      {"missing layer", absl::StatusCode::kNotFound, "layer blobs/sha256",
       [&](LayoutBuilder& l, const json&) {
         unlink(l.BlobPath(layer_descriptor).c_str());
       }},
      {"truncated layer", kDataLoss, "cannot decompress",
       [&](LayoutBuilder& l, const json&) {
         EXPECT_EQ(truncate(l.BlobPath(layer_descriptor).c_str(), 60), 0);
       }},
      {"other layer", kDataLoss, "blob is in truth",
       [&](LayoutBuilder& l, const json&) {
         Put(l.BlobPath(layer_descriptor),
             TarBuilder().File("evil").Build(Compression::kGzip));
       }},
      {"same tar, other gzip", kDataLoss, "blob is in truth",
       [&](LayoutBuilder& l, const json&) {
         Put(l.BlobPath(layer_descriptor),
             Compress(image.layers[0], Compression::kZstd));
       }},
      {"blob is a symlink out", kBad, "leads out of the archive",
       [&](LayoutBuilder& l, const json&) {
         unlink(l.BlobPath(layer_descriptor).c_str());
         EXPECT_EQ(symlink("/etc/passwd", l.BlobPath(layer_descriptor).c_str()),
                   0);
       }},
      {"blob is a fifo", kBad, "is not a regular file",
       [&](LayoutBuilder& l, const json&) {
         unlink(l.BlobPath(layer_descriptor).c_str());
         mkfifo(l.BlobPath(layer_descriptor).c_str(), 0600);
       }},
      {"index is no JSON", kBad, "index.json is not JSON",
       [&](LayoutBuilder&, const json&) { Put(layout_ + "/index.json", "x"); }},
      {"index is empty", kBad, "index.json lists no image",
       [&](LayoutBuilder&, const json&) {
         Put(layout_ + "/index.json", "{}");
       }},
      {"evil digest", kBad, "manifests[0]: \"sha256:../../x\" is not",
       [&](LayoutBuilder&, const json&) {
         Put(layout_ + "/index.json",
             R"({"manifests": [{"digest": "sha256:../../x", "size": 1}]})");
       }},
      {"later version", kBad, "version \"2.0.0\" is not supported",
       [&](LayoutBuilder&, const json&) {
         Put(layout_ + "/oci-layout", R"({"imageLayoutVersion": "2.0.0"})");
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    ASSERT_THAT(RemoveTree(layout_), IsOk());
    LayoutBuilder layout(layout_);
    json manifest = layout.AddImage(image);
    layout.List(manifest, "x:1");
    c.damage(layout, manifest);
    EXPECT_THAT(Import(layout_), StatusIs(c.code, HasSubstr(c.message)));
    ExpectEmptyStore();
  }
}

TEST_F(ImageArchivesTest, WrongDiffIdIsDataLoss) {
  LayoutBuilder layout(layout_);
  std::string tar = TarBuilder().File("x").Build();
  json config = layout.AddBlob(
      json({{"rootfs", {{"diff_ids", {Sha256Digest("other")}}}}}).dump(),
      "application/vnd.oci.image.config.v1+json");
  json layer = layout.AddBlob(tar, "application/vnd.oci.image.layer.v1.tar");
  layout.List(
      layout.AddBlob(json({{"config", config}, {"layers", {layer}}}).dump(),
                     "application/vnd.oci.image.manifest.v1+json"));
  EXPECT_THAT(Import(layout_),
              StatusIs(kDataLoss,
                       HasSubstr("diff id is in truth " + Sha256Digest(tar))));
  ExpectEmptyStore();
}

TEST_F(ImageArchivesTest, WhatIsNoImageIsRefused) {
  LayoutBuilder layout(layout_);
  json config =
      layout.AddBlob("{}", "application/vnd.cncf.helm.config.v1+json");
  layout.List(layout.AddBlob(json({{"config", config}}).dump(),
                             "application/vnd.oci.image.manifest.v1+json"));
  EXPECT_THAT(Import(layout_), StatusIs(kBad, HasSubstr("helm")));

  LayoutBuilder empty(dir_ / "empty");
  empty.List(empty.AddImage(TestImage()));
  EXPECT_THAT(Import(dir_ / "empty"),
              StatusIs(kBad, HasSubstr("image has no layers")));

  LayoutBuilder loop(dir_ / "loop");
  json index = loop.AddImage(Simple());
  for (int i = 0; i < 6; ++i) index = loop.AddIndex({index});
  loop.List(index);
  EXPECT_THAT(Import(dir_ / "loop"),
              StatusIs(kBad, HasSubstr("nested deeper than 4")));
  ExpectEmptyStore();
}

TEST_F(ImageArchivesTest, HostileLayerNamesTheEntryAndLeavesNothing) {
  LayoutBuilder layout(layout_);
  TestImage image = Simple();
  image.layers.push_back(
      TarBuilder().Symlink("etc", "/").File("etc/evil").Build());
  layout.List(layout.AddImage(image));
  EXPECT_THAT(Import(layout_),
              StatusIs(kBad, AllOf(HasSubstr("layer blobs/sha256/"),
                                   HasSubstr("entry \"etc/evil\""))));
  ExpectEmptyStore();
  EXPECT_FALSE(PathExists("/evil"));
}

// --- Docker archives --------------------------------------------------------

TEST_F(ImageArchivesTest, DockerArchive) {
  TestImage image = Simple();
  image.layers.push_back(TarBuilder().File("etc/.wh.motd").Build());
  WriteDockerArchive(layout_, image, {"app:1", "quay.io/app:2"});
  Put(dir_ / "saved.tar", TarOfDirectory(layout_));
  ASSERT_OK_AND_ASSIGN(Image imported, Import(dir_ / "saved.tar"));
  EXPECT_THAT(imported.names,
              ElementsAre("docker.io/library/app:1", "quay.io/app:2"));
  EXPECT_EQ(imported.layers.size(), 2u);
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("app:1"));
  struct stat st;
  ASSERT_EQ(lstat((hold->lower_dirs()[0] + "/etc/motd").c_str(), &st), 0);
  EXPECT_TRUE(S_ISCHR(st.st_mode));
}

TEST_F(ImageArchivesTest, DockerArchiveWithoutTagsAndWithLinkedLayers) {
  TestImage image = Simple();
  image.layers.push_back(image.layers[0]);
  WriteDockerArchive(layout_, image, {});
  // Old Docker stored a repeated layer as a symlink to the first.
  TarBuilder tar;
  for (const auto& item : std::filesystem::directory_iterator(layout_)) {
    if (item.is_regular_file()) {
      tar.File(item.path().filename(), *ReadFile(item.path()));
    }
  }
  tar.File("layer0/layer.tar", image.layers[0]);
  tar.Symlink("layer1/layer.tar", "../layer0/layer.tar");
  Put(dir_ / "old.tar.gz", tar.Build(Compression::kGzip));
  ASSERT_OK_AND_ASSIGN(Image imported, Import(dir_ / "old.tar.gz"));
  EXPECT_THAT(imported.names, ElementsAre("docker.io/library/old:latest"));
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("old"));
  // Overlay refuses a repeated layer, so it is given once.
  EXPECT_EQ(hold->lower_dirs().size(), 1u);
}

TEST_F(ImageArchivesTest, BrokenDockerArchives) {
  TestImage image = Simple();
  WriteDockerArchive(layout_, image, {"app:1"});
  std::string manifest = *ReadFile(layout_ + "/manifest.json");
  auto import_with = [&](const std::string& text) {
    Put(layout_ + "/manifest.json", text);
    Put(dir_ / "x.tar", TarOfDirectory(layout_));
    return Import(dir_ / "x.tar", {.format = ImageFormat::kDockerArchive});
  };
  json parsed = json::parse(manifest);
  json other = parsed;
  other[0]["Layers"] = {"../../../etc/passwd"};
  EXPECT_THAT(import_with(other.dump()),
              StatusIs(kBad, HasSubstr("leads out of the archive")));
  other[0]["Layers"] = json::array();
  EXPECT_THAT(import_with(other.dump()),
              StatusIs(kBad, HasSubstr("there are 0 layers and 1 diff_ids")));
  other[0]["Layers"] = {"absent"};
  EXPECT_THAT(import_with(other.dump()),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent")));
  other = parsed;
  other[0]["RepoTags"] = {"Not A Name"};
  EXPECT_THAT(import_with(other.dump()),
              StatusIs(kBad, HasSubstr("Not A Name")));
  EXPECT_THAT(import_with("{}"), StatusIs(kBad, HasSubstr("not a list")));
  EXPECT_THAT(import_with("[3]"),
              StatusIs(kBad, HasSubstr("manifest.json[0]")));

  Put(layout_ + "/layer0/layer.tar", TarBuilder().File("evil").Build());
  EXPECT_THAT(import_with(manifest),
              StatusIs(kDataLoss, HasSubstr("diff id is in truth")));
  Put(layout_ + "/" + parsed[0]["Config"].get<std::string>(), "{}");
  EXPECT_THAT(import_with(manifest),
              StatusIs(kDataLoss, HasSubstr("configuration")));
  ExpectEmptyStore();
}

// --- Plain root file systems ------------------------------------------------

TEST_F(ImageArchivesTest, RootfsTar) {
  TarBuilder tar;
  tar.Dir("sbin").Dir("usr").Dir("usr/lib").Dir("usr/lib/systemd");
  tar.File("usr/lib/systemd/systemd", "ELF", 0755).Symlink("lib", "usr/lib");
  tar.Symlink("sbin/init", "/lib/systemd/systemd");
  Put(dir_ / "debian-12.5.tar.zst", tar.Build(Compression::kZstd));
  ASSERT_OK_AND_ASSIGN(Image image, Import(dir_ / "debian-12.5.tar.zst"));
  EXPECT_THAT(image.names, ElementsAre("docker.io/library/debian-12.5:latest"));
  EXPECT_TRUE(image.bootable);
  EXPECT_EQ(image.config.architecture, "amd64");
  EXPECT_EQ(image.config.os, "linux");
  // The diff id is that of the tar inside, so compression does not matter.
  Put(dir_ / "again.tar", *ReadFile(dir_ / "debian-12.5.tar.zst"));
  EXPECT_EQ(Import(dir_ / "again.tar")->id, image.id);
}

TEST_F(ImageArchivesTest, RootfsDirectory) {
  Put(dir_ / "tree/etc/hostname", "x");
  Put(dir_ / "tree/manifest.json", "not docker's");
  ASSERT_OK_AND_ASSIGN(Image image, Import(dir_ / "tree"));
  EXPECT_THAT(image.names, ElementsAre("docker.io/library/tree:latest"));
  EXPECT_FALSE(image.bootable);
  EXPECT_EQ(image.size_bytes, 13u);
  EXPECT_EQ(ReadInTopLayer("tree", "etc/hostname"), "x");
  ASSERT_OK_AND_ASSIGN(Image again, Import(dir_ / "tree", {.name = "b"}));
  EXPECT_EQ(again.id, image.id);
  // The store has its own copy.
  Put(dir_ / "tree/etc/hostname", "changed");
  EXPECT_EQ(ReadInTopLayer("tree", "etc/hostname"), "x");
  EXPECT_NE(Import(dir_ / "tree", {.name = "c"})->id, image.id);
}

TEST_F(ImageArchivesTest, RootfsTarWithAManifestJsonIsStillARootfs) {
  Put(dir_ / "r.tar",
      TarBuilder().File("manifest.json", "{}").File("etc/x").Build());
  EXPECT_THAT(Import(dir_ / "r.tar"), IsOk());
}

TEST_F(ImageArchivesTest, FormatsAreChecked) {
  Put(dir_ / "rootfs.tar", TarBuilder().File("etc/x").Build());
  Put(dir_ / "tree/x", "x");
  struct Case {
    std::string path;
    ImageFormat format;
    absl::StatusCode code;
    const char* message;
  };
  Case cases[] = {
      {"rootfs.tar", ImageFormat::kOciArchive, absl::StatusCode::kNotFound,
       "open(oci-layout)"},
      {"rootfs.tar", ImageFormat::kDockerArchive, absl::StatusCode::kNotFound,
       "open(manifest.json)"},
      {"rootfs.tar", ImageFormat::kRootfsDirectory, kBad,
       "a directory is wanted"},
      {"tree", ImageFormat::kRootfsTar, kBad, "an archive is wanted"},
      {"tree", ImageFormat::kOciLayout, absl::StatusCode::kNotFound,
       "open(oci-layout)"},
      {"absent", ImageFormat::kAuto, absl::StatusCode::kNotFound, "absent"},
      {"tree/x", ImageFormat::kAuto, kBad, "not a tar"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(Import(dir_ / c.path, {.format = c.format}),
                StatusIs(c.code, AllOf(HasSubstr("import " + (dir_ / c.path)),
                                       HasSubstr(c.message))));
  }
  EXPECT_THAT(Import("/dev/null"),
              StatusIs(kBad, HasSubstr("neither a file nor a directory")));
  ExpectEmptyStore();
}

TEST_F(ImageArchivesTest, ProgressCountsTheSourceOnce) {
  LayoutBuilder layout(layout_);
  layout.List(layout.AddImage(Simple(std::string(300000, 'x'))));
  std::string archive = TarOfDirectory(layout_);
  Put(dir_ / "a.tar", archive);
  uint64_t last = 0;
  ASSERT_THAT(Import(dir_ / "a.tar", {.progress =
                                          [&](uint64_t bytes) {
                                            EXPECT_GE(bytes, last);
                                            last = bytes;
                                            return true;
                                          }}),
              IsOk());
  EXPECT_EQ(last, archive.size());
}

}  // namespace
}  // namespace davit
