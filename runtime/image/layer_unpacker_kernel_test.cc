#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/base/subprocess.h"
#include "runtime/image/archive_stream.h"
#include "runtime/image/digest.h"
#include "runtime/image/layer_unpacker.h"
#include "runtime/image/tar_builder.h"
#include "runtime/image/test_images.h"
#include "runtime/image/unpack_for_test.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::Compress;
using ::davit::testing::Compression;
using ::davit::testing::IsOk;
using ::davit::testing::Put;
using ::davit::testing::StatusIs;
using ::davit::testing::TarBuilder;
using ::davit::testing::TarEntry;
using ::davit::testing::TempDir;
using ::davit::testing::Unpacked;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kBad = absl::StatusCode::kInvalidArgument;

class LayerUnpackerTest : public ::testing::Test {
 protected:
  LayerUnpackerTest() { mkdir(root_.c_str(), 0755); }

  absl::StatusOr<Unpacked> UnpackTo(const std::string& directory,
                                    const std::string& tar,
                                    const UnpackLimits& limits = {},
                                    ReadProgress* progress = nullptr) {
    return testing::UnpackForTest(tar, directory, limits, progress);
  }
  absl::StatusOr<Unpacked> Unpack(const TarBuilder& tar,
                                  const UnpackLimits& limits = {}) {
    return UnpackTo(root_, tar.Build(), limits);
  }

  // By GNU tar, in its usual sparse format.
  std::string TarOfHole(int64_t size) {
    Put(dir_ / "hole", "");
    EXPECT_EQ(truncate((dir_ / "hole").c_str(), size), 0);
    absl::StatusOr<SubprocessResult> tar = RunSubprocess(
        {.path = "/bin/tar",
         .argv = {"tar", "--sparse", "-cC", dir_.path(), "hole"}});
    EXPECT_TRUE(tar.ok() && tar->ExitedWith(0)) << tar.status();
    return tar.ok() ? tar->out : "";
  }

  std::string Read(const std::string& path) {
    return ReadFile(root_ + "/" + path).value_or("<unreadable>");
  }
  struct stat Stat(const std::string& path) {
    struct stat st = {};
    lstat((root_ + "/" + path).c_str(), &st);
    return st;
  }
  std::string Xattr(const std::string& path, const char* name) {
    char value[256];
    ssize_t n =
        lgetxattr((root_ + "/" + path).c_str(), name, value, sizeof(value));
    return n < 0 ? "<none>" : std::string(value, static_cast<size_t>(n));
  }

  TempDir dir_;
  const std::string root_ = dir_ / "root";
};

TEST_F(LayerUnpackerTest, KeepsWhatAnEntrySays) {
  TarBuilder tar;
  tar.Dir("./").Dir("a/", 01777);
  tar.Add({.path = "a/suid",
           .mode = S_IFREG | 04755,
           .data = "program",
           .uid = 1000,
           .gid = 2000,
           .mtime = 1234567890,
           .mtime_nsec = 123456789,
           .xattrs = {{"user.note", "hello"}}});
  tar.Symlink("a/link", "/etc/passwd").HardLink("a/same", "a/suid");
  tar.Add({.path = "a/null", .mode = S_IFCHR | 0666, .device = makedev(1, 3)});
  tar.Add({.path = "a/disk", .mode = S_IFBLK | 0660, .device = makedev(8, 1)});
  tar.Add({.path = "a/fifo", .mode = S_IFIFO | 0622});
  ASSERT_OK_AND_ASSIGN(Unpacked unpacked, Unpack(tar));

  EXPECT_EQ(Stat("a").st_mode, S_IFDIR | 01777u);
  EXPECT_EQ(Stat("a").st_mtim.tv_sec, 1000000000);
  struct stat suid = Stat("a/suid");
  EXPECT_EQ(suid.st_mode, S_IFREG | 04755u);
  EXPECT_EQ(suid.st_uid, 1000u);
  EXPECT_EQ(suid.st_gid, 2000u);
  EXPECT_EQ(suid.st_mtim.tv_sec, 1234567890);
  EXPECT_EQ(suid.st_mtim.tv_nsec, 123456789);
  EXPECT_EQ(suid.st_nlink, 2u);
  EXPECT_EQ(suid.st_ino, Stat("a/same").st_ino);
  EXPECT_EQ(Read("a/suid"), "program");
  EXPECT_EQ(Xattr("a/suid", "user.note"), "hello");
  EXPECT_EQ(std::filesystem::read_symlink(root_ + "/a/link"), "/etc/passwd");
  EXPECT_TRUE(S_ISCHR(Stat("a/null").st_mode));
  EXPECT_EQ(Stat("a/null").st_rdev, makedev(1, 3));
  EXPECT_TRUE(S_ISBLK(Stat("a/disk").st_mode));
  EXPECT_EQ(Stat("a/disk").st_rdev, makedev(8, 1));
  EXPECT_EQ(Stat("a/fifo").st_mode, S_IFIFO | 0622u);
  EXPECT_EQ(unpacked.tree.size_bytes, 7u);
  EXPECT_EQ(unpacked.tree.entries, 8u);
  EXPECT_THAT(unpacked.tree.implicit_directories, ElementsAre());
}

TEST_F(LayerUnpackerTest, KeepsFileCapabilities) {
  // cap_net_raw+ep, revision 2 (linux/capability.h).
  std::string caps(
      "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00"
      "\x00\x00\x00\x00\x00\x00\x00\x00",
      20);
  TarBuilder tar;
  tar.Add({.path = "ping",
           .mode = S_IFREG | 0755,
           .data = "x",
           .uid = 5,
           .xattrs = {{"security.capability", caps}}});
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(Xattr("ping", "security.capability"), caps);
}

TEST_F(LayerUnpackerTest, DropsOverlaysOwnXattrs) {
  TarBuilder tar;
  tar.Add({.path = "d",
           .mode = S_IFDIR | 0755,
           .xattrs = {{"trusted.overlay.redirect", "/secret"},
                      {"trusted.overlay.opaque", "y"},
                      {"user.overlay.opaque", "y"},
                      {"user.kept", "1"}}});
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(Xattr("d", "trusted.overlay.redirect"), "<none>");
  EXPECT_EQ(Xattr("d", "trusted.overlay.opaque"), "<none>");
  EXPECT_EQ(Xattr("d", "user.overlay.opaque"), "<none>");
  EXPECT_EQ(Xattr("d", "user.kept"), "1");
}

TEST_F(LayerUnpackerTest, MakesAndReportsAbsentParents) {
  umask(0077);
  ASSERT_OK_AND_ASSIGN(Unpacked unpacked,
                       Unpack(TarBuilder().File("a/b/c", "x").Dir("a", 0700)));
  umask(0022);
  EXPECT_EQ(Stat("a").st_mode, S_IFDIR | 0700u);
  EXPECT_EQ(Stat("a/b").st_mode, S_IFDIR | 0755u);
  EXPECT_EQ(Stat("a/b/c").st_mode, S_IFREG | 0644u);
  EXPECT_THAT(unpacked.tree.implicit_directories, ElementsAre("", "a/b"));
}

TEST_F(LayerUnpackerTest, LaterEntriesReplaceEarlierOnes) {
  TarBuilder tar;
  tar.File("file", "old").File("file", "new");
  tar.Dir("dir").File("dir/x", "x").File("dir", "now a file");
  tar.File("plain", "x").Dir("plain").File("plain/y", "y");
  tar.Symlink("link", "/etc").Dir("link").File("link/z", "z");
  tar.File("linked", "1").HardLink("other", "linked").File("linked", "2");
  tar.Dir("same", 0700).File("same/kept", "k").Dir("same", 0711);
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(Read("file"), "new");
  EXPECT_EQ(Read("dir"), "now a file");
  EXPECT_EQ(Read("plain/y"), "y");
  EXPECT_EQ(Read("link/z"), "z");
  // The name is replaced, not the contents of the inode that others share.
  EXPECT_EQ(Read("other"), "1");
  EXPECT_EQ(Read("linked"), "2");
  EXPECT_EQ(Read("same/kept"), "k");
  EXPECT_EQ(Stat("same").st_mode, S_IFDIR | 0711u);
}

TEST_F(LayerUnpackerTest, LongNamesAndForeignLettersSurvive) {
  std::string umlaut =
      "gr\xc3\xbc\xc3\x9f"
      "e";
  std::string deep;
  for (int i = 0; i < 20; ++i) absl::StrAppend(&deep, "directory-", i, "/");
  deep += std::string(200, 'n');
  TarBuilder tar;
  tar.File(umlaut, "1").HardLink("link-" + umlaut, umlaut);
  tar.Symlink("sym", umlaut).File(deep, "deep");
  tar.File("latin1-\xe9", "raw bytes");
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_EQ(Read(umlaut), "1");
  EXPECT_EQ(Stat(umlaut).st_nlink, 2u);
  EXPECT_EQ(std::filesystem::read_symlink(root_ + "/sym"), umlaut);
  EXPECT_EQ(Read(deep), "deep");
  EXPECT_EQ(Read("latin1-\xe9"), "raw bytes");
}

TEST_F(LayerUnpackerTest, HolesStayHoles) {
  ASSERT_OK_AND_ASSIGN(Unpacked unpacked,
                       UnpackTo(root_, TarOfHole(100 << 20)));
  EXPECT_EQ(Stat("hole").st_size, 100 << 20);
  EXPECT_LT(Stat("hole").st_blocks, 64);
  EXPECT_EQ(unpacked.tree.size_bytes, 100u << 20);
}

// --- Hostile archives -------------------------------------------------------

TEST_F(LayerUnpackerTest, DotDotIsRefused) {
  for (std::string name : {"../evil", "a/../../evil", "..", "a/.."}) {
    EXPECT_THAT(Unpack(TarBuilder().File(name, "x")),
                StatusIs(kBad, AllOf(HasSubstr(absl::StrCat("entry \"", name)),
                                     HasSubstr("holds \"..\""))));
  }
  EXPECT_FALSE(PathExists(dir_ / "evil"));
}

TEST_F(LayerUnpackerTest, AbsoluteNamesStayBelowTheRoot) {
  std::string outside = dir_ / "outside";
  TarBuilder tar;
  tar.File(outside, "x").File("//double//slash", "y");
  tar.HardLink("/link", outside);
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_FALSE(PathExists(outside));
  EXPECT_EQ(Read(outside), "x");
  EXPECT_EQ(Read("double/slash"), "y");
  EXPECT_EQ(Read("link"), "x");
}

TEST_F(LayerUnpackerTest, SymlinkedParentsAreRefused) {
  std::string outside = dir_ / "outside";
  mkdir(outside.c_str(), 0755);
  struct Case {
    const char* name;
    TarBuilder tar;
  };
  Case cases[] = {
      {"absolute link",
       TarBuilder().Symlink("link", outside).File("link/evil", "x")},
      {"relative link",
       TarBuilder().Symlink("link", "../outside").File("link/evil", "x")},
      {"link further up",
       TarBuilder().Symlink("link", outside).File("link/a/b/evil", "x")},
      {"directory through it",
       TarBuilder().Symlink("link", outside).Dir("link/evil")},
      {"symlink through it",
       TarBuilder().Symlink("link", outside).Symlink("link/evil", "x")},
      {"whiteout through it",
       TarBuilder().Symlink("link", outside).File("link/.wh.evil")},
      {"opaque through it",
       TarBuilder().Symlink("link", outside).File("link/.wh..wh..opq")},
      {"hard link through it", TarBuilder()
                                   .File("f")
                                   .Symlink("link", outside)
                                   .HardLink("link/evil", "f")},
      {"link that replaced the directory just written to",
       TarBuilder().File("link/x").Symlink("link", outside).File("link/evil")},
      {"dangling link",
       TarBuilder().Symlink("link", "nowhere").File("link/evil", "x")},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::string root = absl::StrCat(dir_.path(), "/", c.name);
    EXPECT_THAT(UnpackTo(root, c.tar.Build()),
                StatusIs(kBad, HasSubstr("its parent \"link")));
    EXPECT_TRUE(std::filesystem::is_empty(outside));
    EXPECT_EQ(lgetxattr(outside.c_str(), "trusted.overlay.opaque", nullptr, 0),
              -1);
  }
}

TEST_F(LayerUnpackerTest, HardLinksCannotReachOutOrAhead) {
  std::string secret = dir_ / "secret";
  Put(secret, "secret");
  auto absent = [](const char* target) {
    return StatusIs(kBad,
                    AllOf(HasSubstr("entry \"link\": hard link to"),
                          HasSubstr(target), HasSubstr("no earlier file")));
  };
  EXPECT_THAT(Unpack(TarBuilder().HardLink("link", secret)), absent("secret"));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("link", "../secret")),
              StatusIs(kBad, HasSubstr("hard link: \"../secret\" holds")));
  EXPECT_THAT(Unpack(TarBuilder()
                         .Symlink("up", dir_.path())
                         .HardLink("link", "up/secret")),
              absent("up/secret"));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("link", "later").File("later")),
              absent("later"));
  EXPECT_THAT(Unpack(TarBuilder().Dir("d").HardLink("link", "d")), absent("d"));
  EXPECT_THAT(Unpack(TarBuilder().HardLink("link", "link")), absent("link"));
  struct stat st;
  ASSERT_EQ(stat(secret.c_str(), &st), 0);
  EXPECT_EQ(st.st_nlink, 1u);
}

TEST_F(LayerUnpackerTest, HardLinkToASymlinkDoesNotFollowIt) {
  std::string secret = dir_ / "secret";
  Put(secret, "secret");
  TarBuilder tar;
  tar.Symlink("link", secret).HardLink("hard", "link");
  ASSERT_THAT(Unpack(tar), IsOk());
  EXPECT_TRUE(S_ISLNK(Stat("hard").st_mode));
  EXPECT_THAT(UnpackTo(dir_ / "second", TarBuilder()
                                            .Symlink("link", secret)
                                            .HardLink("hard", "link")
                                            .File("hard", "overwritten")
                                            .Build()),
              IsOk());
  EXPECT_EQ(*ReadFile(secret), "secret");
}

TEST_F(LayerUnpackerTest, RootCanOnlyBeADirectory) {
  EXPECT_THAT(Unpack(TarBuilder().Symlink("./", "/etc")),
              StatusIs(kBad, HasSubstr("root can only be a directory")));
  EXPECT_THAT(Unpack(TarBuilder().File(".wh...")),
              StatusIs(kBad, HasSubstr("whiteout of nothing")));
  EXPECT_THAT(Unpack(TarBuilder().File("a/.wh..")),
              StatusIs(kBad, HasSubstr("whiteout of nothing")));
}

TEST_F(LayerUnpackerTest, OwnersOutOfRangeAreRefused) {
  TarBuilder tar;
  tar.Add({.path = "f", .uid = 4294967295});
  EXPECT_THAT(Unpack(tar), StatusIs(kBad, HasSubstr("owner 4294967295:0")));
}

TEST_F(LayerUnpackerTest, SymlinksToNothingAreRefused) {
  EXPECT_THAT(Unpack(TarBuilder().Add({.path = "l", .mode = S_IFLNK | 0777})),
              StatusIs(kBad, HasSubstr("entry \"l\": symbolic link to")));
}

TEST_F(LayerUnpackerTest, TooLongNamesAreRefused) {
  EXPECT_THAT(Unpack(TarBuilder().File(std::string(300, 'x'))),
              StatusIs(kBad, HasSubstr("File name too long")));
  std::string deep;
  for (int i = 0; i < 300; ++i) deep += "d/";
  EXPECT_THAT(Unpack(TarBuilder().File(deep + "x")),
              StatusIs(kBad, HasSubstr("deeper than 256")));
}

TEST_F(LayerUnpackerTest, GrowthIsBounded) {
  constexpr auto kTooMuch = absl::StatusCode::kResourceExhausted;
  TarBuilder three;
  three.File("1").File("2").File("3");
  EXPECT_THAT(
      Unpack(three, {.max_entries = 2}),
      StatusIs(kTooMuch, HasSubstr("entry \"3\": more than 2 entries")));

  EXPECT_THAT(UnpackTo(root_, TarOfHole(int64_t{1} << 40)),
              StatusIs(kTooMuch, HasSubstr("larger than 68719476736 bytes")));

  // 64 MiB of zeros are some KiB of gzip.
  std::string bomb = TarBuilder()
                         .File("zeros", std::string(64 << 20, '\0'))
                         .Build(Compression::kGzip);
  ASSERT_LT(bomb.size(), 1u << 20);
  EXPECT_THAT(UnpackTo(root_, bomb, {.max_bytes = 1 << 20}),
              StatusIs(kTooMuch, HasSubstr("larger than 1048576 bytes")));
  // The bytes may also be where no entry is.
  std::string padding =
      TarBuilder().File("x").Build() + std::string(1 << 20, 0);
  EXPECT_THAT(UnpackTo(root_, padding, {.max_bytes = 1 << 20}),
              StatusIs(kTooMuch, HasSubstr("archive is larger than")));
}

TEST_F(LayerUnpackerTest, BrokenArchivesAreDataLoss) {
  std::string data(200000, 'x');
  for (size_t i = 0; i < data.size(); ++i) data[i] = "abcdefgh"[i * i % 7];
  TarBuilder tar;
  tar.File("big", data);
  for (Compression compression :
       {Compression::kGzip, Compression::kZstd, Compression::kXz}) {
    std::string whole = tar.Build(compression);
    EXPECT_THAT(
        UnpackTo(root_, whole.substr(0, whole.size() - 30)),
        StatusIs(absl::StatusCode::kDataLoss, HasSubstr("cannot decompress")));
  }
  std::string plain = tar.Build();
  EXPECT_THAT(UnpackTo(root_, plain.substr(0, 50000)),
              StatusIs(absl::StatusCode::kDataLoss,
                       HasSubstr("entry \"big\": broken tar")));
  EXPECT_THAT(UnpackTo(root_, std::string(2000, 'z')),
              StatusIs(kBad, HasSubstr("not a tar")));
}

TEST_F(LayerUnpackerTest, DigestsCoverAllBytes) {
  std::string tar = TarBuilder().File("x", "data").Build();
  // What follows the end mark is hashed although nobody reads it.
  tar += std::string(20480, '\0');
  ASSERT_OK_AND_ASSIGN(Unpacked plain, UnpackTo(root_, tar));
  EXPECT_EQ(plain.digests.blob, Sha256Digest(tar));
  EXPECT_EQ(plain.digests.diff_id, Sha256Digest(tar));
  EXPECT_EQ(plain.digests.blob_size, tar.size());

  for (Compression compression :
       {Compression::kGzip, Compression::kZstd, Compression::kXz}) {
    std::string blob = Compress(tar, compression);
    ASSERT_OK_AND_ASSIGN(Unpacked unpacked, UnpackTo(root_, blob));
    EXPECT_EQ(unpacked.digests.blob, Sha256Digest(blob));
    EXPECT_EQ(unpacked.digests.diff_id, Sha256Digest(tar));
  }
}

TEST_F(LayerUnpackerTest, EmptyLayersAreFine) {
  ASSERT_OK_AND_ASSIGN(Unpacked unpacked,
                       UnpackTo(root_, std::string(1024, '\0')));
  EXPECT_EQ(unpacked.tree.entries, 0u);
  // The digest that every Docker user has seen.
  EXPECT_EQ(
      unpacked.digests.diff_id,
      "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3"
      "c6ef");
  EXPECT_THAT(UnpackTo(root_, ""), IsOk());
}

TEST_F(LayerUnpackerTest, CanBeCancelled) {
  std::vector<uint64_t> seen;
  ReadProgress progress([&seen](uint64_t bytes) {
    seen.push_back(bytes);
    return seen.size() < 2;
  });
  std::string tar = TarBuilder().File("x", std::string(1 << 20, 'x')).Build();
  EXPECT_THAT(UnpackTo(root_, tar, {}, &progress),
              StatusIs(absl::StatusCode::kCancelled));
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_GT(seen[1], seen[0]);
}

}  // namespace
}  // namespace davit
