#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "test/binding/nvidia_libraries.h"

namespace espalier::test {
namespace {

namespace fs = std::filesystem;

const fs::path kStandIns = fs::path(ESPALIER_FAKE_CUBLASLT).parent_path();

std::string description() { return BackendLibrary(ESPALIER_CUDA_SHIM_LIBRARY).description(); }

// A folder of files that goes when this does.
class Folder {
 public:
  Folder() { fs::create_directories(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_ = fs::temp_directory_path() / ("espalier-libraries-" + std::to_string(getpid()));
};

TEST_CASE("the backend says which libraries multiply and factorise, and from where") {
  const SearchPath path("/nonexistent:" + kStandIns.string());
  CHECK(description() == "products by cuBLASLt 13.0.2 from " ESPALIER_FAKE_CUBLASLT
                         "\nfactorisations by cuSOLVER 12.0.4 from " ESPALIER_FAKE_CUSOLVER);
}

TEST_CASE("without NVIDIA's libraries the backend says where they were looked for") {
  {
    const SearchPath path("/nonexistent");
    CHECK(description() ==
          "products by own kernels: libcublasLt.so.13 is not in /nonexistent\n"
          "factorisations on the host by LAPACK: libcusolver.so.12 is not in /nonexistent");
  }
  const SearchPath path("none");
  CHECK(description() ==
        "products by own kernels: libcublasLt.so.13 is not in ESPALIER_CUDA_LIBRARY_PATH, which "
        "names no place\n"
        "factorisations on the host by LAPACK: libcusolver.so.12 is not in "
        "ESPALIER_CUDA_LIBRARY_PATH, which names no place");
}

TEST_CASE("libraries that cannot be opened are named") {
  const Folder folder;
  for (const char* name : {"libcublasLt.so.13", "libcusolver.so.12"}) {
    std::ofstream(folder.path() / name) << "not a library";
    const SearchPath path("/nonexistent:" + folder.path().string());
    CHECK(description().find("cannot open " + (folder.path() / name).string()) !=
          std::string::npos);
  }
}

TEST_CASE("a library without a function that is called is named and not used") {
  const Folder folder;
  fs::copy_file(ESPALIER_FAKE_CUBLASLT, folder.path() / "libcusolver.so.12");
  const SearchPath path(folder.path());
  CHECK(description().find("factorisations on the host by LAPACK: " +
                           (folder.path() / "libcusolver.so.12").string() +
                           " has no function cusolverDnCreate") != std::string::npos);
  const auto values = download<double>(
      ops::eigh(upload(new_emulated_device(), std::vector<float>{2, 1, 1, 2}, {2, 2})).values);
  CHECK(values[0] == doctest::Approx(1));
  CHECK(values[1] == doctest::Approx(3));
}

}  // namespace
}  // namespace espalier::test
