// Ops that the CPU backend computes for this one.
#pragma once

#include <initializer_list>
#include <vector>

#include "cuda/cuda_backend.h"

namespace espalier::cuda {

/// Host copies of an op's tensors. A copy of an input that the device holds costs its size in host
/// memory and one transfer each way; everything is given back when this goes out of scope.
class HostCopies {
 public:
  /// No copies yet.
  explicit HostCopies(CudaBackend& backend) : backend_(backend) {}
  HostCopies(const HostCopies&) = delete;
  HostCopies& operator=(const HostCopies&) = delete;
  ~HostCopies();

  /// Replaces an input that was given by its copy on the host. Waits for the device.
  Status read(ConstView& input);
  /// Replaces an output that is wanted by uninitialised host memory.
  Status write(View& output);
  /// Copies the outputs to the device.
  Status finish();

 private:
  struct Copy {
    View device;
    View host;
  };

  Status take(Copy& copy);

  CudaBackend& backend_;
  std::vector<Copy> inputs_;
  std::vector<Copy> outputs_;
};

/// Lets the CPU backend's `method` compute an op: `inputs` are copied to the host, `outputs` back.
/// OUT_OF_MEMORY without host memory for the copies. What is copied belongs to nobody else, so a
/// matrix that the op would copy once more is always lent.
template <class Arguments>
Status on_host(CudaBackend& backend, Arguments arguments,
               Status (Backend::*method)(const Arguments&),
               std::initializer_list<ConstView Arguments::*> inputs,
               std::initializer_list<View Arguments::*> outputs) {
  HostCopies copies(backend);
  for (const auto input : inputs) {
    if (Status status = copies.read(arguments.*input); !status.ok()) return status;
  }
  for (const auto output : outputs) {
    if (Status status = copies.write(arguments.*output); !status.ok()) return status;
  }
  if constexpr (requires { arguments.lent; }) arguments.lent = true;
  if (Status status = (backend.host().*method)(arguments); !status.ok()) return status;
  return copies.finish();
}

}  // namespace espalier::cuda
