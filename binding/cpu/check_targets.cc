#include <string>

#include "binding/cpu/indices.h"
#include "binding/cpu/softmax_row.h"

namespace espalier::cpu {

Status check_targets(const char* name, const ConstView& targets, int64_t classes, int64_t ignored,
                     int64_t* counted) {
  *counted = 0;
  return with_index_type(targets, [&](const auto* values) -> Status {
    for (int64_t i = 0; i < targets.shape.elements(); ++i) {
      const auto target = static_cast<int64_t>(values[i]);
      if (target == ignored) continue;
      if (target < 0 || target >= classes) {
        return {ErrorCode::shape, std::string(name) + ": expected classes in [0, " +
                                      std::to_string(classes) + ") or " + std::to_string(ignored) +
                                      ", got " + std::to_string(target) + " at " +
                                      std::to_string(i)};
      }
      ++*counted;
    }
    return {};
  });
}

}  // namespace espalier::cpu
