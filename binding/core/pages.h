// Large memory straight from the system, in whole pages.
#pragma once

#include <cstddef>

namespace espalier {

/// Maps at least `bytes` bytes of zeros at a multiple of `alignment`, a power of two; null when the
/// system has no more. Unlike malloc's, such a block goes back to the system when it is unmapped.
void* map_pages(size_t bytes, size_t alignment);

/// Gives a block of map_pages back, of `bytes` bytes as it was asked for.
void unmap_pages(void* data, size_t bytes);

/// Gives the pages that lie wholly within a block back to the system, some at a time: while it
/// takes pages back, no thread of the process can map memory, not even the garbage collector's. The
/// block stays allocated; memory that is no file reads as zeros from then on.
void discard_pages(void* data, size_t bytes);

}  // namespace espalier
