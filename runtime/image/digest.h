#ifndef DAVIT_RUNTIME_IMAGE_DIGEST_H_
#define DAVIT_RUNTIME_IMAGE_DIGEST_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct evp_md_ctx_st;

namespace davit {

// A running SHA-256 (OpenSSL EVP). Use it once. One thread at a time.
class Sha256 {
 public:
  Sha256();
  void Update(absl::string_view data);
  // "sha256:<64 lower-case hex digits>", a digest of image-spec/descriptor.md.
  std::string Finish();

 private:
  struct Deleter {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Deleter> context_;
};

std::string Sha256Digest(absl::string_view data);

// The hex part of a "sha256:…" digest. InvalidArgument that shows the text if
// it is anything else: digests become file names, so nothing else may pass.
absl::StatusOr<std::string> DigestHex(absl::string_view digest);

// True for 64 lower-case hex digits.
bool IsSha256Hex(absl::string_view text);

}  // namespace davit

#endif  // DAVIT_RUNTIME_IMAGE_DIGEST_H_
