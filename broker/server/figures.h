// BrokerFigures: what a broker counts of its requests, and the rows under which GET /metrics shows
// all that the broker's parts count. Source: Kafka documentation, "Monitoring"; names as the usual
// rules of Prometheus' JMX exporter make them.
#pragma once

#include <array>
#include <cstdint>

#include "common/metrics/registry.h"

namespace ottla::broker {

struct RequestFigures {
  metrics::Counter requests;
  metrics::Histogram total_us;  // from the request's last byte to its answer
};

struct BrokerFigures {
  static constexpr size_t kApiKeys = 128;
  std::array<RequestFigures, kApiKeys> by_api;
  uint64_t session_expirations = 0;

  void answered(int16_t api_key, int64_t total_ns) {
    if (api_key < 0 || static_cast<size_t>(api_key) >= kApiKeys) return;
    RequestFigures& figures = by_api[static_cast<size_t>(api_key)];
    figures.requests.add();
    figures.total_us.add(static_cast<uint64_t>(total_ns / 1000));
  }
};

}  // namespace ottla::broker
