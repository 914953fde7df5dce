#include "runtime/app/launcher/execute.h"

#include <errno.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "runtime/app/launcher/restrictions.h"
#include "runtime/base/errno_error.h"

namespace davit {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& s : strings) {
    pointers.push_back(const_cast<char*>(s.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

absl::Status Execute(const std::vector<std::string>& argv,
                     const std::vector<std::string>& env) {
  return ExecuteAs(argv[0], argv, env);
}

absl::Status ExecuteAs(const std::string& path,
                       const std::vector<std::string>& argv,
                       const std::vector<std::string>& env) {
  execve(path.c_str(), Pointers(argv).data(), Pointers(env).data());
  int error = errno;
  switch (error) {
    case ENOTDIR:
    case ELOOP:
      return absl::NotFoundError(
          ErrorNumber(error, "execve(%s)", path).message());
    case ENOEXEC:
    case EISDIR:
    case EPERM:
      return absl::PermissionDeniedError(
          ErrorNumber(error, "execve(%s)", path).message());
    default:
      return ErrorNumber(error, "execve(%s)", path);
  }
}

absl::Status ExecuteInPath(const std::vector<std::string>& argv,
                           const std::vector<std::string>& env) {
  const std::string& name = argv[0];
  if (absl::StrContains(name, '/')) return Execute(argv, env);
  std::string path = EnvironmentValue(env, "PATH");
  absl::Status denied;
  if (!name.empty()) {
    for (absl::string_view directory : absl::StrSplit(path, ':')) {
      // An empty element is the working directory, as in every shell.
      std::string file = directory.empty() ? absl::StrCat("./", name)
                                           : absl::StrCat(directory, "/", name);
      absl::Status status = ExecuteAs(file, argv, env);
      if (absl::IsNotFound(status)) continue;
      if (!absl::IsPermissionDenied(status)) return status;
      denied = status;
    }
  }
  if (!denied.ok()) return denied;
  return absl::NotFoundError(
      absl::StrFormat("\"%s\" is not in $PATH (%s)", name, path));
}

}  // namespace davit
