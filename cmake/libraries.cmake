# The native libraries: oneDNN 2.6 or newer (either major), OpenBLAS with OpenMP, Highway.
set(ESPALIER_DNNL_ROOT "" CACHE PATH "Folder with oneDNN's include/ and lib/, instead of the system's")

find_package(OpenMP REQUIRED COMPONENTS CXX)

find_path(DNNL_INCLUDE dnnl.h HINTS ${ESPALIER_DNNL_ROOT}/include)
find_library(DNNL_LIBRARY dnnl HINTS ${ESPALIER_DNNL_ROOT}/lib)
# The OpenMP build of OpenBLAS, so that its threads are ours.
find_library(OPENBLAS_LIBRARY openblas
  HINTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp NO_CMAKE_PATH)
find_path(HIGHWAY_INCLUDE hwy/highway.h)
find_library(HIGHWAY_LIBRARY hwy)
foreach(found DNNL_INCLUDE DNNL_LIBRARY OPENBLAS_LIBRARY HIGHWAY_INCLUDE HIGHWAY_LIBRARY)
  if(NOT ${found})
    list(APPEND ESPALIER_MISSING ${found})
  endif()
endforeach()
if(ESPALIER_MISSING)
  list(JOIN ESPALIER_MISSING ", " missing)
  message(FATAL_ERROR "espalier: missing native library: ${missing}. "
    "On Debian or Ubuntu: apt-get install libdnnl-dev libopenblas-openmp-dev libhwy-dev")
endif()
