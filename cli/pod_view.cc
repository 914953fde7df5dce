#include "cli/pod_view.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/output.h"

namespace davit::cli {
namespace {

// The word of an app that is not simply running, most telling first.
std::string AppWord(const v1::Pod& pod) {
  std::string completed;
  for (const v1::ContainerStatus& app : pod.status().container_statuses()) {
    const v1::ContainerState& state = app.state();
    if (state.has_waiting() && !state.waiting().reason().empty()) {
      return state.waiting().reason();
    }
    if (!state.has_terminated()) continue;
    const v1::ContainerStateTerminated& end = state.terminated();
    if (end.exit_code() != 0 || end.signal() != 0) {
      return end.reason().empty() ? "Error" : end.reason();
    }
    completed = "Completed";
  }
  return completed;
}

std::string EndedWord(const v1::Pod& pod) {
  if (!pod.status().reason().empty()) return pod.status().reason();
  std::string word = AppWord(pod);
  if (!word.empty()) return word;
  return pod.status().phase() == "Succeeded" ? "Completed" : "Error";
}

}  // namespace

std::string PodStatusWord(const v1::Pod& pod) {
  switch (pod.status().state()) {
    case v1::POD_STATE_CREATED:
      return "Created";
    case v1::POD_STATE_STARTING:
      return "ContainerCreating";
    case v1::POD_STATE_STOPPING:
    case v1::POD_STATE_REMOVING:
      return "Terminating";
    case v1::POD_STATE_RUNNING: {
      if (pod.status().paused()) return "Paused";
      std::string word = AppWord(pod);
      return word.empty() || word == "Completed" ? "Running" : word;
    }
    case v1::POD_STATE_EXITED:
    case v1::POD_STATE_FAILED:
      return EndedWord(pod);
    default:
      return pod.status().phase();
  }
}

std::vector<std::string> PodHeader(bool wide) {
  std::vector<std::string> header = {"NAME", "READY", "STATUS", "RESTARTS",
                                     "AGE"};
  if (wide) {
    for (const char* name : {"IP", "IMAGES", "UID"}) header.push_back(name);
  }
  return header;
}

std::vector<std::string> PodRow(const v1::Pod& pod, bool wide, absl::Time now) {
  int ready = 0, restarts = 0;
  std::vector<std::string> images;
  for (const v1::ContainerStatus& app : pod.status().container_statuses()) {
    ready += app.ready() ? 1 : 0;
    restarts += app.restart_count();
  }
  for (const v1::Container& app : pod.spec().containers()) {
    images.push_back(app.image());
  }
  if (images.empty()) images.push_back(pod.spec().root_image());
  std::vector<std::string> row = {
      pod.metadata().name(),
      absl::StrCat(ready, "/", pod.spec().containers_size()),
      PodStatusWord(pod), absl::StrCat(restarts),
      Age(pod.metadata().creation_timestamp(), now)};
  if (wide) {
    const std::string& ip = pod.status().pod_ip();
    row.push_back(ip.empty() ? "<none>" : ip);
    row.push_back(absl::StrJoin(images, ","));
    row.push_back(pod.metadata().uid());
  }
  return row;
}

}  // namespace davit::cli
