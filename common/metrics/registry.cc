#include "common/metrics/registry.h"

#include <fmt/core.h>

#include <cmath>

#include "common/base/check.h"

namespace ottla::metrics {

namespace {

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (value == std::floor(value) && std::fabs(value) < kExact)
    return fmt::format("{}", static_cast<int64_t>(value));
  return fmt::format("{}", value);
}

std::string escaped(std::string_view text, bool in_quotes) {
  std::string out;
  for (char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && in_quotes)
      out += "\\\"";
    else
      out += c;
  }
  return out;
}

std::string label_text(const Labels& labels, const char* quantile = nullptr) {
  std::string out;
  for (const auto& [name, value] : labels)
    out += fmt::format("{}{}=\"{}\"", out.empty() ? "" : ",", name, escaped(value, true));
  if (quantile != nullptr)
    out += fmt::format("{}quantile=\"{}\"", out.empty() ? "" : ",", quantile);
  return out.empty() ? out : "{" + out + "}";
}

const char* type_name(Type type) {
  switch (type) {
    case Type::counter:
      return "counter";
    case Type::gauge:
      return "gauge";
    case Type::histogram:
      return "summary";
  }
  return "untyped";
}

Summary summary_of(const Histogram& values) {
  constexpr std::pair<const char*, double> kQuantiles[] = {
      {"0.5", 0.5}, {"0.95", 0.95}, {"0.99", 0.99}, {"0.999", 0.999}};
  Summary summary{{}, static_cast<double>(values.sum()), static_cast<double>(values.count())};
  for (const auto& [text, q] : kQuantiles)
    summary.quantiles.emplace_back(text, static_cast<double>(values.quantile(q)));
  return summary;
}

void append_summary(std::string& out, const char* name, const Labels& labels,
                    const Summary& summary) {
  for (const auto& [text, value] : summary.quantiles)
    out += fmt::format("{}{} {}\n", name, label_text(labels, text), number(value));
  out += fmt::format("{}_sum{} {}\n", name, label_text(labels), number(summary.sum));
  out += fmt::format("{}_count{} {}\n", name, label_text(labels), number(summary.count));
}

}  // namespace

void Registry::add(const Row& row, Type type, Series series) {
  OTTLA_CHECK(row.type == type, row.name);
  auto [at, is_new] = by_name_.emplace(row.name, families_.size());
  if (is_new) families_.push_back({&row, {}});
  families_[at->second].series.push_back(std::move(series));
}

void Registry::counter(const Row& row, const Counter& value, Labels labels) {
  Series series;
  series.labels = std::move(labels);
  series.counter = &value;
  add(row, Type::counter, std::move(series));
}

void Registry::histogram(const Row& row, const Histogram& value, Labels labels) {
  Series series;
  series.labels = std::move(labels);
  series.histogram = &value;
  add(row, Type::histogram, std::move(series));
}

void Registry::gauge(const Row& row, Fn<double()> read, Labels labels) {
  Series series;
  series.labels = std::move(labels);
  series.read = std::move(read);
  add(row, Type::gauge, std::move(series));
}

void Registry::summary(const Row& row, Fn<Summary()> read, Labels labels) {
  Series series;
  series.labels = std::move(labels);
  series.read_summary = std::move(read);
  add(row, Type::histogram, std::move(series));
}

void Registry::samples(const Row& row, Fn<std::vector<Sample>()> read) {
  OTTLA_CHECK(row.type != Type::histogram, row.name);
  Series series;
  series.read_many = std::move(read);
  add(row, row.type, std::move(series));
}

std::vector<Sample> Registry::Series::now() {
  if (read_many) return read_many();
  if (counter != nullptr) return {{labels, static_cast<double>(counter->value)}};
  if (read) return {{labels, read()}};
  return {};
}

std::string Registry::prometheus() {
  std::string out;
  for (Family& family : families_) {
    const Row& row = *family.row;
    std::string unit = row.unit[0] == '\0' ? "" : fmt::format(" ({})", row.unit);
    out += fmt::format("# HELP {} {}{}\n# TYPE {} {}\n", row.name, escaped(row.help, false), unit,
                       row.name, type_name(row.type));
    for (Series& series : family.series) {
      if (series.histogram != nullptr)
        append_summary(out, row.name, series.labels, summary_of(*series.histogram));
      if (series.read_summary) append_summary(out, row.name, series.labels, series.read_summary());
      for (const Sample& sample : series.now())
        out += fmt::format("{}{} {}\n", row.name, label_text(sample.labels), number(sample.value));
    }
  }
  return out;
}

void Registry::visit(Fn<void(const Row&, const Labels&, double)> each) {
  for (Family& family : families_)
    for (Series& series : family.series)
      for (const Sample& sample : series.now()) each(*family.row, sample.labels, sample.value);
}

void Registry::visit_histograms(Fn<void(const Row&, const Labels&, const Histogram&)> each) {
  for (Family& family : families_)
    for (Series& series : family.series)
      if (series.histogram != nullptr) each(*family.row, series.labels, *series.histogram);
}

}  // namespace ottla::metrics
