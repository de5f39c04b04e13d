// Finding NVIDIA's shared libraries at run time, so that nothing but the driver has to be
// installed.
#pragma once

#include <dlfcn.h>

#include <string>

namespace espalier::cuda {

/// A library that was looked for.
struct OpenedLibrary {
  void* handle = nullptr;  ///< for dlsym, never closed; null: not found
  std::string path;        ///< what was opened
  std::string reason;      ///< where it was looked for and why that failed; empty when found
};

/// Opens the shared library `name` ("libcublasLt.so.13") from the first of these that has it: the
/// directories of ESPALIER_CUDA_LIBRARY_PATH (between colons), the loader's own places, CUDA_HOME's
/// and CUDA_PATH's lib64, and nvidia/cu13/lib in the Python environment of VIRTUAL_ENV or
/// CONDA_PREFIX; nothing where the first says "none". On an emulated GPU the first of them alone:
/// real libraries want a real one.
OpenedLibrary open_library(const std::string& name);

/// Looks up a function of an opened library; `reason` then names the first that it lacks.
template <class Function>
void bind(OpenedLibrary& library, Function*& function, const char* name) {
  function = reinterpret_cast<Function*>(dlsym(library.handle, name));
  if (function == nullptr && library.reason.empty()) {
    library.reason = library.path + " has no function " + name;
  }
}

}  // namespace espalier::cuda
