#include "binding/cpu/capabilities.h"

#include <omp.h>

#include <string>

#include "binding/cpu/lapack.h"
#include "dnnl.h"
#include "hwy/highway.h"
#include "hwy/targets.h"

namespace espalier::cpu {

Capabilities capabilities() {
  // The lowest bit among the supported targets is the best one.
  const int64_t supported = hwy::SupportedTargets() & HWY_TARGETS;
  const dnnl_version_t* dnnl = dnnl_version();
  return {.simd = hwy::TargetName(supported & -supported),
          .libraries = {{"oneDNN", std::to_string(dnnl->major) + "." + std::to_string(dnnl->minor) +
                                       "." + std::to_string(dnnl->patch)},
                        {"OpenBLAS", openblas_get_config()},
                        {"Highway", std::to_string(HWY_MAJOR) + "." + std::to_string(HWY_MINOR)},
                        {"OpenMP", std::to_string(_OPENMP)}}};
}

}  // namespace espalier::cpu
