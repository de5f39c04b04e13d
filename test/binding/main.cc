#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

// Tests ask for more memory than there is; under AddressSanitizer too that must give null. The
// sanitizer's library looks the function up, so it must be visible.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options() {
  return "allocator_may_return_null=1";
}
