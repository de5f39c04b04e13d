#include "binding/ops/clip.h"

#include "binding/ops/check.h"
#include "binding/ops/tensor_list.h"

namespace espalier::ops {
namespace {

void scale_many(const char* op, const std::vector<Tensor>& tensors, const Tensor& scalar, bool clip,
                double max_norm) {
  expect_tensors(op, "tensors", tensors);
  std::vector<OptionalTensor> reads = optional(tensors);
  reads.emplace_back(scalar);
  submit(op, reads, optional(tensors), [=](Backend& backend) {
    ScaleManyArguments arguments{
        .tensors = {}, .scalar = scalar.const_view(), .clip = clip, .max_norm = max_norm};
    for (const Tensor& tensor : tensors) arguments.tensors.push_back(tensor.view());
    return backend.scale_many(arguments);
  });
}

}  // namespace

Tensor global_norm(const std::vector<Tensor>& tensors) {
  constexpr const char* kOp = "globalNorm";
  expect_tensors(kOp, "tensors", tensors);
  const Tensor output(tensors.front().device(), Shape{}, DType::f64);
  submit(kOp, optional(tensors), std::vector<OptionalTensor>{output}, [=](Backend& backend) {
    GlobalNormArguments arguments{.tensors = {}, .output = output.view()};
    for (const Tensor& tensor : tensors) arguments.tensors.push_back(tensor.const_view());
    return backend.global_norm(arguments);
  });
  return output;
}

void clip_gradients(const std::vector<Tensor>& tensors, const Tensor& norm, double max_norm) {
  constexpr const char* kOp = "clipGradients";
  expect_dtype(kOp, "norm", norm, {DType::f64});
  expect_shape(kOp, "norm", norm, Shape{});
  if (!(max_norm >= 0)) {
    value_error(kOp, "maxNorm", "a number >= 0", std::to_string(max_norm));
  }
  scale_many(kOp, tensors, norm, true, max_norm);
}

void scale_in_place(const std::vector<Tensor>& tensors, const Tensor& factor) {
  constexpr const char* kOp = "scaleInPlace";
  expect_dtype(kOp, "factor", factor, {DType::f32, DType::f64});
  if (factor.shape().elements() != 1) shape_error(kOp, "factor", "one element", factor);
  scale_many(kOp, tensors, factor, false, 0);
}

void accumulate(const Tensor& target, const Tensor& x) {
  constexpr const char* kOp = "accumulate";
  expect_dtype(kOp, "target", target, {DType::f32, DType::f64});
  expect_dtype(kOp, "x", x, {target.dtype()});
  expect_shape(kOp, "x", x, target.shape());
  submit(kOp, {target, x}, {target}, [=](Backend& backend) {
    return backend.elementwise({.x = target.const_view(),
                                .y = x.const_view(),
                                .output = target.view(),
                                .kind = ElementwiseKind::add});
  });
}

}  // namespace espalier::ops
