// Registry: which values belong to which row, and their text forms. Belongs to one loop; what it
// points to must outlive it or be read on that loop. Values that exist only while something lives
// (a topic, a connection) are given by a callback that names them when asked.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/fn.h"
#include "common/metrics/metric.h"

namespace ottla::metrics {

// In the order in which they are printed.
using Labels = std::vector<std::pair<std::string, std::string>>;

struct Sample {
  Labels labels;
  double value = 0;
};

// A distribution as it is printed. Quantiles of nothing are NaN, as Prometheus' own clients say.
struct Summary {
  std::vector<std::pair<const char*, double>> quantiles;  // "0.5" and its value
  double sum = 0;
  double count = 0;
};

class Registry {
 public:
  // Rows and counted values must outlive the registry.
  void counter(const Row& row, const Counter& value, Labels labels = {});
  void histogram(const Row& row, const Histogram& value, Labels labels = {});
  void gauge(const Row& row, Fn<double()> read, Labels labels = {});
  // For distributions that are not one Histogram, or have other quantiles than it; rows are of
  // Type::histogram.
  void summary(const Row& row, Fn<Summary()> read, Labels labels = {});
  // For counters and gauges whose labels come and go.
  void samples(const Row& row, Fn<std::vector<Sample>()> read);

  // Text exposition format 0.0.4. Histograms are written as summaries (quantiles 0.5, 0.95, 0.99,
  // 0.999, sum and count).
  std::string prometheus();
  // Calls for every value that is not a histogram; for reports like mntr.
  void visit(Fn<void(const Row&, const Labels&, double)> each);
  void visit_histograms(Fn<void(const Row&, const Labels&, const Histogram&)> each);

 private:
  struct Series {
    Labels labels;
    const Counter* counter = nullptr;
    const Histogram* histogram = nullptr;
    Fn<double()> read;
    Fn<std::vector<Sample>()> read_many;
    Fn<Summary()> read_summary;
    std::vector<Sample> now();
  };
  struct Family {
    const Row* row;
    std::vector<Series> series;
  };
  void add(const Row& row, Type type, Series series);

  std::vector<Family> families_;  // in the order of registration
  std::map<std::string, size_t> by_name_;
};

inline constexpr const char* kPrometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace ottla::metrics
