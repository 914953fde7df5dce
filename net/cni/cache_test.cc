#include "net/cni/cache.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "runtime/base/file.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::davit::testing::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

constexpr auto kDataLoss = absl::StatusCode::kDataLoss;

CniCacheEntry Entry() {
  return {.network = "net",
          .attachment = {.container_id = "cid",
                         .netns = "/run/netns/x",
                         .ifname = "eth0",
                         .args = {{"IgnoreUnknown", "1"}, {"K", "v"}},
                         .capability_args = {{"mac", "m"}}},
          .config = R"({"name":"net","plugins":[{"type":"ptp"}]})",
          .result = CniJson{{"cniVersion", "1.0.0"}}};
}

class CniCacheTest : public ::testing::Test {
 protected:
  absl::Status Write(const std::string& text) {
    absl::Status status = MakeDirectories(dir_ / "cache/results");
    if (!status.ok()) return status;
    return WriteFileAtomic(file_, text);
  }

  TempDir dir_;
  CniCache cache_{dir_ / "cache"};
  const std::string file_ = dir_ / "cache/results/net-cid-eth0";
};

TEST_F(CniCacheTest, RoundTrip) {
  ASSERT_THAT(cache_.Put(Entry()), IsOk());
  ASSERT_OK_AND_ASSIGN(CniCacheEntry entry, cache_.Get("net", "cid", "eth0"));
  EXPECT_EQ(entry.network, "net");
  EXPECT_EQ(entry.attachment.container_id, "cid");
  EXPECT_EQ(entry.attachment.ifname, "eth0");
  EXPECT_EQ(entry.attachment.netns, "/run/netns/x");
  EXPECT_THAT(entry.attachment.args,
              ElementsAre(Pair("IgnoreUnknown", "1"), Pair("K", "v")));
  EXPECT_EQ(DumpCniJson(entry.attachment.capability_args), R"({"mac":"m"})");
  EXPECT_EQ(entry.config, Entry().config);
  EXPECT_EQ(*entry.result, *Entry().result);
}

TEST_F(CniCacheTest, FileIsWhatLibcniWrites) {
  ASSERT_THAT(cache_.Put(Entry()), IsOk());
  EXPECT_EQ(
      *ReadFile(file_),
      R"({"kind":"cniCacheV1","containerId":"cid",)"
      R"("config":"eyJuYW1lIjoibmV0IiwicGx1Z2lucyI6W3sidHlwZSI6InB0cCJ9XX0=",)"
      R"("ifName":"eth0","networkName":"net","netns":"/run/netns/x",)"
      R"("cniArgs":[["IgnoreUnknown","1"],["K","v"]],)"
      R"("capabilityArgs":{"mac":"m"},"result":{"cniVersion":"1.0.0"}})");
  struct stat st;
  ASSERT_EQ(stat(file_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  ASSERT_EQ(stat((dir_ / "cache/results").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700u);
}

TEST_F(CniCacheTest, IntentHasNoResultAndIsReplaced) {
  CniCacheEntry entry = Entry();
  entry.result.reset();
  entry.attachment.args.clear();
  entry.attachment.netns.clear();
  entry.attachment.capability_args = CniJson::object();
  ASSERT_THAT(cache_.Put(entry), IsOk());
  EXPECT_EQ(
      *ReadFile(file_),
      R"({"kind":"cniCacheV1","containerId":"cid",)"
      R"("config":"eyJuYW1lIjoibmV0IiwicGx1Z2lucyI6W3sidHlwZSI6InB0cCJ9XX0=",)"
      R"("ifName":"eth0","networkName":"net"})");
  EXPECT_FALSE(cache_.Get("net", "cid", "eth0")->result.has_value());
  ASSERT_THAT(cache_.Put(Entry()), IsOk());
  EXPECT_TRUE(cache_.Get("net", "cid", "eth0")->result.has_value());
}

// As written by libcni 1.1.2 (json.Marshal of cachedInfo: "<" escaped, keys of
// maps sorted, no netns before 1.2).
TEST_F(CniCacheTest, ReadsAFileOfGoLibcni) {
  ASSERT_THAT(
      Write(
          R"({"kind":"cniCacheV1","containerId":"cid","config":"eyJjbmlWZXJzaW9uIjoiMS4wLjAiLCJuYW1lIjoibmV0IiwicGx1Z2lucyI6W3sidHlwZSI6InB0cCJ9XX0=","ifName":"eth0","networkName":"net","cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAME","\u003cweb\u003e"]],"capabilityArgs":{"portMappings":null},"result":{"cniVersion":"1.0.0","dns":{},"interfaces":[{"mac":"1e:00:00:00:00:01","name":"veth0"}],"ips":[{"address":"10.0.0.2/24","gateway":"10.0.0.1","interface":1}]}})"),
      IsOk());
  ASSERT_OK_AND_ASSIGN(CniCacheEntry entry, cache_.Get("net", "cid", "eth0"));
  EXPECT_EQ(
      entry.config,
      R"({"cniVersion":"1.0.0","name":"net","plugins":[{"type":"ptp"}]})");
  EXPECT_THAT(
      entry.attachment.args,
      ElementsAre(Pair("IgnoreUnknown", "1"), Pair("K8S_POD_NAME", "<web>")));
  EXPECT_EQ(entry.attachment.netns, "");
  EXPECT_EQ((*entry.result)["ips"][0]["address"], "10.0.0.2/24");
}

TEST_F(CniCacheTest, AbsentEntryIsNotFoundAndRemoveIsContent) {
  EXPECT_THAT(cache_.Get("net", "cid", "eth0"),
              StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(cache_.Remove("net", "cid", "eth0"), IsOk());
  ASSERT_THAT(cache_.Put(Entry()), IsOk());
  EXPECT_THAT(cache_.Remove("net", "cid", "eth0"), IsOk());
  EXPECT_FALSE(PathExists(file_));
}

TEST_F(CniCacheTest, WhatIsNoEntryOfOursIsDataLoss) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "parse error"},
      {"{\"kind\":\"cniCacheV1\",\"cont", "parse error"},
      {"[]", "kind is not cniCacheV1"},
      {R"({"cniVersion":"0.4.0","ips":[]})", "kind is not cniCacheV1"},
      {R"({"kind":"cniCacheV1","config":"%%"})", "config is not base64"},
      {R"({"kind":"cniCacheV1","ifName":5})", "ifName is not a string"},
      {R"({"kind":"cniCacheV1","cniArgs":[["a"]]})", "cniArgs is not a list"},
      {R"({"kind":"cniCacheV1","cniArgs":7})", "cniArgs is not a list"},
      {R"({"kind":"cniCacheV1","networkName":"net","containerId":"other",
          "ifName":"eth0"})",
       "container \"other\""}};
  for (const auto& [text, error] : cases) {
    ASSERT_THAT(Write(text), IsOk());
    EXPECT_THAT(cache_.Get("net", "cid", "eth0"),
                StatusIs(kDataLoss, HasSubstr(error)))
        << text;
    EXPECT_THAT(cache_.Get("net", "cid", "eth0"),
                StatusIs(kDataLoss, HasSubstr(file_)));
  }
}

TEST_F(CniCacheTest, ListsEntriesAndNamesBrokenOnes) {
  std::vector<CniCacheKey> broken;
  EXPECT_THAT(*cache_.List(&broken), ::testing::IsEmpty()) << "no directory";
  CniCacheEntry entry = Entry();
  entry.attachment.container_id = "b";
  ASSERT_THAT(cache_.Put(entry), IsOk());
  entry.attachment.container_id = "a";
  ASSERT_THAT(cache_.Put(entry), IsOk());
  std::string id = "123e4567-e89b-12d3-a456-426614174000";
  std::string results = dir_ / "cache/results/";
  ASSERT_THAT(WriteFileAtomic(results + "my-net-" + id + "-eth0.5", ""),
              IsOk());
  ASSERT_THAT(WriteFileAtomic(results + "net-stranger-eth0", "{"), IsOk());
  absl::StatusOr<std::vector<CniCacheEntry>> entries = cache_.List(&broken);
  ASSERT_THAT(entries, IsOk());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].attachment.container_id, "a");
  EXPECT_EQ((*entries)[1].attachment.container_id, "b");
  EXPECT_THAT(broken,
              ::testing::ElementsAre(CniCacheKey{"my-net", id, "eth0.5"}));
}

}  // namespace
}  // namespace davit
