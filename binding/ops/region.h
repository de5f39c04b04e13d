// Stretches of work that come again.
#pragma once

#include <string>

#include "binding/ops/submit.h"

namespace espalier::ops {

/// What is queued on `device` until end_region is likely to come again under the same key, with the
/// same ops and shapes; see Backend::begin_region. Results do not depend on it.
void begin_region(Device& device, std::string key);

/// Ends what begin_region began.
void end_region(Device& device);

}  // namespace espalier::ops
