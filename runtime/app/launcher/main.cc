// davit-app: see runtime/app/README.md. Single-threaded and static: it must run
// in any root image.

#include <unistd.h>

#include <string>

#include "absl/strings/string_view.h"
#include "runtime/app/launcher/connect.h"
#include "runtime/app/launcher/exec.h"
#include "runtime/app/launcher/run.h"
#include "runtime/base/file.h"

int main(int argc, char** argv) {
  absl::string_view command = argc > 1 ? argv[1] : "";
  if (command == "run" && argc == 3) return davit::RunApp(argv[2]);
  if (command == "exec" && argc == 2) return davit::ServeExec();
  if (command == "connect" && argc == 2) return davit::ConnectToPod();
  davit::WriteAll(STDERR_FILENO, "usage: davit-app run NAME | exec | connect\n")
      .IgnoreError();
  return 125;
}
