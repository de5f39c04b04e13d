// Read-only memory maps of checkpoint files.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace espalier {

/// A whole file mapped read-only. Weights are used in place and their pages are given back to the
/// operating system when a tensor over them is disposed, so resident memory follows what is in use.
/// The file must not be truncated while mapped (the operating system then raises SIGBUS).
class MappedFile {
 public:
  /// Maps `path`. Throws Error FORMAT when it cannot be opened, is not a regular file or is empty.
  static std::shared_ptr<MappedFile> open(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  /// First byte of the file.
  [[nodiscard]] const std::byte* data() const { return data_; }
  /// Length in bytes at the time of mapping.
  [[nodiscard]] size_t bytes() const { return bytes_; }
  /// Lets the operating system drop the whole pages inside the range; they are read again on use.
  void drop_pages(size_t offset, size_t bytes) const;

 private:
  MappedFile(const std::byte* data, size_t bytes) : data_(data), bytes_(bytes) {}

  const std::byte* data_;
  size_t bytes_;
};

}  // namespace espalier
