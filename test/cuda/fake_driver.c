// Stands in for NVIDIA's libcuda.so.1: what cuda/probe.cu asks of it, answered from the
// environment. ESPALIER_FAKE_VERSION, _INIT, _DEVICES, _CAPABILITY and _DESCRIBE hold what
// cuDriverGetVersion says, what cuInit returns, how many devices there are, 10 major + minor, and
// what the questions about the device return.
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int setting(const char* name, int otherwise) {
  const char* value = getenv(name);
  return value == NULL ? otherwise : atoi(value);
}

// Like the real one: without a visible device it says so instead of counting none.
int cuInit(unsigned flags) {
  const char* visible = getenv("CUDA_VISIBLE_DEVICES");
  (void)flags;
  if (visible != NULL && (*visible == '\0' || strcmp(visible, "-1") == 0)) return 100;
  return setting("ESPALIER_FAKE_INIT", 0);
}

int cuDriverGetVersion(int* version) {
  *version = setting("ESPALIER_FAKE_VERSION", 13000);
  return 0;
}

int cuDeviceGetCount(int* count) {
  *count = setting("ESPALIER_FAKE_DEVICES", 1);
  return 0;
}

int cuDeviceGet(int* device, int ordinal) {
  *device = ordinal;
  return setting("ESPALIER_FAKE_DESCRIBE", 0);
}

int cuDeviceGetName(char* name, int length, int device) {
  (void)device;
  snprintf(name, (size_t)length, "Fake GPU");
  return setting("ESPALIER_FAKE_DESCRIBE", 0);
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
  const int capability = setting("ESPALIER_FAKE_CAPABILITY", 89);
  (void)device;
  *value = attribute == 75 ? capability / 10 : attribute == 76 ? capability % 10 : -1;
  return setting("ESPALIER_FAKE_DESCRIBE", 0);
}

#ifndef WITHOUT_MEMORY
int cuDeviceTotalMem_v2(size_t* bytes, int device) {
  (void)device;
  *bytes = (size_t)24 << 30;
  return setting("ESPALIER_FAKE_DESCRIBE", 0);
}
#endif
