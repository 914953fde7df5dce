// Images that other programs wrote: skopeo and umoci, both of Debian.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/image/image_store.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/test_images.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::LayoutBuilder;
using ::davit::testing::Put;
using ::davit::testing::TarBuilder;
using ::davit::testing::TempDir;
using ::davit::testing::TestImage;
using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

class ImageInteropTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* program : {"/usr/bin/skopeo", "/usr/bin/umoci"}) {
      if (!PathExists(program)) GTEST_SKIP() << program << " is not installed";
    }
    ASSERT_OK_AND_ASSIGN(store_, ImageStore::Open(dir_ / "store"));
  }

  void Run(std::vector<std::string> argv) {
    SubprocessSpec spec;
    spec.path = argv[0];
    spec.env = {"PATH=/usr/bin:/bin", "HOME=" + dir_.path(),
                "TMPDIR=" + dir_.path(), "XDG_RUNTIME_DIR=" + dir_.path()};
    spec.timeout = absl::Seconds(60);
    spec.argv = argv;
    absl::StatusOr<SubprocessResult> result = RunSubprocess(spec);
    ASSERT_THAT(result, IsOk()) << absl::StrJoin(argv, " ");
    ASSERT_TRUE(result->ExitedWith(0)) << absl::StrJoin(argv, " ") << "\n"
                                       << result->out << result->err;
  }
  void Skopeo(const std::string& from, const std::string& to) {
    Run({"/usr/bin/skopeo", "copy", "--insecure-policy", from, to});
  }
  Image Import(const std::string& path) {
    absl::StatusOr<std::vector<Image>> images = store_->Import({.path = path});
    EXPECT_THAT(images, IsOk());
    return images.ok() ? images->front() : Image();
  }

  TempDir dir_;
  std::unique_ptr<ImageStore> store_;
};

TEST_F(ImageInteropTest, SkopeosFormatsAreTheSameImage) {
  LayoutBuilder layout(dir_ / "ours");
  TestImage image;
  image.layers = {
      TarBuilder().Dir("etc").File("etc/a", "1").File("etc/b").Build(),
      TarBuilder().File("etc/.wh.b").File("etc/c", "3").Build()};
  image.config = {{"Entrypoint", {"/init"}}, {"Env", {"A=B"}}};
  layout.List(layout.AddImage(image), "v1");

  std::string from = "oci:" + (dir_ / "ours") + ":v1";
  Skopeo(from, "docker-archive:" + (dir_ / "d.tar") + ":example.com/app:1");
  Skopeo(from, "oci-archive:" + (dir_ / "o.tar") + ":example.com/app:2");
  Skopeo(from, "oci:" + (dir_ / "o") + ":3");
  Image ours = Import(dir_ / "ours");
  EXPECT_EQ(Import(dir_ / "d.tar").id, ours.id);
  EXPECT_EQ(Import(dir_ / "o.tar").id, ours.id);
  Image last = Import(dir_ / "o");
  EXPECT_EQ(last.id, ours.id);
  EXPECT_THAT(last.names, UnorderedElementsAre(
                              "docker.io/library/ours:v1", "example.com/app:1",
                              "example.com/app:2", "docker.io/library/o:3"));
  EXPECT_EQ(store_->List().size(), 1u);

  // Each of them also unpacks on its own.
  for (const char* name : {"d.tar", "o.tar", "o"}) {
    ASSERT_THAT(store_->Remove(ours.id), IsOk());
    Image image = Import(dir_ / name);
    EXPECT_EQ(image.layers, ours.layers);
    EXPECT_THAT(image.config.entrypoint, ElementsAre("/init"));
    EXPECT_THAT(image.config.env, ElementsAre("A=B"));
    ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold(ours.id));
    EXPECT_EQ(*ReadFile(hold->lower_dirs().back() + "/etc/a"), "1");
  }
}

TEST_F(ImageInteropTest, UmocisLayersUnpack) {
  std::string layout = dir_ / "app";
  std::string tag = layout + ":latest";
  Put(dir_ / "rootfs/etc/motd", "hello");
  Put(dir_ / "rootfs/etc/gone", "x");
  EXPECT_EQ(
      link((dir_ / "rootfs/etc/motd").c_str(), (dir_ / "rootfs/same").c_str()),
      0);
  Run({"/usr/bin/umoci", "init", "--layout", layout});
  Run({"/usr/bin/umoci", "new", "--image", tag});
  Run({"/usr/bin/umoci", "insert", "--image", tag, dir_ / "rootfs", "/"});
  Run({"/usr/bin/umoci", "insert", "--image", tag, "--whiteout", "/etc/gone"});
  Run({"/usr/bin/umoci", "config", "--image", tag, "--config.cmd", "sh",
       "--config.user", "1000:1000"});
  Image image = Import(layout);
  EXPECT_THAT(image.names, ElementsAre("docker.io/library/app:latest"));
  EXPECT_THAT(image.config.cmd, ElementsAre("sh"));
  EXPECT_EQ(image.config.user, "1000:1000");
  ASSERT_EQ(image.layers.size(), 2u);
  ASSERT_OK_AND_ASSIGN(auto hold, store_->Hold("app"));
  ASSERT_GE(hold->lower_dirs().size(), 2u);
  size_t top = hold->lower_dirs().size() - 2;
  EXPECT_EQ(*ReadFile(hold->lower_dirs()[top + 1] + "/etc/motd"), "hello");
  struct stat st;
  ASSERT_EQ(lstat((hold->lower_dirs()[top] + "/etc/gone").c_str(), &st), 0);
  EXPECT_TRUE(S_ISCHR(st.st_mode));
}

}  // namespace
}  // namespace davit
