#include "runtime/image/image_config.h"

#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "runtime/image/digest.h"
#include "runtime/image/image_record.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(ImageDocument, ReadsWhatRunningNeeds) {
  std::string diff_id = Sha256Digest("layer");
  ASSERT_OK_AND_ASSIGN(ImageDocument document, ParseImageDocument(R"({
    "architecture": "arm64", "os": "linux", "created": "2024-01-01T00:00:00Z",
    "config": {"Entrypoint": ["/e", "x"], "Cmd": ["c"], "Env": ["A=1", "B="],
               "WorkingDir": "/w", "User": "1:2", "StopSignal": "SIGQUIT",
               "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
               "Labels": {"k": "v"}, "Volumes": {"/x": {}}},
    "rootfs": {"type": "layers", "diff_ids": [")" + diff_id + R"("]},
    "history": [{"empty_layer": true}]})"));
  const ImageConfig& config = document.config;
  EXPECT_THAT(config.entrypoint, ElementsAre("/e", "x"));
  EXPECT_THAT(config.cmd, ElementsAre("c"));
  EXPECT_THAT(config.env, ElementsAre("A=1", "B="));
  EXPECT_EQ(config.working_dir, "/w");
  EXPECT_EQ(config.user, "1:2");
  EXPECT_EQ(config.stop_signal, "SIGQUIT");
  EXPECT_THAT(config.exposed_ports, ElementsAre("53/udp", "80/tcp"));
  EXPECT_THAT(config.labels, ElementsAre(Pair("k", "v")));
  EXPECT_EQ(config.architecture, "arm64");
  EXPECT_EQ(config.os, "linux");
  EXPECT_THAT(document.diff_ids, ElementsAre(diff_id));
}

TEST(ImageDocument, NullAndAbsentAreEmpty) {
  for (const char* text :
       {"{}", R"({"config": null, "rootfs": null})",
        R"({"config": {"Entrypoint": null, "Env": null, "Labels": null,
            "ExposedPorts": null, "User": null}})"}) {
    ASSERT_OK_AND_ASSIGN(ImageDocument document, ParseImageDocument(text));
    EXPECT_THAT(document.config.entrypoint, IsEmpty());
    EXPECT_THAT(document.config.labels, IsEmpty());
    EXPECT_THAT(document.diff_ids, IsEmpty());
  }
}

TEST(ImageDocument, ErrorsNameTheField) {
  std::pair<const char*, const char*> cases[] = {
      {"", "image configuration is not JSON"},
      {"{", "is not JSON"},
      {"[]", "image configuration is array, want an object"},
      {R"({"config": 1})", "config is number, want an object"},
      {R"({"config": {"Env": "A=1"}})", "\"Env\" is string, want a list"},
      {R"({"config": {"Cmd": ["a", 2]}})",
       "\"Cmd[1]\" is number, want a string"},
      {R"({"config": {"User": 0}})", "\"User\" is number, want a string"},
      {R"({"config": {"Labels": {"k": {}}}})",
       "\"Labels.k\" is object, want a string"},
      {R"({"config": {"ExposedPorts": ["80"]}})", "\"ExposedPorts\" is array"},
      {R"({"rootfs": {"diff_ids": ["sha256:../../etc"]}})",
       "diff_ids: \"sha256:../../etc\" is not a sha256 digest"},
  };
  for (const auto& [text, message] : cases) {
    EXPECT_THAT(
        ParseImageDocument(text),
        StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  }
}

TEST(ImageDocument, DeepNestingIsHarmless) {
  std::string deep = "{\"config\":" + std::string(100000, '[');
  EXPECT_THAT(ParseImageDocument(deep),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ParseImageDocument(deep + std::string(100000, ']') + "}"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(Digest, OnlySha256InLowerCasePasses) {
  EXPECT_EQ(*DigestHex(Sha256Digest("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  for (std::string text :
       {std::string(""), std::string("sha256:"), std::string(64, 'a'),
        "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "sha512:" + std::string(64, 'a'),
        "sha256:" + std::string(61, '/') + "../"}) {
    EXPECT_THAT(DigestHex(text), StatusIs(absl::StatusCode::kInvalidArgument));
  }
}

ImageRecord SomeRecord() {
  ImageRecord record;
  record.image.id = Sha256Digest("id");
  record.image.names = {"docker.io/library/x:latest"};
  record.image.config.cmd = {"sh", "-c", "\xff bytes"};
  record.image.config.exposed_ports = {"80/tcp"};
  record.image.layers = {Sha256Digest("1"), Sha256Digest("2"),
                         Sha256Digest("1")};
  record.image.size_bytes = 12345;
  record.image.imported_at = absl::FromUnixNanos(1700000000123456789);
  record.image.bootable = true;
  record.parents_layer = Sha256Digest("parents");
  record.manifest = Sha256Digest("manifest");
  record.written_at = 1700000000987654321;
  return record;
}

TEST(ImageRecord, SurvivesTheDisk) {
  ImageRecord record = SomeRecord();
  ASSERT_OK_AND_ASSIGN(ImageRecord read,
                       ParseImageRecord(FormatImageRecord(record)));
  EXPECT_EQ(read.image.id, record.image.id);
  EXPECT_EQ(read.image.names, record.image.names);
  EXPECT_EQ(read.image.layers, record.image.layers);
  EXPECT_EQ(read.image.size_bytes, 12345u);
  EXPECT_EQ(read.image.imported_at, record.image.imported_at);
  EXPECT_TRUE(read.image.bootable);
  EXPECT_EQ(read.image.config.exposed_ports, record.image.config.exposed_ports);
  EXPECT_EQ(read.parents_layer, record.parents_layer);
  EXPECT_EQ(read.manifest, record.manifest);
  EXPECT_EQ(read.written_at, record.written_at);
}

TEST(ImageRecord, RepeatedLayersCountOnceAtTheirTopmostPlace) {
  EXPECT_THAT(SomeRecord().LayersTopFirst(),
              ElementsAre(Sha256Digest("parents"), Sha256Digest("1"),
                          Sha256Digest("2")));
}

TEST(ImageRecord, NonsenseIsDataLossAndTheFutureIsNot) {
  EXPECT_THAT(ParseImageRecord("{"), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ParseImageRecord("{}"), StatusIs(absl::StatusCode::kDataLoss));
  std::string text = FormatImageRecord(SomeRecord());
  EXPECT_THAT(ParseImageRecord(text.substr(0, text.size() / 2)),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_THAT(ParseImageRecord(R"({"version": 2})"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("version 2, this program knows 1")));
}

}  // namespace
}  // namespace davit
