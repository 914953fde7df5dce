#include <seccomp.h>

#include <cerrno>
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "runtime/base/status_macros.h"
#include "runtime/sandbox/oci_seccomp.h"

namespace davit {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kMaxErrno = 4095;  // MAX_ERRNO of the kernel

struct Name {
  absl::string_view text;
  uint32_t value;
};

constexpr Name kActions[] = {{"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
                             {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
                             {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
                             {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
                             {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
                             {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
                             {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
                             {"SCMP_ACT_LOG", SCMP_ACT_LOG}};
constexpr Name kCompares[] = {{"SCMP_CMP_NE", SCMP_CMP_NE},
                              {"SCMP_CMP_LT", SCMP_CMP_LT},
                              {"SCMP_CMP_LE", SCMP_CMP_LE},
                              {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                              {"SCMP_CMP_GE", SCMP_CMP_GE},
                              {"SCMP_CMP_GT", SCMP_CMP_GT},
                              {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ}};
constexpr Name kArchitectures[] = {
    {"SCMP_ARCH_X86", SCMP_ARCH_X86},
    {"SCMP_ARCH_X86_64", SCMP_ARCH_X86_64},
    {"SCMP_ARCH_X32", SCMP_ARCH_X32},
    {"SCMP_ARCH_ARM", SCMP_ARCH_ARM},
    {"SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64},
    {"SCMP_ARCH_MIPS", SCMP_ARCH_MIPS},
    {"SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64},
    {"SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32},
    {"SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL},
    {"SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64},
    {"SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32},
    {"SCMP_ARCH_PPC", SCMP_ARCH_PPC},
    {"SCMP_ARCH_PPC64", SCMP_ARCH_PPC64},
    {"SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE},
    {"SCMP_ARCH_S390", SCMP_ARCH_S390},
    {"SCMP_ARCH_S390X", SCMP_ARCH_S390X},
    {"SCMP_ARCH_PARISC", SCMP_ARCH_PARISC},
    {"SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64},
    {"SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64}};

absl::Status Fault(const std::string& path, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

// One object of the document and where it is: "syscalls[3].".
struct Object {
  const Json& json;
  std::string prefix;

  std::string PathOf(absl::string_view key) const {
    return absl::StrCat(prefix, key);
  }
  // Null if it is absent, or null itself.
  const Json* Find(const char* key) const {
    auto it = json.find(key);
    return it == json.end() || it->is_null() ? nullptr : &*it;
  }
};

absl::Status CheckKeys(const Object& object,
                       std::initializer_list<absl::string_view> known) {
  for (auto it = object.json.begin(); it != object.json.end(); ++it) {
    bool found = false;
    for (absl::string_view key : known) found = found || key == it.key();
    if (!found) {
      return Fault(object.PathOf(it.key()),
                   "is no field of the OCI runtime specification");
    }
  }
  return absl::OkStatus();
}

template <size_t n>
absl::StatusOr<uint32_t> Look(const Json* value, const std::string& path,
                              const Name (&names)[n]) {
  if (value == nullptr) return Fault(path, "is required");
  if (!value->is_string()) return Fault(path, "want a string");
  const std::string& text = value->get_ref<const std::string&>();
  for (const Name& name : names) {
    if (name.text == text) return name.value;
  }
  return Fault(path, absl::StrFormat("\"%s\" is not known", text));
}

absl::StatusOr<std::optional<uint64_t>> ReadUnsigned(const Object& object,
                                                     const char* key) {
  const Json* value = object.Find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned()) {
    return Fault(object.PathOf(key), "want an unsigned number");
  }
  return value->get<uint64_t>();
}

// The array at `key`, or null.
absl::StatusOr<const Json*> FindArray(const Object& object, const char* key) {
  const Json* value = object.Find(key);
  if (value != nullptr && !value->is_array()) {
    return Fault(object.PathOf(key), "want a list");
  }
  return value;
}

absl::StatusOr<uint32_t> ReadAction(const Object& object,
                                    const char* action_key,
                                    const char* errno_key) {
  const Json* text = object.Find(action_key);
  if (text != nullptr && *text == "SCMP_ACT_NOTIFY") {
    return Fault(object.PathOf(action_key),
                 "\"SCMP_ACT_NOTIFY\" is not supported");
  }
  ASSIGN_OR_RETURN(uint32_t action,
                   Look(text, object.PathOf(action_key), kActions));
  ASSIGN_OR_RETURN(std::optional<uint64_t> error,
                   ReadUnsigned(object, errno_key));
  bool takes_errno = action == SCMP_ACT_ERRNO(0) || action == SCMP_ACT_TRACE(0);
  if (error && !takes_errno) {
    return Fault(object.PathOf(errno_key),
                 "only SCMP_ACT_ERRNO and SCMP_ACT_TRACE have one");
  }
  if (error.value_or(0) > kMaxErrno) {
    return Fault(object.PathOf(errno_key),
                 absl::StrFormat("%d is not 0 to 4095", *error));
  }
  if (!takes_errno) return action;
  return action | static_cast<uint32_t>(error.value_or(EPERM));
}

absl::StatusOr<OciSeccompArgument> ReadArgument(const Object& object) {
  RETURN_IF_ERROR(CheckKeys(object, {"index", "value", "valueTwo", "op"}));
  OciSeccompArgument argument;
  ASSIGN_OR_RETURN(std::optional<uint64_t> index,
                   ReadUnsigned(object, "index"));
  if (!index) return Fault(object.PathOf("index"), "is required");
  if (*index > 5) {
    return Fault(object.PathOf("index"),
                 absl::StrFormat("%d is not 0 to 5", *index));
  }
  argument.index = static_cast<unsigned>(*index);
  ASSIGN_OR_RETURN(std::optional<uint64_t> value,
                   ReadUnsigned(object, "value"));
  if (!value) return Fault(object.PathOf("value"), "is required");
  argument.value = *value;
  ASSIGN_OR_RETURN(std::optional<uint64_t> two,
                   ReadUnsigned(object, "valueTwo"));
  argument.value_two = two.value_or(0);
  ASSIGN_OR_RETURN(uint32_t compare,
                   Look(object.Find("op"), object.PathOf("op"), kCompares));
  argument.compare = static_cast<int>(compare);
  return argument;
}

absl::Status ReadNames(const Object& object, std::vector<std::string>& names) {
  ASSIGN_OR_RETURN(const Json* list, FindArray(object, "names"));
  if (list == nullptr || list->empty()) {
    return Fault(object.PathOf("names"), "want at least one name");
  }
  for (const Json& name : *list) {
    std::string path =
        absl::StrCat(object.PathOf("names"), "[", names.size(), "]");
    if (!name.is_string()) return Fault(path, "want a string");
    names.push_back(name.get<std::string>());
    if (names.back().empty() || names.back().find('\0') != std::string::npos) {
      return Fault(path, "is no name of a system call");
    }
  }
  return absl::OkStatus();
}

// Calls `read` with each member of the list of objects at `key`.
template <typename Read>
absl::Status ForEach(const Object& object, const char* key, const Read& read) {
  ASSIGN_OR_RETURN(const Json* list, FindArray(object, key));
  if (list == nullptr) return absl::OkStatus();
  for (size_t i = 0; i < list->size(); ++i) {
    std::string path = absl::StrCat(object.PathOf(key), "[", i, "]");
    if (!(*list)[i].is_object()) return Fault(path, "want an object");
    RETURN_IF_ERROR(read(Object{(*list)[i], path + "."}));
  }
  return absl::OkStatus();
}

absl::StatusOr<OciSeccompRule> ReadRule(const Object& object) {
  RETURN_IF_ERROR(
      CheckKeys(object, {"names", "action", "errnoRet", "args", "comment"}));
  OciSeccompRule rule;
  RETURN_IF_ERROR(ReadNames(object, rule.names));
  ASSIGN_OR_RETURN(rule.action, ReadAction(object, "action", "errnoRet"));
  RETURN_IF_ERROR(
      ForEach(object, "args", [&](const Object& entry) -> absl::Status {
        ASSIGN_OR_RETURN(OciSeccompArgument argument, ReadArgument(entry));
        rule.arguments.push_back(argument);
        return absl::OkStatus();
      }));
  return rule;
}

absl::Status ReadArchitectures(const Object& object,
                               std::vector<uint32_t>& architectures) {
  ASSIGN_OR_RETURN(const Json* list, FindArray(object, "architectures"));
  if (list == nullptr) return absl::OkStatus();
  for (size_t i = 0; i < list->size(); ++i) {
    std::string path = absl::StrCat("architectures[", i, "]");
    // Known to the specification, but to no kernel that has our libseccomp.
    if ((*list)[i].is_string() && (*list)[i] == "SCMP_ARCH_LOONGARCH64") {
      continue;
    }
    ASSIGN_OR_RETURN(uint32_t architecture,
                     Look(&(*list)[i], path, kArchitectures));
    architectures.push_back(architecture);
  }
  return absl::OkStatus();
}

absl::Status RefuseFlags(const Object& object) {
  for (const char* key : {"flags", "listenerPath", "listenerMetadata"}) {
    const Json* value = object.Find(key);
    if (value == nullptr || value->empty() || *value == "") continue;
    return Fault(object.PathOf(key), "is not supported");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OciSeccomp> ParseOciSeccomp(absl::string_view json) {
  Json document = Json::parse(json.begin(), json.end(), nullptr, false);
  if (document.is_discarded()) {
    return absl::InvalidArgumentError("seccomp profile: is no JSON");
  }
  if (!document.is_object()) {
    return absl::InvalidArgumentError("seccomp profile: want an object");
  }
  Object top{document, ""};
  RETURN_IF_ERROR(CheckKeys(
      top, {"defaultAction", "defaultErrnoRet", "architectures", "flags",
            "listenerPath", "listenerMetadata", "syscalls"}));
  RETURN_IF_ERROR(RefuseFlags(top));
  OciSeccomp profile;
  ASSIGN_OR_RETURN(profile.default_action,
                   ReadAction(top, "defaultAction", "defaultErrnoRet"));
  RETURN_IF_ERROR(ReadArchitectures(top, profile.architectures));
  RETURN_IF_ERROR(
      ForEach(top, "syscalls", [&](const Object& entry) -> absl::Status {
        ASSIGN_OR_RETURN(OciSeccompRule rule, ReadRule(entry));
        profile.rules.push_back(std::move(rule));
        return absl::OkStatus();
      }));
  return profile;
}

}  // namespace davit
