// Threads, memory and capabilities of the devices.
#include <omp.h>

#include "binding/core/backend_library.h"
#include "binding/cpu/capabilities.h"
#include "binding/cpu/cpu_backend.h"
#include "binding/node/devices.h"
#include "binding/node/environment.h"
#include "binding/node/registry.h"

namespace espalier::node {
namespace {

// The device that the first argument names, the CPU's when there is none.
Device& device_or_cpu(const Arguments& a) {
  if (a.count() == 0 || a.value(0).IsUndefined()) return cpu::cpu_device();
  return device_named(a.op(), a.text(0, "device"));
}

// setThreads(count): bounds the CPU device's threads from the next op on.
const Registration kSetThreads("setThreads", [](const Arguments& a) -> Napi::Value {
  const int64_t count = a.integer(0, "threads");
  if (count < 1 || count > 1024) {
    throw Error(ErrorCode::config, a.op(),
                "threads: expected 1 to 1024, got " + std::to_string(count));
  }
  cpu::cpu_device().stream().submit({.op = "setThreads",
                                     .reads = {},
                                     .writes = {},
                                     .run =
                                         [count](Backend& backend) {
                                           backend.set_threads(static_cast<int>(count));
                                           return Status();
                                         },
                                     .done = {}});
  return a.env().Undefined();
});

// setCacheLimit(bytes): how much freed memory the CPU pool keeps for reuse.
const Registration kSetCacheLimit("setCacheLimit", [](const Arguments& a) -> Napi::Value {
  const int64_t bytes = a.integer(0, "bytes");
  if (bytes < 0) throw Error(ErrorCode::config, a.op(), "bytes: expected a number >= 0");
  cpu::cpu_device().pool().set_cache_limit(static_cast<size_t>(bytes));
  return a.env().Undefined();
});

// memory(device?) -> { inUse, cached, peak, tensors, leaked }
const Registration kMemory("memory", [](const Arguments& a) -> Napi::Value {
  const MemoryStatistics statistics = device_or_cpu(a).pool().statistics();
  const Environment& environment = Environment::of(a.env());
  Napi::Object result = Napi::Object::New(a.env());
  const auto set = [&](const char* name, double value) {
    result.Set(name, Napi::Number::New(a.env(), value));
  };
  set("inUse", static_cast<double>(statistics.in_use));
  set("cached", static_cast<double>(statistics.cached));
  set("peak", static_cast<double>(statistics.peak));
  set("tensors", static_cast<double>(environment.tensors.live()));
  set("leaked", static_cast<double>(environment.tensors.leaked()));
  return result;
});

// resetPeakMemory(device?): starts a new measurement of memory().peak.
const Registration kResetPeak("resetPeakMemory", [](const Arguments& a) -> Napi::Value {
  device_or_cpu(a).pool().reset_peak();
  return a.env().Undefined();
});

// probeCuda(path) -> { usable, reason, name, devices, driver, runtime, computeCapability, memory }
const Registration kProbeCuda("probeCuda", [](const Arguments& a) -> Napi::Value {
  const BackendProbe probe = BackendLibrary(a.text(0, "path")).probe();
  Napi::Object result = Napi::Object::New(a.env());
  result.Set("usable", Napi::Boolean::New(a.env(), probe.score > 0));
  result.Set("reason", Napi::String::New(a.env(), probe.reason));
  result.Set("name", Napi::String::New(a.env(), probe.device));
  const auto set = [&](const char* name, double value) {
    result.Set(name, Napi::Number::New(a.env(), value));
  };
  set("devices", probe.devices);
  set("driver", probe.driver);
  set("runtime", probe.runtime);
  set("computeCapability", probe.compute_capability);
  set("memory", static_cast<double>(probe.memory));
  return result;
});

// describeCuda(path) -> which of NVIDIA's libraries are used, one a line
const Registration kDescribeCuda("describeCuda", [](const Arguments& a) -> Napi::Value {
  return Napi::String::New(a.env(), BackendLibrary(a.text(0, "path")).description());
});

// openCuda(path, ordinal) -> name of the device
const Registration kOpenCuda("openCuda", [](const Arguments& a) -> Napi::Value {
  const int64_t ordinal = a.integer(1, "ordinal");
  if (ordinal < 0 || ordinal > 1023) {
    throw Error(ErrorCode::device_unavailable, a.op(), "ordinal: expected a number from 0 on");
  }
  return Napi::String::New(a.env(), open_cuda(a.text(0, "path"), static_cast<int>(ordinal)).name());
});

// capabilities() -> { simd, libraries: [name, version][] }
const Registration kCapabilities("capabilities", [](const Arguments& a) -> Napi::Value {
  const cpu::Capabilities capabilities = cpu::capabilities();
  Napi::Object libraries = Napi::Object::New(a.env());
  for (const auto& [name, version] : capabilities.libraries) {
    libraries.Set(name, Napi::String::New(a.env(), version));
  }
  Napi::Object result = Napi::Object::New(a.env());
  result.Set("simd", Napi::String::New(a.env(), capabilities.simd));
  result.Set("libraries", libraries);
  return result;
});

}  // namespace
}  // namespace espalier::node
