// Asks the driver's own library, because the runtime would make a context or hide the reason.
#include <cuda_runtime.h>
#include <dlfcn.h>

#include <cstdarg>
#include <cstdio>

#include "cuda/probe.h"

namespace espalier::cuda {
namespace {

// The driver interface's names and numbers, from its documentation; CUresult and CUdevice are ints.
constexpr int kNoDevice = 100;
constexpr int kMajor = 75;
constexpr int kMinor = 76;

__attribute__((format(printf, 2, 3))) void say(BackendProbe& probe, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(probe.reason, sizeof(probe.reason), format, arguments);
  va_end(arguments);
}

template <class Function>
bool find(void* library, const char* name, Function*& function, BackendProbe& probe) {
  function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) say(probe, "libcuda.so.1 lacks %s: the NVIDIA driver is too old", name);
  return function != nullptr;
}

}  // namespace

void probe_device(BackendProbe& probe) {
  probe.runtime = CUDART_VERSION;
  void* library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return say(probe, "libcuda.so.1 was not found: no NVIDIA driver");
  int (*initialise)(unsigned) = nullptr;
  int (*driver_version)(int*) = nullptr;
  int (*count)(int*) = nullptr;
  int (*device)(int*, int) = nullptr;
  int (*name)(char*, int, int) = nullptr;
  int (*attribute)(int*, int, int) = nullptr;
  int (*memory)(size_t*, int) = nullptr;
  if (!find(library, "cuInit", initialise, probe) ||
      !find(library, "cuDriverGetVersion", driver_version, probe) ||
      !find(library, "cuDeviceGetCount", count, probe) ||
      !find(library, "cuDeviceGet", device, probe) ||
      !find(library, "cuDeviceGetName", name, probe) ||
      !find(library, "cuDeviceGetAttribute", attribute, probe) ||
      !find(library, "cuDeviceTotalMem_v2", memory, probe)) {
    return;
  }
  driver_version(&probe.driver);
  // Within one major version an older driver runs what a newer toolkit compiled.
  if (probe.driver / 1000 < CUDART_VERSION / 1000) {
    return say(probe, "the NVIDIA driver supports CUDA %d.%d, and CUDA %d.0 or newer is needed",
               probe.driver / 1000, probe.driver % 1000 / 10, CUDART_VERSION / 1000);
  }
  if (const int result = initialise(0); result != 0 && result != kNoDevice) {
    return say(probe, "the NVIDIA driver could not start: cuInit gave %d", result);
  } else if (result == kNoDevice || count(&probe.devices) != 0 || probe.devices == 0) {
    return say(probe, "the NVIDIA driver sees no GPU (CUDA_VISIBLE_DEVICES may hide it)");
  }
  int ordinal = 0;
  int major = 0;
  int minor = 0;
  size_t bytes = 0;
  if (device(&ordinal, 0) != 0 || name(probe.device, sizeof(probe.device), ordinal) != 0 ||
      attribute(&major, kMajor, ordinal) != 0 || attribute(&minor, kMinor, ordinal) != 0 ||
      memory(&bytes, ordinal) != 0) {
    return say(probe, "the NVIDIA driver did not describe its first GPU");
  }
  probe.compute_capability = 10 * major + minor;
  probe.memory = bytes;
  if (probe.compute_capability < kOldestCapability) {
    return say(probe, "%s has compute capability %d.%d, and %d.%d or newer is needed", probe.device,
               major, minor, kOldestCapability / 10, kOldestCapability % 10);
  }
  probe.score = 1;
  say(probe, "%s, compute capability %d.%d", probe.device, major, minor);
}

}  // namespace espalier::cuda
