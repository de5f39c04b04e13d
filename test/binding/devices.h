// The devices that every op test runs on, and how tests move data there and back.
#pragma once

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <random>
#include <span>
#include <vector>

#include "binding/core/backend_library.h"
#include "binding/core/device.h"
#include "binding/core/tensor.h"
#include "binding/cpu/cpu_backend.h"

namespace espalier::test {

/// A new stream on the first GPU: of the library that ESPALIER_CUDA_LIB names, or the emulated one
/// of this build. Unless `cache_limit` says so nothing freed is kept, so that every block of the
/// emulated GPU is new, full of NaN and between guards. Devices are never destroyed.
inline Device& new_cuda_device(size_t cache_limit = 0) {
  const char* path = std::getenv("ESPALIER_CUDA_LIB");
  const BackendLibrary library(path == nullptr ? ESPALIER_CUDA_SHIM_LIBRARY : path);
  return *new Device("cuda:0", library.create(0, cpu::cpu_device().backend()), cache_limit);
}

/// The CUDA backend that op tests share.
inline Device& cuda_device() {
  static Device& device = new_cuda_device();
  return device;
}

/// All devices of this build.
inline std::vector<Device*> devices() { return {&cpu::cpu_device(), &cuda_device()}; }

/// Runs a task and waits for its outcome.
inline Status run(Device& device, Task task) {
  std::mutex mutex;
  std::condition_variable finished;
  bool done = false;
  Status outcome;
  task.done = [&](const Status& status) {
    const std::lock_guard lock(mutex);
    outcome = status;
    done = true;
    finished.notify_one();
  };
  device.stream().submit(std::move(task));
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return done; });
  return outcome;
}

/// Waits for all that was queued on a device, and until its dispatcher has let go of it.
inline Status settle(Device& device) {
  return run(device, {.op = "settle",
                      .reads = {},
                      .writes = {},
                      .run = [](Backend&) { return Status(); },
                      .done = {}});
}

/// A tensor with the given content; the element size of T must be that of `dtype`.
template <class T>
Tensor upload(Device& device, const std::vector<T>& data, const Shape& shape, DType dtype) {
  const Tensor tensor(device, shape, dtype);
  auto copy = std::make_shared<std::vector<T>>(data);
  device.stream().submit(
      {.op = "upload",
       .reads = {},
       .writes = {tensor},
       .run = [tensor, copy](
                  Backend& backend) { return backend.copy_from_host(tensor.view(), copy->data()); },
       .done = {}});
  return tensor;
}

/// An f32 tensor.
inline Tensor upload(Device& device, const std::vector<float>& data, const Shape& shape) {
  return upload(device, data, shape, DType::f32);
}

/// f32 values stored as f32, bf16 or f16 (rounded).
inline Tensor upload_as(Device& device, const std::vector<float>& data, const Shape& shape,
                        DType dtype) {
  if (dtype == DType::f32) return upload(device, data, shape);
  std::vector<uint16_t> bits;
  for (const float value : data) {
    bits.push_back(dtype == DType::bf16 ? bf16_from_float(value) : f16_from_float(value));
  }
  return upload(device, bits, shape, dtype);
}

/// The values as `dtype` would hold them.
inline std::vector<float> rounded_to(const std::vector<float>& data, DType dtype) {
  std::vector<float> result;
  for (const float value : data) {
    if (dtype == DType::bf16) {
      result.push_back(float_from_bf16(bf16_from_float(value)));
    } else if (dtype == DType::f16) {
      result.push_back(float_from_f16(f16_from_float(value)));
    } else {
      result.push_back(value);
    }
  }
  return result;
}

/// Reads a tensor, with the status of its computation; DTYPE when T has another size.
template <class T>
Status download(const Tensor& tensor, std::vector<T>& target) {
  if (sizeof(T) != size_of(tensor.dtype())) {
    return Status(ErrorCode::dtype, "read as another type");
  }
  target.assign(static_cast<size_t>(tensor.shape().elements()), T{});
  return run(tensor.device(), {.op = "download",
                               .reads = {tensor},
                               .writes = {},
                               .run =
                                   [&](Backend& backend) {
                                     if (target.empty()) return Status();
                                     return backend.copy_to_host(target.data(),
                                                                 tensor.const_view());
                                   },
                               .done = {}});
}

/// Reads a tensor whose computation must have succeeded; throws its Status as Error otherwise.
template <class T = float>
std::vector<T> download(const Tensor& tensor) {
  std::vector<T> target;
  if (Status status = download(tensor, target); !status.ok()) throw Error(status);
  return target;
}

/// Normally distributed values, the same for the same seed.
inline std::vector<float> random_values(size_t count, uint32_t seed, float spread = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0F, spread);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(generator);
  return values;
}

/// Normalised squared error Σ(got - expected)² / Σ expected², 0 for two empty or zero vectors; NaN
/// when a value is NaN in one but not in the other.
template <class A, class B>
double normalised_error(const std::vector<A>& got, const std::vector<B>& expected) {
  if (got.size() != expected.size()) return std::nan("");
  double error = 0;
  double total = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const auto g = static_cast<double>(got[i]);
    const auto e = static_cast<double>(expected[i]);
    if ((std::isnan(g) && std::isnan(e)) || g == e) continue;
    error += (g - e) * (g - e);
    total += e * e;
  }
  if (error == 0) return 0;
  for (const B& value : expected) total += total == 0 ? static_cast<double>(value) * value : 0;
  return error / (total > 0 ? total : 1);
}

}  // namespace espalier::test
