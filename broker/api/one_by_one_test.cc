// Parts of a request that end at once make a loop, not a nest of calls.
#include "broker/api/one_by_one.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <vector>

using ottla::broker::OneByOne;

TEST_CASE("a million parts that end at once") {
  OneByOne steps;
  size_t done = 0, deepest = 0, depth = 0;
  std::function<void()> step = [&] {
    steps.run([&] {
      deepest = std::max(deepest, ++depth);
      if (++done < 1'000'000) step();
      --depth;
    });
  };
  step();
  CHECK(done == 1'000'000);
  CHECK(deepest == 1);
}

TEST_CASE("a part that ends later goes on from there") {
  OneByOne steps;
  std::vector<int> order;
  int next = 0;
  std::function<void()> later;
  std::function<void()> step = [&] {
    steps.run([&] {
      order.push_back(next++);
      if (order.back() == 1)
        later = step;
      else if (order.back() < 3)
        step();
    });
  };
  step();
  CHECK(order == std::vector<int>{0, 1});
  later();
  CHECK(order == std::vector<int>{0, 1, 2, 3});
}
