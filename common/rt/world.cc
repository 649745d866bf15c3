#include "common/rt/world.h"

#include <algorithm>

namespace ottla::rt {

std::string to_string(const Endpoint& endpoint) {
  bool v6 = endpoint.host.find(':') != std::string::npos;
  return (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

std::string parent_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> make_dirs_durable(Disk& disk, const std::string& path) {
  std::vector<std::string> missing;
  for (std::string at = path; at != "." && at != "/" && !disk.stat(at); at = parent_of(at))
    missing.push_back(at);
  OTTLA_TRY(disk.make_dirs(path));
  for (const std::string& made : missing) OTTLA_TRY(disk.sync_dir(parent_of(made)));
  return {};
}

Result<std::string> read_file(Disk& disk, const std::string& path, uint64_t max_bytes) {
  OTTLA_ASSIGN(auto file, disk.open(path, OpenMode::read));
  uint64_t size = file->size();
  if (size > max_bytes)
    return fail(Errc::too_large, path + " has " + std::to_string(size) + " bytes, more than " +
                                     std::to_string(max_bytes));
  std::string content(size, '\0');
  MutBytes into(reinterpret_cast<uint8_t*>(content.data()), content.size());
  OTTLA_ASSIGN(size_t got, file->read_at(0, into));
  content.resize(got);
  return content;
}

Result<void> replace_file(Disk& disk, const std::string& path, Bytes content) {
  std::string temporary = path + ".tmp";
  {
    OTTLA_ASSIGN(auto file, disk.open(temporary, OpenMode::create));
    OTTLA_TRY(file->truncate(0));
    OTTLA_TRY(file->write_at(0, content));
    OTTLA_TRY(file->sync_now());
  }
  OTTLA_TRY(disk.rename(temporary, path));
  return disk.sync_dir(parent_of(path));
}

}  // namespace ottla::rt
