// The C interface between the addon and a backend that is a library of its own (cuda/), opened at
// run time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "binding/core/status.h"

namespace espalier {

class Backend;

/// What a backend library finds out about this machine without touching the device.
struct BackendProbe {
  uint32_t abi = 0;                ///< hash of the headers that the library was compiled with
  int32_t score = 0;               ///< above 0: usable
  char reason[256] = "";           ///< why not, or what was found
  char device[128] = "";           ///< name of device 0
  int32_t devices = 0;             ///< how many there are
  int32_t driver = 0;              ///< version the driver supports, 1000 major + 10 minor
  int32_t runtime = 0;             ///< version the library was built with, likewise
  int32_t compute_capability = 0;  ///< 10 major + minor
  uint64_t memory = 0;             ///< bytes of device 0
};

/// What `espalier_backend_create` is given.
struct BackendRequest {
  uint32_t abi = 0;         ///< hash of the headers that the caller was compiled with
  int32_t ordinal = 0;      ///< which device
  Backend* host = nullptr;  ///< the CPU backend, for factorisations without a library on the device
  char message[256] = "";   ///< out: why nothing was made
};

/// Fills in a probe; never throws, makes no context. Exported as `espalier_backend_probe`.
using BackendProbeFunction = void (*)(BackendProbe*);
/// Makes a backend that lives until the process ends, or null with a message; refuses another ABI.
/// Exported as `espalier_backend_create`.
using BackendCreateFunction = Backend* (*)(BackendRequest*);

/// Writes, one a line and cut to `bytes`, which of the GPU vendor's libraries the backend uses and
/// why others are not used; opens them if need be, makes no context. Exported as
/// `espalier_backend_describe`.
using BackendDescribeFunction = void (*)(char* text, size_t bytes);

/// Hash of the headers in binding/core, which the two sides share: it differs when one of them was
/// compiled with other ones.
uint32_t backend_abi();

/// An opened backend library. It is never unloaded: its threads and the driver's stand in its code.
class BackendLibrary {
 public:
  /// Opens the library at `path`. Throws Error DEVICE_UNAVAILABLE when it cannot be opened or lacks
  /// one of the three functions.
  explicit BackendLibrary(const std::string& path);

  /// Asks the library about this machine. Throws Error DEVICE_UNAVAILABLE for another ABI.
  [[nodiscard]] BackendProbe probe() const;
  /// What the library says of the libraries that it looks for itself, one a line.
  [[nodiscard]] std::string description() const;
  /// Makes the backend of device `ordinal`; `host` must live as long. Throws Error
  /// DEVICE_UNAVAILABLE with the library's reason.
  [[nodiscard]] std::unique_ptr<Backend> create(int ordinal, Backend& host) const;

 private:
  std::string path_;
  BackendProbeFunction probe_ = nullptr;
  BackendCreateFunction create_ = nullptr;
  BackendDescribeFunction describe_ = nullptr;
};

}  // namespace espalier
