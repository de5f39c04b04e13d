#include "binding/ops/tensor_list.h"

#include <string>

namespace espalier::ops {

std::vector<OptionalTensor> optional(const std::vector<Tensor>& tensors) {
  return {tensors.begin(), tensors.end()};
}

void expect_tensors(const char* op, const char* name, const std::vector<Tensor>& tensors) {
  if (tensors.empty()) value_error(op, name, "at least one tensor", "none");
  for (size_t i = 0; i < tensors.size(); ++i) {
    expect_dtype(op, std::string(name) + "[" + std::to_string(i) + "]", tensors[i], {DType::f32});
  }
}

void expect_like(const char* op, const char* name, const std::vector<Tensor>& tensors,
                 const std::vector<Tensor>& parameters) {
  if (tensors.size() != parameters.size()) {
    value_error(op, name, std::to_string(parameters.size()) + " tensors",
                std::to_string(tensors.size()));
  }
  expect_tensors(op, name, tensors);
  for (size_t i = 0; i < tensors.size(); ++i) {
    expect_shape(op, std::string(name) + "[" + std::to_string(i) + "]", tensors[i],
                 parameters[i].shape());
  }
}

}  // namespace espalier::ops
