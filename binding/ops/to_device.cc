#include "binding/ops/to_device.h"

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "binding/core/device.h"

namespace espalier::ops {
namespace {

// What one stream hands to the other.
struct Transfer {
  std::mutex mutex;
  std::condition_variable arrived;
  bool ready = false;
  Status status;
  std::vector<std::byte> bytes;
};

}  // namespace

Tensor to_device(const Tensor& x, Device& device) {
  constexpr const char* kOp = "toDevice";
  if (&x.device() == &device) return x;
  const Tensor output(device, x.shape(), x.dtype());
  if (x.buffer()->read_only()) {
    // A mapped file: nobody writes it, so the target reads it where it lies, beside other work.
    device.stream().submit({.op = kOp,
                            .reads = {},
                            .writes = {output},
                            .run =
                                [x, output](Backend& backend) {
                                  std::unique_ptr<Mark> arrival;
                                  Status status = backend.upload(output.view(), x.const_view().data,
                                                                 x.buffer(), arrival);
                                  output.buffer()->expect(std::move(arrival));
                                  return status;
                                },
                            .done = {}});
    return output;
  }
  // The source's part is queued first: were it the other way round, two threads copying in opposite
  // directions could each wait for a part that is queued behind the other's wait.
  const auto transfer = std::make_shared<Transfer>();
  x.device().stream().submit({.op = kOp,
                              .reads = {x},
                              .writes = {},
                              .run =
                                  [x, transfer](Backend& backend) {
                                    transfer->bytes.resize(x.bytes());
                                    return backend.copy_to_host(transfer->bytes.data(),
                                                                x.const_view());
                                  },
                              .done =
                                  [transfer](const Status& status) {
                                    const std::lock_guard lock(transfer->mutex);
                                    transfer->status = status;
                                    transfer->ready = true;
                                    transfer->arrived.notify_one();
                                  }});
  device.stream().submit({.op = kOp,
                          .reads = {},
                          .writes = {output},
                          .run =
                              [output, transfer](Backend& backend) {
                                std::unique_lock lock(transfer->mutex);
                                transfer->arrived.wait(lock, [&] { return transfer->ready; });
                                if (!transfer->status.ok()) return transfer->status;
                                return backend.copy_from_host(output.view(),
                                                              transfer->bytes.data());
                              },
                          .done = {}});
  return output;
}

}  // namespace espalier::ops
