// The only include of napi.h: the policy macros come from CMakeLists.txt (NAPI_VERSION 9, C++
// exceptions), so that every file sees the same ones.
#pragma once

#include <napi.h>
