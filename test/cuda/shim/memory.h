// Memory of the emulated GPU.
#pragma once

namespace espalier::shim {

/// Ends the process with a message when somebody wrote beside a block.
void check_all_guards();
/// Whether an address lies in memory of cudaMallocHost.
bool is_pinned(const void* address);

}  // namespace espalier::shim
