#include "agent/pod/detacher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "net/fake_pod_network.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::ElementsAre;

PodNetworkRequest Of(const std::string& pod) {
  PodNetworkRequest request;
  request.pod_id = pod;
  return request;
}

// Notes the sizes of batches; holds up those of the pod "slow".
class BatchNetwork : public FakePodNetwork {
 public:
  std::vector<absl::Status> DetachMany(
      const std::vector<PodNetworkRequest>& requests) override {
    {
      absl::MutexLock lock(&mutex_);
      sizes_.push_back(requests.size());
    }
    std::vector<absl::Status> statuses;
    for (const PodNetworkRequest& request : requests) {
      if (request.pod_id == "slow") {
        entered.Notify();
        release.WaitForNotification();
      }
      statuses.push_back(request.pod_id == "bad"
                             ? absl::InternalError("bad is bad")
                             : absl::OkStatus());
    }
    return statuses;
  }

  std::vector<size_t> sizes() const {
    absl::MutexLock lock(&mutex_);
    return sizes_;
  }

  absl::Notification entered, release;

 private:
  mutable absl::Mutex mutex_;
  std::vector<size_t> sizes_;
};

TEST(DetacherTest, OneAloneDoesNotWait) {
  BatchNetwork network;
  Detacher detacher(&network);
  EXPECT_THAT(detacher.Detach(Of("a")), IsOk());
  EXPECT_THAT(detacher.Detach(Of("bad")),
              StatusIs(absl::StatusCode::kInternal, "bad is bad"));
  EXPECT_THAT(network.sizes(), ElementsAre(1, 1));
}

TEST(DetacherTest, ThoseThatWaitGoTogetherAndEachHasItsOwnStatus) {
  BatchNetwork network;
  Detacher detacher(&network);
  std::thread slow([&] { EXPECT_THAT(detacher.Detach(Of("slow")), IsOk()); });
  network.entered.WaitForNotification();
  constexpr int kMany = 50;
  std::vector<absl::Status> statuses(kMany);
  std::vector<std::thread> threads;
  for (int i = 0; i < kMany; ++i) {
    threads.emplace_back([&, i] {
      statuses[i] = detacher.Detach(Of(i == 7 ? "bad" : std::to_string(i)));
    });
  }
  // They wait for the first, which hangs: in the end one takes all with him.
  for (std::thread& thread : threads) thread.join();
  network.release.Notify();
  slow.join();
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(statuses[i].ok(), i != 7) << i;
  size_t sum = 0;
  for (size_t size : network.sizes()) sum += size;
  EXPECT_EQ(sum, size_t{kMany} + 1);
  EXPECT_LT(network.sizes().size(), size_t{kMany} / 2);
}

}  // namespace
}  // namespace davit
