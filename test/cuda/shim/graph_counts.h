// What tests learn of the emulated GPU's graphs, and what they can do to them.
#pragma once

#include <cstdint>

namespace espalier::shim {

/// Counts since the process began.
struct GraphCounts {
  uint64_t made = 0;      ///< graphs instantiated
  uint64_t alive = 0;     ///< of those, not destroyed
  uint64_t updated = 0;   ///< times that one got new arguments
  uint64_t launched = 0;  ///< times that one was launched
  bool refuse = false;    ///< set by a test: no graph can be made, as without memory
};

}  // namespace espalier::shim

/// The counts of the library that this is looked up in.
extern "C" __attribute__((visibility("default"))) espalier::shim::GraphCounts*
espalier_shim_graph_counts();
