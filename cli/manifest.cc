#include "cli/manifest.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/output.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/util/json_util.h"
#include "runtime/base/status_macros.h"
#include "yaml-cpp/yaml.h"

namespace davit::cli {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

absl::Status Invalid(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(
      path.empty() ? what : absl::StrCat(path, ": ", what));
}

// A plain scalar has YAML's (and so Kubernetes') types; a quoted one, which
// yaml-cpp tags "!", is text.
Json ScalarToJson(const YAML::Node& node) {
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (text == "null" || text == "~" || text.empty()) return nullptr;
  if (text == "true" || text == "True" || text == "TRUE") return true;
  if (text == "false" || text == "False" || text == "FALSE") return false;
  int64_t integer;
  if (absl::SimpleAtoi(text, &integer)) return integer;
  double number;
  if (absl::SimpleAtod(text, &number)) return number;
  return text;
}

Json YamlToJson(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& pair : node) {
      object[pair.first.Scalar()] = YamlToJson(pair.second);
    }
    return object;
  }
  if (node.IsSequence()) {
    Json array = Json::array();
    for (const auto& item : node) array.push_back(YamlToJson(item));
    return array;
  }
  return node.IsScalar() ? ScalarToJson(node) : Json(nullptr);
}

// Drops nulls and empty objects and arrays, inside out.
void DropEmpty(Json& json) {
  if (json.is_object()) {
    Json kept = Json::object();
    for (auto& [key, value] : json.items()) {
      DropEmpty(value);
      bool empty = value.is_null() || (value.is_structured() && value.empty());
      if (!empty) kept[key] = std::move(value);
    }
    json = std::move(kept);
  } else if (json.is_array()) {
    for (Json& item : json) DropEmpty(item);
  }
}

absl::Status CheckMessage(const Json& json, const Descriptor* type,
                          const std::string& path);

const char* KindOf(const Json& json) {
  if (json.is_string()) return "a string";
  if (json.is_boolean()) return "a boolean";
  if (json.is_number()) return "a number";
  if (json.is_object()) return "a map";
  if (json.is_array()) return "a list";
  return "null";
}

absl::Status WrongKind(const std::string& path, const char* wanted,
                       const Json& json) {
  return Invalid(path,
                 absl::StrCat("must be ", wanted, ", but is ", KindOf(json)));
}

absl::Status CheckValue(const Json& json, const FieldDescriptor* field,
                        const std::string& path) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      // Times and durations are strings in JSON.
      if (field->message_type()->full_name().rfind("google.protobuf.", 0) ==
          0) {
        return json.is_string() ? absl::OkStatus()
                                : WrongKind(path, "a string", json);
      }
      return CheckMessage(json, field->message_type(), path);
    case FieldDescriptor::CPPTYPE_BOOL:
      return json.is_boolean() ? absl::OkStatus()
                               : WrongKind(path, "a boolean", json);
    case FieldDescriptor::CPPTYPE_STRING:
    case FieldDescriptor::CPPTYPE_ENUM:
      return json.is_string() ? absl::OkStatus()
                              : WrongKind(path, "a string", json);
    default:
      return json.is_number_integer() ? absl::OkStatus()
                                      : WrongKind(path, "an integer", json);
  }
}

absl::Status CheckField(const Json& json, const FieldDescriptor* field,
                        const std::string& path) {
  if (field->is_map()) {
    if (!json.is_object()) return WrongKind(path, "a map", json);
    const FieldDescriptor* value = field->message_type()->map_value();
    for (const auto& [key, item] : json.items()) {
      RETURN_IF_ERROR(
          CheckValue(item, value, absl::StrCat(path, "[\"", key, "\"]")));
    }
    return absl::OkStatus();
  }
  if (!field->is_repeated()) return CheckValue(json, field, path);
  if (!json.is_array()) return WrongKind(path, "a list", json);
  for (size_t i = 0; i < json.size(); ++i) {
    RETURN_IF_ERROR(
        CheckValue(json[i], field, absl::StrCat(path, "[", i, "]")));
  }
  return absl::OkStatus();
}

const FieldDescriptor* FindByJsonName(const Descriptor* type,
                                      const std::string& name) {
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->json_name() == name) return type->field(i);
  }
  return nullptr;
}

absl::Status CheckMessage(const Json& json, const Descriptor* type,
                          const std::string& path) {
  if (!json.is_object()) return WrongKind(path, "a map", json);
  for (const auto& [key, value] : json.items()) {
    std::string child = path.empty() ? key : absl::StrCat(path, ".", key);
    const FieldDescriptor* field = FindByJsonName(type, key);
    if (field == nullptr) return Invalid(child, "not supported");
    RETURN_IF_ERROR(CheckField(value, field, child));
  }
  return absl::OkStatus();
}

absl::Status CheckKind(const Json& json) {
  std::string version = json.value("apiVersion", "");
  std::string kind = json.value("kind", "");
  if (version != "v1" || kind != "Pod") {
    return Invalid("kind", absl::StrCat("is \"", version, "/", kind,
                                        "\", but only v1/Pod can be applied"));
  }
  return absl::OkStatus();
}

// A quantity may be written as a number: "cpu: 2". The API has text.
void QuoteQuantities(Json& owner) {
  if (!owner.is_object() || !owner.contains("resources")) return;
  Json& resources = owner["resources"];
  for (const char* kind : {"limits", "requests"}) {
    if (!resources.is_object() || !resources.contains(kind)) continue;
    if (!resources[kind].is_object()) continue;
    for (Json& value : resources[kind]) {
      if (value.is_number()) value = value.dump();
    }
  }
}

void QuoteAllQuantities(Json& pod) {
  if (!pod.contains("spec")) return;
  Json& spec = pod["spec"];
  QuoteQuantities(spec);
  if (!spec.is_object() || !spec.contains("containers")) return;
  if (!spec["containers"].is_array()) return;
  for (Json& container : spec["containers"]) QuoteQuantities(container);
}

absl::StatusOr<v1::Pod> PodFromJson(Json json) {
  if (!json.is_object()) return Invalid("", "a manifest must be a map");
  json.erase("status");  // what is, not what is wanted
  DropEmpty(json);
  QuoteAllQuantities(json);
  for (const char* key : {"apiVersion", "kind"}) {
    if (json.contains(key) && !json[key].is_string()) {
      return WrongKind(key, "a string", json[key]);
    }
  }
  RETURN_IF_ERROR(CheckKind(json));
  RETURN_IF_ERROR(CheckMessage(json, v1::Pod::descriptor(), ""));
  v1::Pod pod;
  auto status = google::protobuf::util::JsonStringToMessage(json.dump(), &pod);
  if (!status.ok()) return Invalid("", std::string(status.message()));
  return pod;
}

absl::StatusOr<std::vector<Json>> ParseDocuments(const std::string& text) {
  std::vector<Json> documents;
  try {
    // JSON is YAML, but for tabs and very long keys: good enough for manifests.
    for (const YAML::Node& node : YAML::LoadAll(text)) {
      if (!node.IsNull()) documents.push_back(YamlToJson(node));
    }
  } catch (const YAML::Exception& e) {
    return Invalid("", absl::StrCat("cannot read the manifest: ", e.what()));
  }
  return documents;
}

absl::Status CheckSubset(const Json& wanted, const Json& actual,
                         const std::string& path) {
  if (wanted.is_object() && actual.is_object()) {
    for (const auto& [key, value] : wanted.items()) {
      std::string child = path.empty() ? key : absl::StrCat(path, ".", key);
      auto found = actual.find(key);
      RETURN_IF_ERROR(
          CheckSubset(value, found == actual.end() ? Json() : *found, child));
    }
    return absl::OkStatus();
  }
  if (wanted.is_array() && actual.is_array() &&
      wanted.size() == actual.size()) {
    for (size_t i = 0; i < wanted.size(); ++i) {
      RETURN_IF_ERROR(
          CheckSubset(wanted[i], actual[i], absl::StrCat(path, "[", i, "]")));
    }
    return absl::OkStatus();
  }
  if (wanted == actual) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      path, " would change from ", actual.dump(), " to ", wanted.dump(),
      ", but a pod cannot be changed; delete it "
      "first"));
}

}  // namespace

absl::StatusOr<std::vector<v1::Pod>> ParseManifest(const std::string& text) {
  ASSIGN_OR_RETURN(std::vector<Json> documents, ParseDocuments(text));
  std::vector<v1::Pod> pods;
  for (Json& document : documents) {
    bool is_list = document.is_object() && document.contains("items") &&
                   document["items"].is_array();
    if (!is_list) {
      ASSIGN_OR_RETURN(v1::Pod pod, PodFromJson(std::move(document)));
      pods.push_back(std::move(pod));
      continue;
    }
    for (size_t i = 0; i < document["items"].size(); ++i) {
      ASSIGN_OR_RETURN(v1::Pod pod, PodFromJson(document["items"][i]),
                       absl::StrCat("items[", i, "]"));
      pods.push_back(std::move(pod));
    }
  }
  if (pods.empty()) return Invalid("", "no pod in the manifest");
  return pods;
}

absl::Status CheckUnchanged(const v1::Pod& wanted, const v1::Pod& actual) {
  v1::Pod asked;
  *asked.mutable_spec() = wanted.spec();
  *asked.mutable_metadata()->mutable_labels() = wanted.metadata().labels();
  *asked.mutable_metadata()->mutable_annotations() =
      wanted.metadata().annotations();
  ASSIGN_OR_RETURN(Json wanted_json, ToJson(asked));
  ASSIGN_OR_RETURN(Json actual_json, ToJson(actual));
  DropEmpty(wanted_json);
  return CheckSubset(wanted_json, actual_json, "");
}

}  // namespace davit::cli
