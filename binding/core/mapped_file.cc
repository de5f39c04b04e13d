#include "binding/core/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "binding/core/pages.h"
#include "binding/core/status.h"

namespace espalier {

std::shared_ptr<MappedFile> MappedFile::open(const std::string& path) {
  const auto fail = [&path](const std::string& why) {
    return Error(ErrorCode::format, "mappedFile", "cannot map '" + path + "': " + why);
  };
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) throw fail(std::strerror(errno));
  struct stat info {};
  if (fstat(descriptor, &info) != 0) {
    const int why = errno;
    close(descriptor);
    throw fail(std::strerror(why));
  }
  if (!S_ISREG(info.st_mode) || info.st_size == 0) {
    close(descriptor);
    throw fail(S_ISREG(info.st_mode) ? "the file is empty" : "not a regular file");
  }
  const auto bytes = static_cast<size_t>(info.st_size);
  void* data = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
  const int why = errno;
  close(descriptor);
  if (data == MAP_FAILED) throw fail(std::strerror(why));
  return std::shared_ptr<MappedFile>(new MappedFile(static_cast<const std::byte*>(data), bytes));
}

MappedFile::~MappedFile() { munmap(const_cast<std::byte*>(data_), bytes_); }

void MappedFile::drop_pages(size_t offset, size_t bytes) const {
  discard_pages(const_cast<std::byte*>(data_) + offset, bytes);
}

}  // namespace espalier
