// Emulated GPUs with the libraries that stand in for NVIDIA's.
#pragma once

#include <cstdlib>
#include <filesystem>

#include "binding/ops/eigh.h"
#include "test/binding/devices.h"

namespace espalier::test {

/// A folder in which backends look for NVIDIA's libraries while this lives.
class SearchPath {
 public:
  /// Names the folder, or several between colons.
  explicit SearchPath(const std::filesystem::path& folder) {
    setenv("ESPALIER_CUDA_LIBRARY_PATH", folder.c_str(), 1);
  }
  SearchPath(const SearchPath&) = delete;
  SearchPath& operator=(const SearchPath&) = delete;
  ~SearchPath() { unsetenv("ESPALIER_CUDA_LIBRARY_PATH"); }
};

/// A new emulated GPU that keeps no freed memory. Devices are never destroyed.
inline Device& new_emulated_device() {
  return *new Device(
      "cuda:0", BackendLibrary(ESPALIER_CUDA_SHIM_LIBRARY).create(0, cpu::cpu_device().backend()),
      0);
}

/// A new emulated GPU with the stand-in for cuSOLVER, which its first factorisation looks for.
inline Device& new_device_with_cusolver() {
  const SearchPath path(std::filesystem::path(ESPALIER_FAKE_CUSOLVER).parent_path());
  Device& device = new_emulated_device();
  download<double>(ops::eigh(upload(device, std::vector<float>{1}, {1, 1})).values);
  return device;
}

/// The emulated GPU with the stand-in for cuSOLVER that tests share.
inline Device& device_with_cusolver() {
  static Device& device = new_device_with_cusolver();
  return device;
}

/// Whether a device factorises by kernels that the host emulates, which takes long.
inline bool is_slow(const Device& device) {
  return std::getenv("ESPALIER_CUDA_LIB") == nullptr && &device == &device_with_cusolver();
}

/// The devices() of ops that factorise. The emulated GPU comes twice: without cuSOLVER, where the
/// host factorises, and with it. A real one has the libraries that its environment names.
inline std::vector<Device*> factorising_devices() {
  std::vector<Device*> all = devices();
  if (std::getenv("ESPALIER_CUDA_LIB") == nullptr) all.push_back(&device_with_cusolver());
  return all;
}

}  // namespace espalier::test
