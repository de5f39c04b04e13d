#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "binding/core/mapped_file.h"
#include "binding/ops/elementwise.h"
#include "binding/ops/to_device.h"
#include "test/binding/devices.h"

namespace espalier::test {
namespace {

namespace fs = std::filesystem;

// Mapped f32 tensors of one file, which is removed at once.
class Weights {
 public:
  explicit Weights(const std::vector<float>& values) {
    const fs::path path =
        fs::temp_directory_path() / ("espalier-weights-" + std::to_string(getpid()));
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(values.data()),
               static_cast<std::streamsize>(values.size() * sizeof(float)));
    file_ = MappedFile::open(path.string());
    fs::remove(path);
  }

  [[nodiscard]] Tensor tensor(size_t first, int64_t count) const {
    return {cpu::cpu_device(), file_, first * sizeof(float), Shape{count}, DType::f32};
  }

 private:
  std::shared_ptr<MappedFile> file_;
};

// A device on which freed blocks are used again at once.
Device& caching_device() {
  static Device& device = new_cuda_device(MemoryPool::kDefaultCacheLimit);
  return device;
}

std::vector<float> numbers(size_t count) {
  std::vector<float> values(count);
  for (size_t i = 0; i < count; ++i) values[i] = static_cast<float>(i % 9973) - 5000;
  return values;
}

std::vector<float> doubled(std::vector<float> values) {
  for (float& value : values) value *= 2;
  return values;
}

TEST_CASE("weights of any size arrive on the GPU, and ops that use them wait for them") {
  const auto values = numbers(size_t{6} << 20);
  const Weights weights(values);
  // Below, at and above what goes through the stream, and more than the whole ring of pinned
  // memory.
  for (const int64_t count : {1, 1000, 131072, 131073, 1048576, 1048577, 5000000}) {
    for (const size_t first : {size_t{0}, size_t{4321}}) {
      const std::vector<float> expected(values.begin() + static_cast<int64_t>(first),
                                        values.begin() + static_cast<int64_t>(first) + count);
      const Tensor there = ops::to_device(weights.tensor(first, count), cuda_device());
      CHECK(download(ops::elementwise(ElementwiseKind::add, there, there)) == doubled(expected));
      CHECK(download(there) == expected);
    }
  }
}

TEST_CASE("an upload waits until the work before it has let go of its memory") {
  constexpr int64_t kCount = 300000;
  const auto values = numbers(kCount);
  const Weights weights(values);
  const auto summands = random_values(kCount, 7);
  const auto sum = doubled(summands);
  Device& device = caching_device();
  for (int i = 0; i < 20; ++i) {
    Tensor x = upload(device, summands, {kCount});
    const Tensor y = ops::elementwise(ElementwiseKind::add, x, x);
    // y is queued, x's memory is the next to be handed out.
    x = Tensor(device, {0}, DType::f32);
    const Tensor there = ops::to_device(weights.tensor(0, kCount), device);
    if (i % 2 == 0) CHECK(download(there) == values);
    CHECK(download(y) == sum);
    CHECK(download(there) == values);
  }
}

TEST_CASE("memory of an upload that nobody wants any more is not handed out while it is written") {
  constexpr int64_t kCount = 300000;
  const auto values = numbers(kCount);
  const Weights weights(values);
  const auto summands = random_values(kCount, 8);
  const auto sum = doubled(summands);
  Device& device = caching_device();
  // Of tests before this one.
  REQUIRE(settle(device).ok());
  const size_t before = device.pool().statistics().in_use;
  for (int i = 0; i < 20; ++i) {
    const Tensor x = upload(device, summands, {kCount});
    ops::to_device(weights.tensor(0, kCount), device);
    const Tensor y = ops::elementwise(ElementwiseKind::add, x, x);
    CHECK(download(y) == sum);
    CHECK(download(x) == summands);
  }
  CHECK(settle(device).ok());
  CHECK(device.pool().statistics().in_use == before);
}

TEST_CASE("many uploads at once arrive in the places they were meant for") {
  constexpr int64_t kCount = 140000;
  const auto values = numbers(size_t{2} << 20);
  const Weights weights(values);
  std::vector<Tensor> there;
  for (size_t i = 0; i < 12; ++i) {
    there.push_back(ops::to_device(weights.tensor(i * kCount, kCount), caching_device()));
  }
  for (size_t i = there.size(); i-- > 0;) {
    const auto begin = values.begin() + static_cast<int64_t>(i) * kCount;
    CHECK(download(there[i]) == std::vector<float>(begin, begin + kCount));
  }
}

}  // namespace
}  // namespace espalier::test
