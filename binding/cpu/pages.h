// Whole pages of memory that the system may have back.
#pragma once

#include <cstddef>

namespace espalier::cpu {

/// Gives the pages that lie wholly within a block back to the system, some at a time: while it
/// takes pages back, no thread of the process can map memory, not even the garbage collector's. The
/// block stays allocated; memory that is no file reads as zeros from then on.
void discard_pages(void* data, size_t bytes);

}  // namespace espalier::cpu
