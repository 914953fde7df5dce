#include "cli/output.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "google/protobuf/util/json_util.h"
#include "yaml-cpp/yaml.h"

namespace davit::cli {
namespace {

void EmitYaml(YAML::Emitter& out, const Json& json);

void EmitScalar(YAML::Emitter& out, const Json& json) {
  if (!json.is_string()) {
    out << json.dump();
    return;
  }
  const std::string& text = json.get_ref<const std::string&>();
  // A string that YAML would read as something else must be quoted.
  YAML::Node plain = [&] {
    try {
      return YAML::Load(text);
    } catch (const YAML::Exception&) {
      return YAML::Node();
    }
  }();
  bool misread = !plain.IsScalar() || plain.Scalar() != text;
  bool typed = false;
  if (!misread) {
    double number;
    bool boolean;
    typed = YAML::convert<double>::decode(plain, number) ||
            YAML::convert<bool>::decode(plain, boolean);
  }
  if (misread || typed) out << YAML::DoubleQuoted;
  out << text;
}

void EmitYaml(YAML::Emitter& out, const Json& json) {
  if (json.is_object()) {
    if (json.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, value] : json.items()) {
      out << YAML::Key << key << YAML::Value;
      EmitYaml(out, value);
    }
    out << YAML::EndMap;
  } else if (json.is_array()) {
    if (json.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const Json& value : json) EmitYaml(out, value);
    out << YAML::EndSeq;
  } else {
    EmitScalar(out, json);
  }
}

}  // namespace

void Table::Print(std::ostream& out, bool with_header) const {
  std::vector<size_t> widths(header_.size());
  auto measure = [&](const std::vector<std::string>& cells) {
    for (size_t i = 0; i < cells.size(); ++i) {
      widths[i] = std::max(widths[i], cells[i].size());
    }
  };
  auto print = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      bool last = i + 1 == cells.size();
      absl::StrAppend(&line, cells[i]);
      if (!last) line.append(widths[i] - cells[i].size() + 3, ' ');
    }
    out << line << "\n";
  };
  if (with_header) measure(header_);
  for (const auto& row : rows_) measure(row);
  if (with_header) print(header_);
  for (const auto& row : rows_) print(row);
  out.flush();
}

std::string HumanDuration(absl::Duration duration) {
  int64_t s = absl::ToInt64Seconds(duration);
  if (s < 0) return "0s";
  if (s < 120) return absl::StrCat(s, "s");
  int64_t m = s / 60;
  if (m < 10) {
    return s % 60 == 0 ? absl::StrCat(m, "m")
                       : absl::StrCat(m, "m", s % 60, "s");
  }
  if (m < 180) return absl::StrCat(m, "m");
  int64_t h = m / 60;
  if (h < 8) {
    return m % 60 == 0 ? absl::StrCat(h, "h")
                       : absl::StrCat(h, "h", m % 60, "m");
  }
  if (h < 48) return absl::StrCat(h, "h");
  int64_t d = h / 24;
  if (d < 8) {
    return h % 24 == 0 ? absl::StrCat(d, "d")
                       : absl::StrCat(d, "d", h % 24, "h");
  }
  return absl::StrCat(d, "d");
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) +
         absl::Nanoseconds(time.nanos());
}

std::string Age(const google::protobuf::Timestamp& time, absl::Time now) {
  if (time.seconds() == 0) return "<unknown>";
  return HumanDuration(now - ToTime(time));
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr std::array<const char*, 5> kUnits = {"B", "kB", "MB", "GB",
                                                        "TB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return unit == 0 ? absl::StrCat(bytes, "B")
                   : absl::StrFormat("%.3g%s", value, kUnits[unit]);
}

absl::StatusOr<Json> ToJson(const google::protobuf::Message& message) {
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  auto status =
      google::protobuf::util::MessageToJsonString(message, &text, options);
  if (!status.ok()) return absl::InternalError(status.ToString());
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

std::string ToYaml(const Json& json) {
  YAML::Emitter out;
  EmitYaml(out, json);
  return absl::StrCat(out.c_str(), "\n");
}

}  // namespace davit::cli
