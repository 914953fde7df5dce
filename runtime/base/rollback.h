#ifndef DAVIT_RUNTIME_BASE_ROLLBACK_H_
#define DAVIT_RUNTIME_BASE_ROLLBACK_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace davit {

// A stack of named undo steps, run backwards when a multi-step start fails.
//
//   Rollback rollback;
//   rollback.Add("remove netns", [&] { return netns.Remove(); });  // first …
//   RETURN_IF_ERROR(CreateNetns());                                // … then do
//   ...
//   rollback.Commit();
//
// Register the undo *before* the deed: a failed deed may leave things behind,
// so each undo must succeed when there is nothing to undo. An object that is
// destroyed without Commit() runs its undos and drops their errors; call Run()
// to see them. One thread at a time.
class Rollback {
 public:
  using Undo = std::function<absl::Status()>;

  Rollback() = default;
  Rollback(Rollback&&) = default;
  Rollback& operator=(Rollback&&) = delete;
  ~Rollback() { Run().IgnoreError(); }

  void Add(std::string name, Undo undo);

  // Forgets all undos: the work stays.
  void Commit() { steps_.clear(); }

  // Runs all undos, last first, whatever fails; returns OK or one error that
  // joins the failed steps ("remove netns: …; release lease: …") with the code
  // of the first failure.
  absl::Status Run();

 private:
  struct Step {
    std::string name;
    Undo undo;
  };
  std::vector<Step> steps_;
};

}  // namespace davit

#endif  // DAVIT_RUNTIME_BASE_ROLLBACK_H_
