// Timing of a stream's work by its device's own clock.
#pragma once

#include <memory>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// A point in the stream of a device, and what the backend put there.
struct StreamMark {
  Tensor status;                                ///< u8 [0]; fails when the mark could not be made
  std::shared_ptr<std::unique_ptr<Mark>> mark;  ///< filled by the stream
};

/// Puts a mark behind everything queued on `device` so far.
StreamMark mark(Device& device);

/// Seconds that the device took from one mark to the other: f64 []. Work queued between the two is
/// what is timed; the clock stands where the device stands, so queueing ahead costs nothing.
/// Throws DEVICE_MISMATCH for marks of two devices.
Tensor elapsed(const StreamMark& from, const StreamMark& to);

}  // namespace espalier::ops
