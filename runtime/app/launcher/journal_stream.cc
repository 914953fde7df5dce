#include "runtime/app/launcher/journal_stream.h"

#include <sys/socket.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/file.h"
#include "runtime/base/status_macros.h"

namespace davit {
namespace {

constexpr sockaddr_un kAddress = {AF_UNIX, "/run/systemd/journal/stdout"};
constexpr int kSendBuffer = 8 << 20;  // as systemd itself gives stdout

}  // namespace

absl::StatusOr<UniqueFd> OpenJournalStream(const std::string& identifier,
                                           const std::string& unit,
                                           int priority) {
  UniqueFd stream(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!stream) return ErrnoError("socket(AF_UNIX, SOCK_STREAM)");
  if (connect(stream.get(), reinterpret_cast<const sockaddr*>(&kAddress),
              sizeof(kAddress)) < 0) {
    return ErrnoError("connect(%s)", kAddress.sun_path);
  }
  if (shutdown(stream.get(), SHUT_RD) < 0) return ErrnoError("shutdown");
  // The limit of net.core.wmem_max may make it less: no harm.
  setsockopt(stream.get(), SOL_SOCKET, SO_SNDBUF, &kSendBuffer,
             sizeof(kSendBuffer));
  // Identifier, unit, priority; no level prefix, no forwarding.
  RETURN_IF_ERROR(
      WriteAll(stream.get(), absl::StrCat(identifier, "\n", unit, "\n",
                                          priority, "\n0\n0\n0\n0\n")),
      "journal stream header");
  return stream;
}

}  // namespace davit
