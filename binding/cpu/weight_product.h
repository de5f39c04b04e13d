// Products of activations with weights in any weight dtype.
#pragma once

#include <cstdint>
#include <span>

#include "binding/core/op_arguments.h"
#include "binding/core/status.h"
#include "binding/core/tensor.h"
#include "binding/cpu/block_product.h"

namespace espalier::cpu {

/// Most bytes of weights that are held as f32 at once.
constexpr int64_t kPanelBytes = int64_t{16} << 20;

/// Products that read one x [rows, K], as weight_product() below.
Status multiply_weights(const float* x, int64_t rows, std::span<const WeightProduct> products,
                        Products kind);

/// y = x Wᵀ + bias for `rows` rows of x [rows, K] and y [rows, N]; weight [N, K] and bias [N] (or
/// not given) f32, bf16 or f16. Weights go through in the same blocks or panels for every dtype,
/// 16-bit ones widened into scratch, so the result has the bits of one with weights cast to f32
/// beforehand; with bf16 products, of one with weights rounded to bf16 beforehand. Fails with
/// OUT_OF_MEMORY.
Status weight_product(const float* x, int64_t rows, const ConstView& weight, const ConstView& bias,
                      float* y, Products products = Products::f32);

/// dx = dy W, or dx += dy W, for `rows` rows of dy [rows, N] and dx [rows, K]; weight [N, K] f32,
/// bf16 or f16, in panels of rows as above. Fails with OUT_OF_MEMORY.
Status input_gradient(const float* dy, int64_t rows, const ConstView& weight, float* dx,
                      bool accumulate, Products products = Products::f32);

/// dW = dyᵀ x for dy [rows, N], x [rows, K] and dW [N, K]. Fails with OUT_OF_MEMORY.
Status weight_gradient(const float* dy, const float* x, int64_t rows, int64_t n, int64_t k,
                       float* dw, Products products = Products::f32);

/// target[row, :] = bias for each of `rows` rows of `count` columns at stride `stride`, where
/// `bias` starts at element `start`; zeros when it is not given.
void fill_with_bias(const ConstView& bias, int64_t start, int64_t count, int64_t rows,
                    int64_t stride, float* target);

}  // namespace espalier::cpu
