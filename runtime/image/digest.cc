#include "runtime/image/digest.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace davit {
namespace {

// EVP's calls can fail only for want of memory, or in a FIPS set-up without
// SHA-256; there is no going on in either.
void Require(int ok) {
  if (ok != 1) abort();
}

}  // namespace

void Sha256::Deleter::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  Require(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr));
}

void Sha256::Update(absl::string_view data) {
  Require(EVP_DigestUpdate(context_.get(), data.data(), data.size()));
}

std::string Sha256::Finish() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Require(EVP_DigestFinal_ex(context_.get(), bytes, &size));
  return absl::StrCat("sha256:", absl::BytesToHexString(absl::string_view(
                                     reinterpret_cast<char*>(bytes), size)));
}

std::string Sha256Digest(absl::string_view data) {
  Sha256 hash;
  hash.Update(data);
  return hash.Finish();
}

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 64 &&
         text.find_first_not_of("0123456789abcdef") == text.npos;
}

absl::StatusOr<std::string> DigestHex(absl::string_view digest) {
  absl::string_view hex = digest;
  if (!absl::ConsumePrefix(&hex, "sha256:") || !IsSha256Hex(hex)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(digest.substr(0, 100)),
                     "\" is not a sha256 digest"));
  }
  return std::string(hex);
}

}  // namespace davit
