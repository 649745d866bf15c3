// Loading a Config struct from its table and a Properties, with one error line a fault and one
// warning line a key that does nothing.
#pragma once

#include <fmt/core.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/check.h"
#include "common/config/key.h"
#include "common/config/properties.h"

namespace ottla::config {

// "FILE: KEY=VALUE: must be ...": what a wrong value is answered with; the program then exits with 1.
std::string fault_line(const Properties::Entry& entry, const KeyInfo& key, std::string_view what);

// The row of that name, or null.
template <class Config>
const Key<Config>* find_key(std::span<const Key<Config>> table, std::string_view name) {
  for (const Key<Config>& key : table)
    if (name == key.info.name) return &key;
  return nullptr;
}

// The same in a table whose rows are in the order of their names: for one of hundreds of rows that is
// asked for each topic of a request.
template <class Config>
const Key<Config>* find_key_in_order(std::span<const Key<Config>> table, std::string_view name) {
  auto at = std::lower_bound(
      table.begin(), table.end(), name,
      [](const Key<Config>& key, std::string_view wanted) { return key.info.name < wanted; });
  return at != table.end() && name == at->info.name ? &*at : nullptr;
}

// Sets every member of `config` that has a row to its default.
template <class Config>
void set_defaults(std::span<const Key<Config>> table, Config& config) {
  for (const Key<Config>& key : table) {
    if (key.info.default_text == nullptr) {
      key.store(Value(), config);
      continue;
    }
    Result<Value> value = parse_value(key.info, key.info.default_text);
    OTTLA_CHECK(value.has_value(), key.info.name);
    key.store(*value, config);
  }
}

// Applies the entries over the defaults. `known_elsewhere(name)`: true for keys that another reader
// takes (server.N, listener.name.X...). Warnings are whole lines, to be logged once.
// Errors: Errc::invalid, one line, the first fault in file order.
template <class Config, class KnownElsewhere>
Result<std::vector<std::string>> load(std::span<const Key<Config>> table,
                                      const Properties& properties, Config& config,
                                      KnownElsewhere known_elsewhere) {
  set_defaults(table, config);
  std::vector<std::string> warnings;
  for (const Properties::Entry& entry : properties.entries()) {
    const Key<Config>* key = find_key(table, entry.key);
    if (key == nullptr) {
      if (!known_elsewhere(entry.key))
        warnings.push_back(fmt::format("{}: unknown key {} is ignored", entry.source, entry.key));
      continue;
    }
    Result<Value> value = parse_value(key->info, entry.value);
    if (!value) return fail(Errc::invalid, fault_line(entry, key->info, value.error().context));
    bool has_effect = !std::holds_alternative<std::monostate>(key->member);
    bool is_default = key->info.default_text != nullptr && entry.value == key->info.default_text;
    if (!has_effect && !is_default)
      warnings.push_back(
          fmt::format("{}: {} is known but has no effect in this version", entry.source, entry.key));
    key->store(*value, config);
  }
  return warnings;
}

// A Markdown table of the rows: name, type, default, allowed, importance, doc.
std::string markdown_row(const KeyInfo& key, bool has_effect);
template <class Config>
std::string markdown(std::span<const Key<Config>> table) {
  std::string out = "| Key | Type | Default | Allowed | What it does |\n|---|---|---|---|---|\n";
  for (const Key<Config>& key : table)
    out += markdown_row(key.info, !std::holds_alternative<std::monostate>(key.member));
  return out;
}

}  // namespace ottla::config
