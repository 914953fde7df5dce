#ifndef DAVIT_RUNTIME_APP_LAUNCHER_RUN_H_
#define DAVIT_RUNTIME_APP_LAUNCHER_RUN_H_

#include <string>

namespace davit {

// `davit-app run NAME`: the ExecStart of an app's service. Becomes the app;
// returns only if that failed, with the exit code: 127 if its program does not
// exist, 126 if it cannot be executed, 125 for anything before. The reason is
// one line on stderr and in /run/davit/apps/NAME.error.
int RunApp(const std::string& name);

}  // namespace davit

#endif  // DAVIT_RUNTIME_APP_LAUNCHER_RUN_H_
