#include "agent/metrics/metrics.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/metrics/exposer.h"
#include "runtime/base/file.h"
#include "runtime/base/subprocess.h"
#include "runtime/base/unique_fd.h"
#include "tests/support/matchers.h"

namespace davit {
namespace {

using ::davit::testing::IsOk;
using ::davit::testing::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Pod PodIn(PodState state) {
  Pod pod;
  pod.status.state = state;
  return pod;
}

void FillAll(Metrics& metrics) {
  metrics.SetPodSource([] {
    std::vector<Pod> pods = {PodIn(PodState::kRunning),
                             PodIn(PodState::kRunning),
                             PodIn(PodState::kFailed)};
    pods[2].intents = {{IntentKind::kNetns, absl::Now(), "busy"},
                       {IntentKind::kOverlay, absl::Now(), ""}};
    return pods;
  });
  StepObserver& steps = *metrics.step_observer();
  steps.OnStep("image", absl::Milliseconds(2), absl::OkStatus());
  steps.OnStep("start", absl::Milliseconds(450), absl::OkStatus());
  steps.OnStep("start", absl::Seconds(60), absl::DeadlineExceededError("x"));
  steps.OnStep("stop", absl::Seconds(1), absl::OkStatus());
  steps.OnStep("remove", absl::Seconds(1), absl::OkStatus());
  metrics.cni_observer()->OnPluginCall("ptp", "ADD", absl::Milliseconds(12),
                                       absl::OkStatus());
  metrics.cni_observer()->OnPluginCall("ptp", "ADD", absl::Seconds(31),
                                       absl::DeadlineExceededError("hung"));
  metrics.OnRpc("davit.v1.PodService/GetPod", absl::Microseconds(300),
                absl::NotFoundError("x"));
}

TEST(MetricsTest, CountsWhatItIsTold) {
  Metrics metrics("1.2.3", "abc");
  FillAll(metrics);
  std::string text = metrics.Text();
  for (
      const char* line : {
          R"(davit_build_info{commit="abc",version="1.2.3"} 1)",
          R"(davit_pods{state="running"} 2)",
          R"(davit_pods{state="failed"} 1)",
          R"(davit_pods{state="created"} 0)",
          "davit_leftovers 1",
          R"(davit_pod_starts_total{outcome="OK"} 1)",
          R"(davit_pod_starts_total{outcome="DEADLINE_EXCEEDED"} 1)",
          "davit_pod_start_seconds_count 1",
          "davit_pod_start_seconds_sum 0.45",
          R"(davit_pod_start_seconds_bucket{le="0.5"} 1)",
          R"(davit_pod_start_seconds_bucket{le="0.3"} 0)",
          R"(davit_pod_start_phase_seconds_count{phase="image"} 1)",
          "davit_pod_stop_seconds_count 1",
          "davit_pod_remove_seconds_count 1",
          R"(davit_cni_calls_total{command="ADD",outcome="OK",plugin="ptp"} 1)",
          R"(davit_cni_calls_total{command="ADD",outcome="DEADLINE_EXCEEDED",)"
          R"(plugin="ptp"} 1)",
          R"(davit_cni_duration_seconds_count{command="ADD",plugin="ptp"} 2)",
          R"(davit_rpc_requests_total{code="NOT_FOUND",)"
          R"(method="davit.v1.PodService/GetPod"} 1)",
          R"(davit_rpc_duration_seconds_count{)"
          R"(method="davit.v1.PodService/GetPod"} 1)",
      }) {
    EXPECT_THAT(text, HasSubstr(absl::StrCat(line, "\n")));
  }
}

// A name is an API: dashboards and alerts rest on it.
TEST(MetricsTest, GoldenNames) {
  Metrics metrics("1.2.3", "abc");
  FillAll(metrics);
  std::set<std::string> names;
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(metrics.Text(), '\n'))) {
    std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 4 && words[1] == "TYPE") {
      names.insert(words[2] + " " + words[3]);
    }
  }
  EXPECT_THAT(
      names, ElementsAre("davit_build_info gauge",         //
                         "davit_cni_calls_total counter",  //
                         "davit_cni_duration_seconds histogram",
                         "davit_leftovers gauge",  //
                         "davit_pod_remove_seconds histogram",
                         "davit_pod_start_phase_seconds histogram",
                         "davit_pod_start_seconds histogram",
                         "davit_pod_starts_total counter",
                         "davit_pod_stop_seconds histogram", "davit_pods gauge",
                         "davit_rpc_duration_seconds histogram",
                         "davit_rpc_requests_total counter",
                         "process_cpu_seconds_total counter",
                         "process_max_fds gauge", "process_open_fds gauge",
                         "process_resident_memory_bytes gauge",
                         "process_start_time_seconds gauge",
                         "process_virtual_memory_bytes gauge"));
}

TEST(MetricsTest, PromtoolIsSilent) {
  const std::string promtool = "/usr/bin/promtool";
  if (!PathExists(promtool)) GTEST_SKIP() << promtool << " is not installed";
  Metrics metrics("1.2.3", "abc");
  FillAll(metrics);
  SubprocessSpec spec;
  spec.path = promtool;
  spec.argv = {"promtool", "check", "metrics"};
  spec.stdin_data = metrics.Text();
  spec.timeout = absl::Seconds(30);
  ASSERT_OK_AND_ASSIGN(SubprocessResult result, RunSubprocess(spec));
  EXPECT_TRUE(result.ExitedWith(0)) << result.DescribeExit();
  EXPECT_EQ(result.out + result.err, "");
}

double ValueOf(const std::string& text, const std::string& name) {
  for (const std::string& line :
       std::vector<std::string>(absl::StrSplit(text, '\n'))) {
    std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() == 2 && words[0] == name) return std::stod(words[1]);
  }
  ADD_FAILURE() << name << " is missing";
  return 0;
}

TEST(MetricsTest, ProcessMetricsAreThisProcess) {
  Metrics metrics("1", "c");
  std::string before = metrics.Text();
  EXPECT_GT(ValueOf(before, "process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(ValueOf(before, "process_max_fds"), 10);
  EXPECT_NEAR(ValueOf(before, "process_start_time_seconds"),
              absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()), 300);
  UniqueFd one(socket(AF_UNIX, SOCK_STREAM, 0));
  UniqueFd two(socket(AF_UNIX, SOCK_STREAM, 0));
  EXPECT_EQ(ValueOf(metrics.Text(), "process_open_fds"),
            ValueOf(before, "process_open_fds") + 2);
}

TEST(MetricsTest, AClearedPodSourceIsNotAsked) {
  Metrics metrics("1", "c");
  metrics.SetPodSource([]() -> std::vector<Pod> {
    ADD_FAILURE() << "asked";
    return {};
  });
  metrics.ClearPodSource();
  EXPECT_THAT(metrics.Text(), HasSubstr("davit_pods{state=\"running\"} 0\n"));
}

TEST(MetricsTest, ManyThreadsAtOnce) {
  Metrics metrics("1", "c");
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&metrics] {
      for (int i = 0; i < 200; ++i) {
        metrics.OnRpc("m", absl::Milliseconds(1), absl::OkStatus());
        if (i % 50 == 0) metrics.Text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(
      metrics.Text(),
      HasSubstr("davit_rpc_requests_total{code=\"OK\",method=\"m\"} 1600\n"));
}

std::string HttpGet(int port, const std::string& path) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address),
              sizeof(address)) < 0) {
    return "";
  }
  EXPECT_THAT(WriteAll(fd.get(), absl::StrCat("GET ", path,
                                              " HTTP/1.0\r\nHost: x\r\n\r\n")),
              IsOk());
  return ReadAll(fd.get()).value_or("");
}

TEST(ExposerTest, ServesMetrics) {
  Metrics metrics("1.2.3", "abc");
  FillAll(metrics);
  ASSERT_OK_AND_ASSIGN(auto exposer,
                       MetricsExposer::Start("127.0.0.1:0", metrics));
  EXPECT_THAT(
      HttpGet(exposer->port(), "/metrics"),
      AllOf(HasSubstr("200 OK"), HasSubstr("davit_pods{state=\"running\"} 2"),
            HasSubstr("process_open_fds ")));
  EXPECT_THAT(HttpGet(exposer->port(), "/"), HasSubstr(" 404 "));
}

TEST(ExposerTest, ABusyPortIsNamed) {
  Metrics metrics("1", "c");
  ASSERT_OK_AND_ASSIGN(auto first,
                       MetricsExposer::Start("127.0.0.1:0", metrics));
  std::string address = absl::StrCat("127.0.0.1:", first->port());
  EXPECT_THAT(MetricsExposer::Start(address, metrics),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("listen on " + address + " for metrics")));
}

TEST(ExposerTest, ABadAddressIsNamed) {
  Metrics metrics("1", "c");
  EXPECT_THAT(MetricsExposer::Start("no.such.host.invalid:1", metrics),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("no.such.host.invalid:1")));
}

}  // namespace
}  // namespace davit
