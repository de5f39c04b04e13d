// What the CPU backend found on this machine.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace espalier::cpu {

/// For `espalier doctor`.
struct Capabilities {
  std::string simd;  ///< the instruction set that our kernels dispatch to, such as "AVX3"
  std::vector<std::pair<std::string, std::string>> libraries;  ///< name and version
};

/// Looks once more each time; cheap.
Capabilities capabilities();

}  // namespace espalier::cpu
