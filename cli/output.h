#ifndef DAVIT_CLI_OUTPUT_H_
#define DAVIT_CLI_OUTPUT_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "google/protobuf/timestamp.pb.h"
#include "nlohmann/json.hpp"

namespace davit::cli {

using Json = nlohmann::ordered_json;

// Rows in columns, three spaces apart, as kubectl prints them. Widths are
// counted in bytes: names are ASCII.
class Table {
 public:
  explicit Table(std::vector<std::string> header)
      : header_(std::move(header)) {}
  void AddRow(std::vector<std::string> cells) {
    rows_.push_back(std::move(cells));
  }
  bool empty() const { return rows_.empty(); }
  void Print(std::ostream& out, bool with_header = true) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// "5s", "3m12s", "47h", "8d": kubectl's way to say how long.
std::string HumanDuration(absl::Duration duration);
// Age of a timestamp; "<unknown>" if it is not set.
std::string Age(const google::protobuf::Timestamp& time, absl::Time now);
absl::Time ToTime(const google::protobuf::Timestamp& time);
// "12.3MB".
std::string HumanBytes(uint64_t bytes);

// A proto as the JSON of its manifest (lowerCamelCase names, defaults left
// out), and JSON as YAML with two-space indent.
absl::StatusOr<Json> ToJson(const google::protobuf::Message& message);
std::string ToYaml(const Json& json);

}  // namespace davit::cli

#endif  // DAVIT_CLI_OUTPUT_H_
