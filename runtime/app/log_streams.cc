#include "runtime/app/log_streams.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "runtime/app/app.h"
#include "runtime/app/pod_tree.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr char kStreams[] = "/run/systemd/journal/streams";
constexpr size_t kMaxStreams = 4096;  // journald itself has this limit
constexpr size_t kMaxStreamFile = 4096;

}  // namespace

absl::StatusOr<bool> LogsAreComplete(const PodRef& pod,
                                     const std::string& app) {
  absl::StatusOr<PodTree> tree = PodTree::Open(pod);
  if (absl::IsNotFound(tree.status())) return true;
  RETURN_IF_ERROR(tree.status());
  absl::StatusOr<std::vector<std::string>> names =
      tree->ListDirectory(kStreams, kMaxStreams);
  if (absl::IsNotFound(names.status())) return true;
  RETURN_IF_ERROR(names.status());
  std::string line = absl::StrCat("\nUNIT=", AppUnitName(app), "\n");
  for (const std::string& name : *names) {
    absl::StatusOr<std::string> text =
        tree->ReadFile(absl::StrCat(kStreams, "/", name), kMaxStreamFile);
    // One that cannot be read was closed meanwhile.
    if (text.ok() && absl::StrContains(*text, line)) return false;
  }
  return true;
}

}  // namespace davit
