// The orders in which Java's and Scala's hash maps list their keys, for JSON that must be written
// byte for byte as Kafka does. Pure functions over distinct string keys given in the order of
// insertion. Source: java.lang.String.hashCode, java.util.Properties (a ConcurrentHashMap of 16
// bins at first), scala.collection.mutable.HashMap 2.13 (load factor 0.75, bins sorted by hash):
// their documentation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ottla::broker {

int32_t java_string_hash(std::string_view utf8);
// As java.util.Properties iterates.
std::vector<std::string> properties_order(std::vector<std::string> keys);
// As scala.collection.mutable.HashMap iterates.
std::vector<std::string> scala_map_order(std::vector<std::string> keys);

}  // namespace ottla::broker
