#ifndef DAVIT_TESTS_BENCH_SAMPLES_H_
#define DAVIT_TESTS_BENCH_SAMPLES_H_

#include <stddef.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"

namespace davit::testing {

// Samples of one figure, of any unit. A value.
class Samples {
 public:
  void Add(double value) { values_.push_back(value); }
  void Add(const Samples& more) {
    values_.insert(values_.end(), more.values_.begin(), more.values_.end());
  }
  size_t count() const { return values_.size(); }
  double Min() const { return At(0); }
  double Median() const { return At(0.5); }
  double P90() const { return At(0.9); }
  double Max() const { return At(1); }
  // Minimum, median, 90th percentile and maximum, in columns.
  std::string Describe() const {
    return absl::StrFormat("%9.1f %9.1f %9.1f %9.1f", Min(), Median(), P90(),
                           Max());
  }

 private:
  // 0 if there are none.
  double At(double quantile) const {
    if (values_.empty()) return 0;
    std::vector<double> sorted = values_;
    std::sort(sorted.begin(), sorted.end());
    return sorted[static_cast<size_t>(
        quantile * static_cast<double>(sorted.size() - 1) + 0.5)];
  }

  std::vector<double> values_;
};

}  // namespace davit::testing

#endif  // DAVIT_TESTS_BENCH_SAMPLES_H_
