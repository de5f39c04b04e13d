#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <vector>

#include "cuda/open_library.h"

namespace espalier::cuda {
namespace {

namespace fs = std::filesystem;

#ifdef ESPALIER_CUDA_SHIM
constexpr bool kEmulated = true;
#else
constexpr bool kEmulated = false;
#endif

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// nvidia/cu13/lib under each lib/python3.* of an environment.
std::vector<std::string> python_directories(const std::string& environment) {
  std::vector<std::string> directories;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(environment + "/lib", error)) {
    if (entry.path().filename().string().starts_with("python3")) {
      directories.push_back((entry.path() / "site-packages/nvidia/cu13/lib").string());
    }
  }
  return directories;
}

// Where to look, in order; "" stands for the loader's own places.
std::vector<std::string> places() {
  std::vector<std::string> result;
  const std::string wanted = variable("ESPALIER_CUDA_LIBRARY_PATH");
  if (wanted == "none") return result;
  std::istringstream listed(wanted);
  for (std::string directory; std::getline(listed, directory, ':');) {
    if (!directory.empty()) result.push_back(directory);
  }
  if (kEmulated) return result;
  result.emplace_back();
  for (const char* home : {"CUDA_HOME", "CUDA_PATH"}) {
    if (const std::string value = variable(home); !value.empty())
      result.push_back(value + "/lib64");
  }
  for (const char* environment : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    if (const std::string value = variable(environment); !value.empty()) {
      for (std::string& directory : python_directories(value)) {
        result.push_back(std::move(directory));
      }
    }
  }
  return result;
}

}  // namespace

OpenedLibrary open_library(const std::string& name) {
  OpenedLibrary result;
  std::string looked;
  for (const std::string& place : places()) {
    const std::string path = place.empty() ? name : place + "/" + name;
    result.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (result.handle != nullptr) {
      result.path = path;
      result.reason.clear();
      return result;
    }
    const std::string why = dlerror();
    std::error_code error;
    // The loader names what it missed: the library itself, or another one that this one needs.
    const bool present = place.empty() ? !why.starts_with(name + ":") : fs::exists(path, error);
    // What is there and cannot be opened explains more than the places that have nothing.
    if (present && result.reason.empty()) result.reason = "cannot open " + path + ": " + why;
    looked += (looked.empty() ? "" : ", ") + (place.empty() ? "the loader's places" : place);
  }
  if (result.reason.empty()) {
    result.reason = name + " is not in " +
                    (looked.empty() ? "ESPALIER_CUDA_LIBRARY_PATH, which names no place" : looked);
  }
  return result;
}

}  // namespace espalier::cuda
