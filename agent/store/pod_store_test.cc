#include "agent/store/pod_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/pod/pod_paths.h"
#include "agent/store/fake_pod_store.h"
#include "agent/store/file_pod_store.h"
#include "runtime/base/file.h"
#include "runtime/base/uuid.h"
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
using ::testing::SizeIs;

Pod NewPod(const std::string& name) {
  Pod pod;
  pod.id = NewUuid();
  pod.spec.name = name;
  pod.spec.hostname = name;
  pod.created_at = absl::FromUnixSeconds(1);
  return pod;
}

std::vector<std::string> Names(const std::vector<Pod>& pods) {
  std::vector<std::string> names;
  for (const Pod& pod : pods) names.push_back(pod.spec.name);
  return names;
}

// --- What every store does ---

struct StoreMaker {
  std::string name;
  std::function<std::unique_ptr<PodStore>(const AgentPaths&)> make;
};

class PodStoreConformance : public ::testing::TestWithParam<StoreMaker> {
 protected:
  TempDir dir_;
  AgentPaths paths_{dir_ / "root", dir_ / "state"};
  std::unique_ptr<PodStore> store_ = GetParam().make(paths_);
};

TEST_P(PodStoreConformance, StartsEmpty) {
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  EXPECT_THAT(contents.pods, IsEmpty());
  EXPECT_THAT(contents.broken, IsEmpty());
  EXPECT_THAT(contents.strays, IsEmpty());
}

TEST_P(PodStoreConformance, KeepsWhatWasCreatedAndUpdated) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  pod.status.reason = "Stopped";
  pod.intents = {{IntentKind::kNetns, absl::FromUnixSeconds(5), "busy"}};
  ASSERT_THAT(store_->Update(pod), IsOk());
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  ASSERT_THAT(contents.pods, SizeIs(1));
  EXPECT_EQ(contents.pods[0].id, pod.id);
  EXPECT_EQ(contents.pods[0].status.reason, "Stopped");
  ASSERT_THAT(contents.pods[0].intents, SizeIs(1));
  EXPECT_EQ(contents.pods[0].intents[0].error, "busy");
}

TEST_P(PodStoreConformance, LoadsInOrderOfIds) {
  std::vector<std::string> ids;
  for (int i = 0; i < 5; ++i) {
    Pod pod = NewPod(absl::StrCat("pod", i));
    ids.push_back(pod.id);
    ASSERT_THAT(store_->Create(pod), IsOk());
  }
  std::sort(ids.begin(), ids.end());
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  std::vector<std::string> loaded;
  for (const Pod& pod : contents.pods) loaded.push_back(pod.id);
  EXPECT_EQ(loaded, ids);
}

TEST_P(PodStoreConformance, CreateRefusesATakenId) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  pod.spec.name = "other";
  EXPECT_THAT(store_->Create(pod),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(pod.id)));
  EXPECT_THAT(Names(store_->Load()->pods), ElementsAre("web"));
}

TEST_P(PodStoreConformance, UpdateDoesNotBringBack) {
  Pod pod = NewPod("web");
  EXPECT_THAT(store_->Update(pod),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(pod.id)));
  ASSERT_THAT(store_->Create(pod), IsOk());
  ASSERT_THAT(store_->Remove(pod.id), IsOk());
  EXPECT_THAT(store_->Update(pod), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(store_->Load()->pods, IsEmpty());
}

TEST_P(PodStoreConformance, RemoveIsIdempotent) {
  Pod pod = NewPod("web");
  EXPECT_THAT(store_->Remove(pod.id), IsOk());
  ASSERT_THAT(store_->Create(pod), IsOk());
  EXPECT_THAT(store_->Remove(pod.id), IsOk());
  EXPECT_THAT(store_->Remove(pod.id), IsOk());
  EXPECT_THAT(store_->Create(pod), IsOk()) << "the id is free";
}

INSTANTIATE_TEST_SUITE_P(
    , PodStoreConformance,
    ::testing::Values(StoreMaker{"file",
                                 [](const AgentPaths& paths) {
                                   return OpenFilePodStore(paths).value();
                                 }},
                      StoreMaker{"fake",
                                 [](const AgentPaths&) {
                                   return std::make_unique<FakePodStore>();
                                 }}),
    [](const auto& info) { return info.param.name; });

// --- Files ---

class FilePodStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    store_.reset();
    ASSERT_OK_AND_ASSIGN(store_, OpenFilePodStore(paths_));
  }
  static size_t CountIn(const std::string& dir) {
    size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator(dir)) {
      ++count;
    }
    return count;
  }

  TempDir dir_;
  AgentPaths paths_{dir_ / "root", dir_ / "state"};
  std::unique_ptr<PodStore> store_;
};

TEST_F(FilePodStoreTest, SurvivesAReopen) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  Open();
  EXPECT_THAT(Names(store_->Load()->pods), ElementsAre("web"));
}

TEST_F(FilePodStoreTest, OnlyRootCanRead) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  struct stat st;
  ASSERT_EQ(stat(paths_.ForPod(pod.id).record.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u) << "environments may hold secrets";
  ASSERT_EQ(stat(paths_.ForPod(pod.id).dir.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
}

TEST_F(FilePodStoreTest, RemoveDeletesAllFiles) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  PodPaths paths = paths_.ForPod(pod.id);
  ASSERT_THAT(MakeDirectories(paths.upper + "/etc"), IsOk());
  ASSERT_THAT(WriteFileAtomic(paths.upper + "/etc/x", "x"), IsOk());
  ASSERT_THAT(store_->Remove(pod.id), IsOk());
  EXPECT_FALSE(PathExists(paths.dir));
  EXPECT_EQ(CountIn(paths_.trash()), 0u);
}

TEST_F(FilePodStoreTest, OpenFinishesWhatACrashLeft) {
  std::string fresh = paths_.pods() + "/.new-" + NewUuid();
  std::string trash = paths_.trash() + "/" + NewUuid() + ".x/upper";
  ASSERT_THAT(MakeDirectories(fresh), IsOk());
  ASSERT_THAT(MakeDirectories(trash), IsOk());
  Open();
  EXPECT_FALSE(PathExists(fresh));
  EXPECT_EQ(CountIn(paths_.trash()), 0u);
  EXPECT_EQ(CountIn(paths_.pods()), 0u);
}

TEST_F(FilePodStoreTest, ABrokenRecordStopsNoOther) {
  Pod good = NewPod("good"), bad = NewPod("bad");
  ASSERT_THAT(store_->Create(good), IsOk());
  ASSERT_THAT(store_->Create(bad), IsOk());
  std::string record = paths_.ForPod(bad.id).record;
  ASSERT_THAT(WriteFileAtomic(record, "{\"version\": 1, \"pod\""), IsOk());
  // It is reported at each start, under both names.
  for (int i = 0; i < 2; ++i) {
    ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
    EXPECT_THAT(Names(contents.pods), ElementsAre("good"));
    ASSERT_THAT(contents.broken, SizeIs(1));
    EXPECT_EQ(contents.broken[0].id, bad.id);
    EXPECT_THAT(contents.broken[0].error, HasSubstr(record));
    EXPECT_THAT(contents.strays, IsEmpty());
    EXPECT_FALSE(PathExists(record));
    EXPECT_TRUE(PathExists(record + ".broken"));
  }
  ASSERT_THAT(store_->Remove(bad.id), IsOk());
  EXPECT_THAT(store_->Load()->broken, IsEmpty());
}

TEST_F(FilePodStoreTest, ANewerRecordKeepsItsName) {
  Pod pod = NewPod("web");
  ASSERT_THAT(store_->Create(pod), IsOk());
  std::string record = paths_.ForPod(pod.id).record;
  ASSERT_THAT(WriteFileAtomic(record, "{\"version\": 99}"), IsOk());
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  ASSERT_THAT(contents.broken, SizeIs(1));
  EXPECT_THAT(contents.broken[0].error, HasSubstr("version 99 is newer"));
  EXPECT_TRUE(PathExists(record));
}

TEST_F(FilePodStoreTest, ARecordOfAnotherPodIsBroken) {
  Pod one = NewPod("one"), two = NewPod("two");
  ASSERT_THAT(store_->Create(one), IsOk());
  ASSERT_THAT(store_->Create(two), IsOk());
  ASSERT_OK_AND_ASSIGN(std::string text,
                       ReadFile(paths_.ForPod(one.id).record));
  ASSERT_THAT(WriteFileAtomic(paths_.ForPod(two.id).record, text), IsOk());
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  ASSERT_THAT(contents.broken, SizeIs(1));
  EXPECT_THAT(contents.broken[0].error,
              HasSubstr("the record of pod " + one.id));
}

TEST_F(FilePodStoreTest, StraysAreDirectoriesOfPodsOnly) {
  std::string id = NewUuid();
  ASSERT_THAT(MakeDirectories(paths_.ForPod(id).upper), IsOk());
  ASSERT_THAT(MakeDirectories(paths_.pods() + "/lost+found"), IsOk());
  ASSERT_OK_AND_ASSIGN(PodStore::Contents contents, store_->Load());
  EXPECT_THAT(contents.strays, ElementsAre(id));
  EXPECT_THAT(contents.broken, IsEmpty());
}

TEST_F(FilePodStoreTest, FailedCreateLeavesNothing) {
  Pod pod = NewPod("web");
  // A directory where the record would be written.
  std::string fresh = absl::StrCat(paths_.pods(), "/.new-", pod.id);
  ASSERT_THAT(MakeDirectories(fresh + "/pod.json/x"), IsOk());
  EXPECT_FALSE(store_->Create(pod).ok());
  EXPECT_FALSE(PathExists(paths_.ForPod(pod.id).dir));
  EXPECT_FALSE(PathExists(fresh));
  EXPECT_THAT(store_->Create(pod), IsOk());
}

TEST(OpenFilePodStoreTest, UnusableRootIsNamed) {
  TempDir dir;
  ASSERT_THAT(WriteFileAtomic(dir / "file", ""), IsOk());
  EXPECT_THAT(OpenFilePodStore({dir / "file", dir / "state"}),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("open pod store"), HasSubstr("/file"))));
}

}  // namespace
}  // namespace davit
