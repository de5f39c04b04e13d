#include "binding/ops/region.h"

#include <utility>

namespace espalier::ops {

void begin_region(Device& device, std::string key) {
  device.stream().submit(
      {.op = "beginRegion",
       .reads = {},
       .writes = {},
       .run = [key = std::move(key)](Backend& backend) { return backend.begin_region(key); },
       .done = {}});
}

void end_region(Device& device) {
  device.stream().submit({.op = "endRegion",
                          .reads = {},
                          .writes = {},
                          .run = [](Backend& backend) { return backend.end_region(); },
                          .done = {}});
}

}  // namespace espalier::ops
