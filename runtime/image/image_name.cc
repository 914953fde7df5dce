// Names of images, as Docker and containerd read and write them
// (github.com/distribution/reference, its grammar and its normalisation).

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/base/status_macros.h"
#include "runtime/image/digest.h"
#include "runtime/image/image_store.h"

namespace davit {
namespace {

constexpr absl::string_view kDefaultDomain = "docker.io";
constexpr absl::string_view kLegacyDomain = "index.docker.io";
constexpr absl::string_view kOfficialPrefix = "library/";
constexpr absl::string_view kDefaultTag = "latest";
constexpr size_t kMaxNameLength = 255;
constexpr size_t kMaxTagLength = 128;

struct ImageName {
  std::string domain;
  std::string path;
  std::string tag;     // may be empty
  std::string digest;  // may be empty
};

absl::Status Malformed(absl::string_view name, absl::string_view why) {
  return absl::InvalidArgumentError(
      absl::StrCat("image name \"", name, "\" is malformed: ", why));
}

bool IsLowerOrDigit(char c) {
  return absl::ascii_islower(c) || absl::ascii_isdigit(c);
}

// "[a-z0-9]+" joined by ".", "_", "__" or any number of "-".
bool IsPathComponent(absl::string_view text) {
  size_t i = 0;
  while (i < text.size()) {
    size_t start = i;
    while (i < text.size() && IsLowerOrDigit(text[i])) ++i;
    if (i == start) return false;
    if (i == text.size()) return true;
    size_t separator = i;
    while (i < text.size() && !IsLowerOrDigit(text[i])) ++i;
    absl::string_view between = text.substr(separator, i - separator);
    if (between != "." && between != "_" && between != "__" &&
        between.find_first_not_of('-') != between.npos) {
      return false;
    }
  }
  return false;  // empty, or a separator at the end
}

bool IsDomainLabel(absl::string_view text) {
  return !text.empty() && text.front() != '-' && text.back() != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '-'; });
}

bool IsPort(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
}

// A host name, an address or "[v6]", with an optional port.
bool IsDomain(absl::string_view text) {
  absl::string_view host = text;
  size_t colon = text.rfind(':');
  size_t bracket = text.rfind(']');
  if (colon != text.npos && (bracket == text.npos || colon > bracket)) {
    if (!IsPort(text.substr(colon + 1))) return false;
    host = text.substr(0, colon);
  }
  if (absl::StartsWith(host, "[")) {
    return host.size() > 2 && host.back() == ']' &&
           host.substr(1, host.size() - 2)
                   .find_first_not_of("0123456789abcdefABCDEF:") == host.npos;
  }
  for (absl::string_view label : absl::StrSplit(host, '.')) {
    if (!IsDomainLabel(label)) return false;
  }
  return true;
}

bool IsTag(absl::string_view text) {
  auto is_word = [](char c) { return absl::ascii_isalnum(c) || c == '_'; };
  return !text.empty() && text.size() <= kMaxTagLength && is_word(text[0]) &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return is_word(c) || c == '.' || c == '-';
         });
}

// The part before the first '/' is a registry only if it looks like one.
bool LooksLikeDomain(absl::string_view text) {
  return text.find_first_of(".:") != text.npos || text == "localhost" ||
         absl::AsciiStrToLower(text) != text;
}

void SplitDomain(absl::string_view name, ImageName* result) {
  size_t slash = name.find('/');
  if (slash != name.npos && LooksLikeDomain(name.substr(0, slash))) {
    result->domain = std::string(name.substr(0, slash));
    result->path = std::string(name.substr(slash + 1));
  } else {
    result->domain = std::string(kDefaultDomain);
    result->path = std::string(name);
  }
  if (result->domain == kLegacyDomain) {
    result->domain = std::string(kDefaultDomain);
  }
  if (result->domain == kDefaultDomain &&
      !absl::StrContains(result->path, '/')) {
    result->path = absl::StrCat(kOfficialPrefix, result->path);
  }
}

absl::StatusOr<ImageName> Parse(absl::string_view name) {
  if (name.empty()) return Malformed(name, "it is empty");
  if (IsSha256Hex(absl::StripPrefix(name, "sha256:"))) {
    return Malformed(name, "it looks like an image id");
  }
  ImageName result;
  absl::string_view rest = name;
  if (size_t at = rest.find('@'); at != rest.npos) {
    result.digest = std::string(rest.substr(at + 1));
    if (!DigestHex(result.digest).ok()) {
      return Malformed(name, "what follows '@' is not a sha256 digest");
    }
    rest = rest.substr(0, at);
  }
  size_t colon = rest.rfind(':');
  if (colon != rest.npos && !absl::StrContains(rest.substr(colon), '/')) {
    result.tag = std::string(rest.substr(colon + 1));
    if (!IsTag(result.tag)) return Malformed(name, "the tag is invalid");
    rest = rest.substr(0, colon);
  }
  SplitDomain(rest, &result);
  if (!IsDomain(result.domain)) {
    return Malformed(name, "the registry is not a host name");
  }
  for (absl::string_view component : absl::StrSplit(result.path, '/')) {
    if (!IsPathComponent(component)) {
      return Malformed(name, absl::StrCat("\"", component,
                                          "\" is not lower-case letters and "
                                          "digits with single separators"));
    }
  }
  if (result.domain.size() + 1 + result.path.size() > kMaxNameLength) {
    return Malformed(name, "it is longer than 255 characters");
  }
  if (result.tag.empty() && result.digest.empty()) {
    result.tag = std::string(kDefaultTag);
  }
  return result;
}

std::string Suffix(const ImageName& name) {
  return absl::StrCat(name.tag.empty() ? "" : ":", name.tag,
                      name.digest.empty() ? "" : "@", name.digest);
}

}  // namespace

absl::StatusOr<std::string> NormalizeImageName(const std::string& name) {
  ASSIGN_OR_RETURN(ImageName parsed, Parse(name));
  return absl::StrCat(parsed.domain, "/", parsed.path, Suffix(parsed));
}

std::string FamiliarImageName(const std::string& name) {
  absl::StatusOr<ImageName> parsed = Parse(name);
  if (!parsed.ok() || parsed->domain != kDefaultDomain) return name;
  std::string suffix = Suffix(*parsed);
  absl::string_view path = parsed->path;
  absl::string_view short_path = absl::StripPrefix(path, kOfficialPrefix);
  // Only what reads back as the same: "docker.io/localhost/x" stays long.
  for (absl::string_view form : {short_path, path}) {
    std::string familiar = absl::StrCat(form, suffix);
    absl::StatusOr<std::string> back = NormalizeImageName(familiar);
    if (back.ok() && *back == absl::StrCat(parsed->domain, "/", path, suffix)) {
      return familiar;
    }
  }
  return name;
}

}  // namespace davit
