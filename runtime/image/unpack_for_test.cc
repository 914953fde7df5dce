#include "runtime/image/unpack_for_test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"
#include "runtime/base/unique_fd.h"

namespace davit::testing {

absl::StatusOr<Unpacked> UnpackForTest(const std::string& tar,
                                       const std::string& directory,
                                       const UnpackLimits& limits,
                                       ReadProgress* progress) {
  UniqueFd file(memfd_create("tar", MFD_CLOEXEC));
  if (!file) return ErrnoError("memfd_create");
  RETURN_IF_ERROR(WriteAll(file.get(), tar));
  if (lseek(file.get(), 0, SEEK_SET) < 0) return ErrnoError("lseek");
  RETURN_IF_ERROR(MakeDirectories(directory));
  UniqueFd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return ErrnoError("open(%s)", directory);
  ASSIGN_OR_RETURN(
      std::unique_ptr<TarStream> stream,
      TarStream::Open(std::move(file), limits.max_bytes, progress));
  Unpacked result;
  ASSIGN_OR_RETURN(result.tree, UnpackTar(*stream, std::move(root), limits));
  ASSIGN_OR_RETURN(result.digests, stream->Finish());
  return result;
}

}  // namespace davit::testing
