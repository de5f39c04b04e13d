#include <algorithm>
#include <string>

#include "cuda/on_host.h"

namespace espalier::cuda {
namespace {

size_t bytes_of(const View& view) {
  return static_cast<size_t>(view.shape.elements()) * size_of(view.dtype);
}

}  // namespace

HostCopies::~HostCopies() {
  for (const auto& copies : {inputs_, outputs_}) {
    for (const Copy& copy : copies) {
      backend_.host().deallocate(copy.host.data, bytes_of(copy.host));
    }
  }
}

Status HostCopies::take(Copy& copy) {
  copy.host = copy.device;
  copy.host.data = backend_.host().allocate(std::max<size_t>(1, bytes_of(copy.device)));
  if (copy.host.data != nullptr) return {};
  return {ErrorCode::out_of_memory, "the host has no memory left for a copy of " +
                                        std::to_string(bytes_of(copy.device)) +
                                        " bytes from the GPU"};
}

Status HostCopies::read(ConstView& input) {
  if (!input.given()) return {};
  Copy copy{.device = {const_cast<void*>(input.data), input.dtype, input.shape}, .host = {}};
  if (Status status = take(copy); !status.ok()) return status;
  inputs_.push_back(copy);
  if (Status status = backend_.copy_to_host(copy.host.data, input); !status.ok()) return status;
  input.data = copy.host.data;
  return {};
}

Status HostCopies::write(View& output) {
  if (output.data == nullptr) return {};
  Copy copy{.device = output, .host = {}};
  if (Status status = take(copy); !status.ok()) return status;
  outputs_.push_back(copy);
  output.data = copy.host.data;
  return {};
}

Status HostCopies::finish() {
  for (const Copy& copy : outputs_) {
    if (Status status = backend_.copy_from_host(copy.device, copy.host.data); !status.ok()) {
      return status;
    }
  }
  return {};
}

}  // namespace espalier::cuda
