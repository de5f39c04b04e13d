#include "binding/core/tensor.h"

#include <doctest/doctest.h>

#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "binding/core/mapped_file.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

TEST_CASE("slices and reshapes read the elements they name") {
  for (Device* device : devices()) {
    std::vector<float> values(24);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
    const Tensor x = upload(*device, values, {4, 3, 2});
    CHECK(download(x.slice(1, 3)) == std::vector<float>(values.begin() + 6, values.begin() + 18));
    CHECK(download(x.slice(1, 3).slice(1, 2)) ==
          std::vector<float>(values.begin() + 12, values.begin() + 18));
    CHECK(download(x.slice(2, 4).reshape({4, 3}).slice(3, 4)) ==
          std::vector<float>(values.begin() + 21, values.end()));
    CHECK(download(x.slice(4, 4)).empty());
    CHECK(x.reshape({24}).shape() == Shape{24});
    CHECK(download(x.slice(0, 1).reshape({2, 3, 1})).size() == 6);
  }
}

TEST_CASE("reshape and slice refuse what does not fit") {
  Device& device = *devices().front();
  const Tensor x(device, {4, 3}, DType::f32);
  CHECK_THROWS_WITH_AS(x.reshape({5, 3}), "expected 12 elements as in [4, 3], got [5, 3]", Error);
  CHECK_THROWS_AS(x.reshape(Shape()), Error);
  CHECK_THROWS_AS(x.slice(-1, 2), Error);
  CHECK_THROWS_AS(x.slice(3, 2), Error);
  CHECK_THROWS_AS(x.slice(0, 5), Error);
  CHECK_THROWS_AS(x.slice(INT64_MIN, INT64_MAX), Error);
  CHECK_THROWS_AS(Tensor(device, Shape(), DType::f32).slice(0, 1), Error);
}

TEST_CASE("tensors overlap when they share a byte, and only then") {
  Device& device = *devices().front();
  const Tensor x(device, {10, 2}, DType::f32);
  CHECK(x.overlaps(x));
  CHECK(x.overlaps(x.reshape({20})));
  CHECK(x.slice(0, 5).overlaps(x.slice(4, 6)));
  CHECK_FALSE(x.slice(0, 5).overlaps(x.slice(5, 10)));
  CHECK_FALSE(x.slice(5, 10).overlaps(x.slice(0, 5)));
  CHECK_FALSE(x.slice(3, 3).overlaps(x));
  CHECK_FALSE(x.overlaps(x.slice(3, 3)));
  CHECK_FALSE(x.overlaps(Tensor(device, {10, 2}, DType::f32)));
}

// A file of the bytes 0, 1, 2, ... that disappears with the object.
class ByteFile {
 public:
  explicit ByteFile(size_t bytes) {
    std::string name = (std::filesystem::temp_directory_path() / "espalier-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    REQUIRE(descriptor >= 0);
    path_ = name;
    std::FILE* file = fdopen(descriptor, "wb");
    for (size_t i = 0; i < bytes; ++i) std::fputc(static_cast<int>(i & 0xffU), file);
    std::fclose(file);
  }
  ByteFile(const ByteFile&) = delete;
  ByteFile& operator=(const ByteFile&) = delete;
  ~ByteFile() { std::filesystem::remove(path_); }

  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST_CASE("a mapped tensor reads the file's bytes and outlives other tensors over it") {
  const ByteFile content(100000);
  Device& device = cpu::cpu_device();
  const auto file = MappedFile::open(content.path());
  const Tensor kept(device, file, 5, {10}, DType::u8);
  { const Tensor dropped(device, file, 0, {100000}, DType::u8); }
  CHECK(download<uint8_t>(kept) == std::vector<uint8_t>{5, 6, 7, 8, 9, 10, 11, 12, 13, 14});
  CHECK(download<uint16_t>(Tensor(device, file, 2, {1}, DType::bf16)).front() == 0x0302);
}

TEST_CASE("a mapped tensor must lie inside the file, aligned to its elements") {
  const ByteFile content(64);
  Device& device = cpu::cpu_device();
  const auto file = MappedFile::open(content.path());
  CHECK_NOTHROW(Tensor(device, file, 64, {0}, DType::f32));
  CHECK_NOTHROW(Tensor(device, file, 0, {16}, DType::f32));
  CHECK_THROWS_AS(Tensor(device, file, 0, {17}, DType::f32), Error);
  CHECK_THROWS_AS(Tensor(device, file, 4, {16}, DType::f32), Error);
  CHECK_THROWS_AS(Tensor(device, file, 2, {1}, DType::f32), Error);
  CHECK_THROWS_AS(Tensor(device, file, SIZE_MAX - 3, {1}, DType::f32), Error);
  CHECK_THROWS_AS(Tensor(device, file, 0, {int64_t{1} << 53}, DType::f64), Error);
  CHECK_THROWS_AS(MappedFile::open(content.path() + ".none"), Error);
  CHECK_THROWS_AS(MappedFile::open("/"), Error);
}

}  // namespace
}  // namespace espalier::test
