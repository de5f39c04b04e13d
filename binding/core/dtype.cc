#include "binding/core/dtype.h"

#include <array>
#include <utility>

namespace espalier {
namespace {

constexpr std::array<std::pair<std::string_view, DType>, 7> kNames{{
    {"f32", DType::f32},
    {"bf16", DType::bf16},
    {"f16", DType::f16},
    {"f64", DType::f64},
    {"i64", DType::i64},
    {"i32", DType::i32},
    {"u8", DType::u8},
}};

}  // namespace

std::string_view name_of(DType dtype) {
  for (const auto& [name, value] : kNames) {
    if (value == dtype) return name;
  }
  return "?";
}

std::optional<DType> parse_dtype(std::string_view name) {
  for (const auto& [known, value] : kNames) {
    if (known == name) return value;
  }
  return std::nullopt;
}

}  // namespace espalier
