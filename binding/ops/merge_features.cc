#include "binding/ops/merge_features.h"

#include "binding/ops/check.h"

namespace espalier::ops {
namespace {

Shape with_rows(const Shape& shape, int64_t rows) {
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims[0] = rows;
  return Shape(std::span<const int64_t>(dims));
}

void expect_weight_target(const char* op, DType dtype) {
  if (dtype == DType::f32 || dtype == DType::bf16 || dtype == DType::f16) return;
  throw Error(ErrorCode::dtype, op,
              "dtype: expected f32, bf16 or f16, got " + std::string(name_of(dtype)));
}

void expect_permutation(const char* op, const OptionalTensor& permutation, int64_t rows) {
  if (!permutation) return;
  expect_dtype(op, "permutation", *permutation, {DType::i32});
  expect_shape(op, "permutation", *permutation, Shape{rows});
}

void expect_factors(const char* op, const char* name, size_t got, size_t segments) {
  if (got == 0 || got == segments) return;
  value_error(op, name, std::to_string(segments) + " numbers", std::to_string(got));
}

float factor_of(const std::vector<double>& factors, size_t i) {
  return factors.empty() ? 1.0F : static_cast<float>(factors[i]);
}

}  // namespace

Tensor merge_features(const std::vector<Tensor>& sources, const std::vector<double>& scales,
                      const OptionalTensor& permutation, DType dtype) {
  constexpr const char* kOp = "mergeFeatures";
  if (sources.empty()) value_error(kOp, "sources", "at least one", "none");
  expect_weight_target(kOp, dtype);
  expect_factors(kOp, "scales", scales.size(), sources.size());
  int64_t rows = 0;
  std::vector<OptionalTensor> reads;
  for (const Tensor& source : sources) {
    expect_weight_dtype(kOp, "sources", source);
    expect_rank_at_least(kOp, "sources", source, 1);
    const Shape wanted = with_rows(sources[0].shape(), source.shape()[0]);
    expect_shape(kOp, "sources", source, wanted);
    rows += source.shape()[0];
    reads.emplace_back(source);
  }
  expect_permutation(kOp, permutation, rows);
  reads.push_back(permutation);
  const Tensor output(sources[0].device(), with_rows(sources[0].shape(), rows), dtype);
  const std::vector<OptionalTensor> writes{output};
  submit(kOp, reads, writes, [=](Backend& backend) {
    MergeFeaturesArguments arguments{
        .sources = {}, .permutation = view_of(permutation), .output = output.view()};
    for (size_t i = 0; i < sources.size(); ++i) {
      arguments.sources.push_back({sources[i].const_view(), factor_of(scales, i)});
    }
    return backend.merge_features(arguments);
  });
  return output;
}

std::vector<Tensor> dispatch_gradient(const Tensor& gradient, const std::vector<int64_t>& sizes,
                                      const std::vector<double>& factors,
                                      const OptionalTensor& permutation, DType dtype) {
  constexpr const char* kOp = "dispatchGradient";
  expect_weight_dtype(kOp, "gradient", gradient);
  expect_rank_at_least(kOp, "gradient", gradient, 1);
  expect_weight_target(kOp, dtype);
  expect_factors(kOp, "factors", factors.size(), sizes.size());
  int64_t rows = 0;
  std::vector<Tensor> targets;
  std::vector<OptionalTensor> writes;
  for (const int64_t size : sizes) {
    if (size < 0 || size > gradient.shape()[0]) {
      value_error(kOp, "sizes", "numbers of rows that add up to the gradient's",
                  std::to_string(size));
    }
    rows += size;
    targets.emplace_back(gradient.device(), with_rows(gradient.shape(), size), dtype);
    writes.emplace_back(targets.back());
  }
  if (rows != gradient.shape()[0]) {
    shape_error(kOp, "gradient", "[" + std::to_string(rows) + ", ...], the sum of sizes", gradient);
  }
  expect_permutation(kOp, permutation, rows);
  const std::vector<OptionalTensor> reads{gradient, permutation};
  submit(kOp, reads, writes, [=](Backend& backend) {
    DispatchGradientArguments arguments{
        .gradient = gradient.const_view(), .permutation = view_of(permutation), .targets = {}};
    for (size_t i = 0; i < targets.size(); ++i) {
      arguments.targets.push_back({targets[i].view(), factor_of(factors, i)});
    }
    return backend.dispatch_gradient(arguments);
  });
  return targets;
}

}  // namespace espalier::ops
