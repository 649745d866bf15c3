#include "common/config/table.h"

namespace ottla::config {

std::string fault_line(const Properties::Entry& entry, const KeyInfo& key, std::string_view what) {
  std::string_view shown = key.type == Type::password ? "[hidden]" : std::string_view(entry.value);
  std::string where = entry.line > 0 ? fmt::format("{}:{}", entry.source, entry.line) : entry.source;
  return fmt::format("{}: {}={}: {}", where, key.name, shown, what);
}

std::string markdown_row(const KeyInfo& key, bool has_effect) {
  const char* shown = key.default_text == nullptr   ? "null"
                      : key.default_text[0] == '\0' ? "(empty)"
                                                    : key.default_text;
  return fmt::format("| {} | {} | {} | {} | {}{} |\n", key.name, type_name(key.type), shown,
                     allowed_text(key), key.doc, has_effect ? "" : " (accepted, no effect yet)");
}

}  // namespace ottla::config
