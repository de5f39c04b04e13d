// How a file of node/ops/ puts its function on the addon.
#pragma once

#include <vector>

#include "binding/node/arguments.h"

namespace espalier::node {

/// A function of the addon: checked arguments in, JavaScript value out.
using NativeFunction = Napi::Value (*)(const Arguments& arguments);

/// Registers `function` under `name` when the library loads; keep one per file as a static object.
class Registration {
 public:
  /// Adds the entry; `name` must be a literal.
  Registration(const char* name, NativeFunction function) { entries().push_back({name, function}); }

  /// A name and its function.
  struct Entry {
    const char* name;
    NativeFunction function;
  };
  /// All registered functions.
  static std::vector<Entry>& entries();
};

}  // namespace espalier::node
