#ifndef DAVIT_RUNTIME_IMAGE_IMAGE_STORE_CONFORMANCE_H_
#define DAVIT_RUNTIME_IMAGE_IMAGE_STORE_CONFORMANCE_H_

#include <gmock/gmock.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "runtime/image/image_store.h"
#include "tests/support/matchers.h"

namespace davit::testing {

// What every ImageStore must do; run on the real one and on the fake.
// `Backend` makes a store and two importable paths "<dir>/web.tar" and
// "<dir>/db.tar" with different contents.
template <typename Backend>
class ImageStoreConformance : public ::testing::Test {
 protected:
  absl::StatusOr<Image> Import(const std::string& path,
                               const std::string& name = "") {
    absl::StatusOr<std::vector<Image>> images =
        store().Import({.path = path, .name = name});
    if (!images.ok()) return images.status();
    return images->front();
  }
  ImageStore& store() { return *backend_.store; }
  const std::string& web() { return backend_.web; }
  const std::string& db() { return backend_.db; }

  Backend backend_;
};

TYPED_TEST_SUITE_P(ImageStoreConformance);

TYPED_TEST_P(ImageStoreConformance, ImportedImagesAreFound) {
  ASSERT_OK_AND_ASSIGN(Image web, this->Import(this->web()));
  ASSERT_OK_AND_ASSIGN(Image db, this->Import(this->db(), "example.com/db:1"));
  EXPECT_THAT(web.names,
              ::testing::ElementsAre("docker.io/library/web:latest"));
  EXPECT_THAT(db.names, ::testing::ElementsAre("example.com/db:1"));
  EXPECT_NE(web.id, db.id);
  EXPECT_THAT(web.id, ::testing::MatchesRegex("sha256:[0-9a-f]{64}"));
  for (std::string reference :
       {std::string("web"), std::string("web:latest"),
        std::string("docker.io/library/web"), web.id, web.id.substr(7),
        web.id.substr(0, 19), web.id.substr(7, 12)}) {
    SCOPED_TRACE(reference);
    ASSERT_OK_AND_ASSIGN(Image found, this->store().Get(reference));
    EXPECT_EQ(found.id, web.id);
  }
  EXPECT_EQ(this->store().List().size(), 2u);
}

TYPED_TEST_P(ImageStoreConformance, AbsentImagesAreNotFound) {
  ASSERT_OK_AND_ASSIGN(Image web, this->Import(this->web()));
  for (std::string reference :
       {std::string("web:2"), std::string("other"), std::string(""),
        std::string("Not//valid"), web.id.substr(7, 3), std::string("sha256:"),
        "sha256:" + std::string(64, '0')}) {
    auto not_found =
        StatusIs(absl::StatusCode::kNotFound,
                 ::testing::HasSubstr("image \"" + reference + "\" not found"));
    EXPECT_THAT(this->store().Get(reference), not_found);
    EXPECT_THAT(this->store().Hold(reference), not_found);
    EXPECT_THAT(this->store().Remove(reference), not_found);
  }
}

TYPED_TEST_P(ImageStoreConformance, ImportingAgainOnlyAddsNames) {
  ASSERT_OK_AND_ASSIGN(Image first, this->Import(this->web()));
  ASSERT_OK_AND_ASSIGN(Image second, this->Import(this->web(), "second"));
  ASSERT_OK_AND_ASSIGN(Image again, this->Import(this->web(), "second"));
  EXPECT_EQ(second.id, first.id);
  EXPECT_EQ(second.imported_at, first.imported_at);
  EXPECT_THAT(again.names, ::testing::UnorderedElementsAre(
                               "docker.io/library/web:latest",
                               "docker.io/library/second:latest"));
  EXPECT_EQ(this->store().List().size(), 1u);
}

TYPED_TEST_P(ImageStoreConformance, NamesMoveToTheNewImage) {
  ASSERT_OK_AND_ASSIGN(Image old_image, this->Import(this->web(), "app"));
  ASSERT_OK_AND_ASSIGN(Image new_image, this->Import(this->db(), "app"));
  EXPECT_EQ(this->store().Get("app")->id, new_image.id);
  EXPECT_THAT(this->store().Get(old_image.id)->names, ::testing::IsEmpty());
}

TYPED_TEST_P(ImageStoreConformance, RemoveTakesNamesFirst) {
  ASSERT_OK_AND_ASSIGN(Image image, this->Import(this->web(), "one"));
  ASSERT_THAT(this->Import(this->web(), "two"), IsOk());
  EXPECT_THAT(this->store().Remove("one"), IsOk());
  EXPECT_THAT(this->store().Get("one"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(this->store().Get("two")->names,
              ::testing::ElementsAre("docker.io/library/two:latest"));
  EXPECT_THAT(this->store().Remove("two"), IsOk());
  EXPECT_THAT(this->store().Get(image.id),
              StatusIs(absl::StatusCode::kNotFound));
  // By id, all names go at once.
  ASSERT_THAT(this->Import(this->web(), "one"), IsOk());
  ASSERT_THAT(this->Import(this->web(), "two"), IsOk());
  EXPECT_THAT(this->store().Remove(image.id), IsOk());
  EXPECT_THAT(this->store().List(), ::testing::IsEmpty());
}

TYPED_TEST_P(ImageStoreConformance, HeldImagesCannotBeRemoved) {
  ASSERT_OK_AND_ASSIGN(Image image, this->Import(this->web(), "one"));
  ASSERT_THAT(this->Import(this->web(), "two"), IsOk());
  ASSERT_OK_AND_ASSIGN(auto hold, this->store().Hold("one"));
  ASSERT_OK_AND_ASSIGN(auto second, this->store().Hold(image.id));
  EXPECT_EQ(hold->image().id, image.id);
  EXPECT_THAT(hold->lower_dirs(), ::testing::SizeIs(1));
  EXPECT_THAT(this->store().Remove("one"), IsOk());  // a name is not the image
  auto in_use = StatusIs(absl::StatusCode::kFailedPrecondition,
                         ::testing::HasSubstr("is in use"));
  EXPECT_THAT(this->store().Remove("two"), in_use);
  hold.reset();
  EXPECT_THAT(this->store().Remove(image.id), in_use);
  second.reset();
  EXPECT_THAT(this->store().Remove("two"), IsOk());
}

TYPED_TEST_P(ImageStoreConformance, BadRequestsAreRefused) {
  EXPECT_THAT(this->Import("relative/web.tar"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("relative/web.tar")));
  EXPECT_THAT(this->Import(this->web(), "Bad Name"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       ::testing::HasSubstr("Bad Name")));
  EXPECT_THAT(
      this->store().Import(
          {.path = this->web(), .progress = [](uint64_t) { return false; }}),
      StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(this->store().List(), ::testing::IsEmpty());
}

REGISTER_TYPED_TEST_SUITE_P(ImageStoreConformance, ImportedImagesAreFound,
                            AbsentImagesAreNotFound,
                            ImportingAgainOnlyAddsNames, NamesMoveToTheNewImage,
                            RemoveTakesNamesFirst, HeldImagesCannotBeRemoved,
                            BadRequestsAreRefused);

}  // namespace davit::testing

#endif  // DAVIT_RUNTIME_IMAGE_IMAGE_STORE_CONFORMANCE_H_
