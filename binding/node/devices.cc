#include "binding/node/devices.h"

#include <algorithm>
#include <mutex>

#include "binding/core/backend_library.h"
#include "binding/cpu/cpu_backend.h"

namespace espalier::node {
namespace {

// A GPU reuses freed blocks of up to this share of its memory before it gives them back.
constexpr uint64_t kCachedShare = 2;

struct OpenDevices {
  std::mutex mutex;
  std::string path;
  std::vector<Device*> cuda;
};

// Never destroyed: a dispatcher thread may be inside a kernel while the process exits.
OpenDevices& open_devices() {
  static auto* const instance = new OpenDevices;
  return *instance;
}

Device* find(const OpenDevices& open, const std::string& name) {
  const auto found = std::find_if(open.cuda.begin(), open.cuda.end(),
                                  [&](Device* device) { return device->name() == name; });
  return found == open.cuda.end() ? nullptr : *found;
}

}  // namespace

Device& device_named(const char* op, const std::string& name) {
  if (name == "cpu") return cpu::cpu_device();
  OpenDevices& open = open_devices();
  const std::lock_guard lock(open.mutex);
  if (Device* device = find(open, name); device != nullptr) return *device;
  throw Error(ErrorCode::device_unavailable, op,
              "device: expected 'cpu' or a CUDA device that has been opened, got '" + name + "'");
}

std::vector<Device*> devices() {
  std::vector<Device*> all{&cpu::cpu_device()};
  OpenDevices& open = open_devices();
  const std::lock_guard lock(open.mutex);
  all.insert(all.end(), open.cuda.begin(), open.cuda.end());
  return all;
}

Device& open_cuda(const std::string& path, int ordinal) {
  constexpr const char* kOp = "openCuda";
  OpenDevices& open = open_devices();
  const std::lock_guard lock(open.mutex);
  const std::string name = "cuda:" + std::to_string(ordinal);
  if (!open.path.empty() && open.path != path) {
    throw Error(ErrorCode::device_unavailable, kOp,
                "the process uses " + open.path + " and cannot use " + path + " as well");
  }
  if (Device* device = find(open, name); device != nullptr) return *device;
  const BackendLibrary library(path);
  const BackendProbe probe = library.probe();
  if (probe.score <= 0) throw Error(ErrorCode::device_unavailable, kOp, probe.reason);
  if (ordinal < 0 || ordinal >= probe.devices) {
    throw Error(ErrorCode::device_unavailable, kOp,
                "expected a device from 0 to " + std::to_string(probe.devices - 1) + ", got " +
                    std::to_string(ordinal));
  }
  auto* device = new Device(name, library.create(ordinal, cpu::cpu_device().backend()),
                            probe.memory / kCachedShare);
  open.path = path;
  open.cuda.push_back(device);
  return *device;
}

}  // namespace espalier::node
