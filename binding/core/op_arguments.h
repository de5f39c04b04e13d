// Plain argument structs of the ops, one per Backend method. "weight dtype" means f32, bf16 or f16;
// products accumulate in f32 and factorisations run in f64.
#pragma once

#include <cstdint>

#include "binding/core/tensor.h"

namespace espalier {

/// How the factors of a product are multiplied; sums are f32 either way.
enum class Products : uint8_t {
  f32,   ///< 16-bit weights widened exactly
  bf16,  ///< both factors rounded to bf16 where the processor multiplies it faster; otherwise f32
};

/// output[i] = table[ids[i]]; an id outside [0, V) is a SHAPE failure.
struct EmbeddingArguments {
  ConstView ids;    ///< i32 or i64 [...]
  ConstView table;  ///< weight dtype [V, D]
  View output;      ///< f32 [..., D]
};

/// output = x weightᵀ + bias.
struct LinearArguments {
  ConstView x;       ///< f32 [..., K]
  ConstView weight;  ///< weight dtype [N, K]
  ConstView bias;    ///< weight dtype [N], or not given
  View output;       ///< f32 [..., N]
  Products products = Products::f32;
};

/// output = gradient weight, the gradient of a dense layer's input.
struct LinearInputGradientArguments {
  ConstView gradient;  ///< f32 [..., N]
  ConstView weight;    ///< weight dtype [N, K]
  View output;         ///< f32 [..., K]
  Products products = Products::f32;
};

/// output = gradientᵀ x, the gradient of a dense layer's weight.
struct LinearWeightGradientArguments {
  ConstView gradient;  ///< f32 [..., N]
  ConstView x;         ///< f32 [..., K]
  View output;         ///< f32 [N, K]
  Products products = Products::f32;
};

/// output = x (weight ∘ mask)ᵀ + bias on the kept rows; 0 on the others.
struct MaskedMatmulArguments {
  ConstView x;        ///< f32 [..., K], or [..., |columns|] when already gathered
  ConstView weight;   ///< weight dtype [N, K]
  ConstView bias;     ///< weight dtype [N], or not given
  ConstView rows;     ///< i32, strictly increasing kept rows of weight, or not given: all
  ConstView columns;  ///< i32, strictly increasing kept columns of weight, or not given: all
  ConstView mask;     ///< u8 [N, K] of 0 and 1, or not given: all ones
  View output;        ///< f32 [..., N], or [..., |rows|] when compact
  bool compact = false;
};

/// sum = x + residual; output = sum / sqrt(mean(sum²) + epsilon) ∘ weight, over the last dimension.
struct RmsNormArguments {
  ConstView x;         ///< f32 [..., D]
  ConstView weight;    ///< weight dtype [D]
  ConstView residual;  ///< f32 like x, or not given: zero
  View output;         ///< f32 like x
  View sum;            ///< f32 like x; null data without residual
  float epsilon = 1e-6F;
};

/// Rotary position embedding, half-rotation layout: with h = D/2 and angle a = (offset + t) f_i,
/// (x_i, x_{i+h}) -> scale (x_i cos a - x_{i+h} sin a, x_{i+h} cos a + x_i sin a).
struct RopeArguments {
  ConstView x;                    ///< f32 [B, T, H, D]
  ConstView inverse_frequencies;  ///< f32 [D/2]
  View output;                    ///< f32 like x
  int64_t offset = 0;             ///< position of t = 0
  float scale = 1.0F;             ///< factor on cos and sin
  bool inverse = false;           ///< rotate by -a: the gradient of the rotation
};

/// Softmax attention of each query over its visible keys. With causal, query i sees keys
/// j <= i + S - T; with window w > 0 only keys j > i + S - T - w. Query head h reads key head
/// h / (H / Hkv). With bf16 products a backend may round q, k, v and the probabilities to bf16
/// where they are multiplied; the softmax is f32.
struct AttentionArguments {
  ConstView q;         ///< f32 [B, T, H, D]
  ConstView k;         ///< f32 [B, S, Hkv, D]
  ConstView v;         ///< f32 [B, S, Hkv, D]
  ConstView key_mask;  ///< u8 [B, S], 0: a key that no query sees; or not given: all are seen
  View output;         ///< f32 [B, T, H, D]; zeros where a query sees no key
  View log_sum_exp;    ///< f32 [B, T, H], log2 Σ e^score, -infinity where no key is seen; or null
  float scale = 1.0F;
  bool causal = true;
  int64_t window = 0;  ///< 0: unlimited
  Products products = Products::f32;
};

/// output = gate / (1 + exp(-gate)) ∘ up.
struct SwigluArguments {
  ConstView gate;  ///< f32
  ConstView up;    ///< f32 like gate
  View output;     ///< f32 like gate
};

/// output[n] = logsumexp(hidden[n] weightᵀ + bias) - (hidden[n] weightᵀ + bias)[targets[n]];
/// 0 where targets[n] == ignore_index; any other target outside [0, V) is a SHAPE failure.
struct CrossEntropyArguments {
  ConstView hidden;   ///< f32 [N, D]
  ConstView weight;   ///< weight dtype [V, D]
  ConstView bias;     ///< weight dtype [V], or not given
  ConstView targets;  ///< i32 or i64 [N]
  View output;        ///< f32 [N]
  int64_t chunk = 0;  ///< rows of logits held at once; 0: the backend chooses (at most 64 MiB)
  int64_t ignore_index = -100;
  Products products = Products::f32;
};

/// output (+)= yᵀ x, with y = x when not given (then exactly symmetric).
struct GramArguments {
  ConstView x;              ///< f32 or weight dtype [N, D]
  ConstView y;              ///< like x with [N, E], or not given
  View output;              ///< f64 [E, D]; in and out when accumulate
  bool accumulate = false;  ///< add to what is there
};

/// Row 0: mean, row 1: sum of squared deviations from it, per column; merged with an earlier
/// result over `count` rows by Chan's rule when count > 0.
struct ColumnMomentsArguments {
  ConstView x;        ///< f32 [N, D]
  View output;        ///< f64 [2, D]; in and out when count > 0
  int64_t count = 0;  ///< rows already merged
};

/// output[n] = x[n]·y[n] / (|x[n]| |y[n]|); 0 when either has no length.
struct CosineArguments {
  ConstView x;  ///< f32 [N, D]
  ConstView y;  ///< f32 [N, D]
  View output;  ///< f32 [N]
};

/// output = x taken at `indices` along the first dimension, the last, or both of a square matrix;
/// out of range: SHAPE.
struct GatherArguments {
  ConstView x;        ///< any dtype, rank >= 1
  ConstView indices;  ///< i32 [M]
  View output;        ///< like x with that dimension M, or [M, M]
  bool columns = false;
  bool both = false;
  /// With `both`: nobody needs x any more, its memory may go while it is read.
  bool consume = false;
};

/// output[r, c] = x[r, c] * factors[columns ? c : r]; rows are those of the flattened matrix.
struct ScaleArguments {
  ConstView x;        ///< f32, f64 or weight dtype
  ConstView factors;  ///< f32 or f64, one per row or column
  View output;        ///< like x
  bool columns = false;
};

/// Conversion between any two of f32, bf16, f16, f64, i32, i64, u8: to nearest even into floats,
/// towards zero with saturation into integers (NaN gives 0).
struct CastArguments {
  ConstView x;  ///< any dtype
  View output;  ///< any dtype, same shape
};

/// Which elementwise binary operation.
enum class ElementwiseKind : uint8_t { add, subtract, multiply };

/// output = x (kind) y; output may be x or y itself.
struct ElementwiseArguments {
  ConstView x;  ///< f32 or f64
  ConstView y;  ///< like x
  View output;  ///< like x
  ElementwiseKind kind = ElementwiseKind::add;
};

/// output = Σ (x - y)², y = 0 when not given, accumulated in f64.
struct SquaredErrorArguments {
  ConstView x;  ///< f32 or f64
  ConstView y;  ///< like x, or not given
  View output;  ///< f64 []
};

/// Sums over the first dimension (columns = false: one value per column) or over the last one.
struct SumArguments {
  ConstView x;  ///< f32 or f64, seen as a matrix
  View output;  ///< f64 [C] or [R]
  bool columns = false;
};

/// output = xᵀ.
struct TransposeArguments {
  ConstView x;  ///< any dtype [R, C]
  View output;  ///< same dtype [C, R]
};

/// Symmetric eigen-decomposition a = V diag(values) Vᵀ, values ascending; reads the lower triangle.
struct EighArguments {
  ConstView a;   ///< f32 or f64 [n, n]
  View values;   ///< f64 [n]
  View vectors;  ///< f64 [n, n], eigenvectors as columns; null data: not wanted
};

/// Thin singular value decomposition a = U diag(s) Vᵀ, s descending, k = min(m, n).
struct SvdArguments {
  ConstView a;  ///< f32 or f64 [m, n]
  View u;       ///< f64 [m, k]; null data: not wanted
  View s;       ///< f64 [k]
  View vt;      ///< f64 [k, n]; null data: not wanted
};

/// output = (h + λI)⁻¹ b; NUMERIC when h + λI is not positive definite.
struct CholeskySolveArguments {
  ConstView h;  ///< f32 or f64 [n, n], lower triangle read
  ConstView b;  ///< f32 or f64 [n] or [n, m]
  View output;  ///< f64 like b
  double damping = 0.0;
  bool relative = true;  ///< λ = damping · mean(diag h); otherwise λ = damping
  bool lent = false;     ///< h may be overwritten meanwhile; afterwards it must be as it was
};

/// output minimises ‖a output - b‖, of least norm when a is rank deficient.
struct LeastSquaresArguments {
  ConstView a;  ///< f32 or f64 [m, n]
  ConstView b;  ///< f32 or f64 [m] or [m, k]
  View output;  ///< f64 [n] or [n, k]
};

/// output = weight + (c - weight g)(g + λI)⁻¹, λ = damping · mean(diag g): least squares for a
/// consumer's weights, damped towards the current ones (methods: COMP, `lstsq`).
struct RidgeUpdateArguments {
  ConstView weight;  ///< weight dtype [out, in]
  ConstView g;       ///< f64 [in, in], Xᵀ X
  ConstView c;       ///< f64 [out, in], Yᵀ X
  View output;       ///< f32 [out, in]
  double damping = 0.01;
  bool lent = false;  ///< g may be overwritten meanwhile; afterwards it must be as it was
};

/// How a condition number is found.
enum class ConditionMethod : uint8_t { svd, lanczos, none };

/// output = σ_max / σ_min of a; infinity when σ_min is 0.
struct ConditionNumberArguments {
  ConstView a;  ///< f32 or f64 [m, n]
  View output;  ///< f64 []
  ConditionMethod method = ConditionMethod::svd;
};

/// For every column j of the symmetric positive semi-definite h: residual[j] = 1/[(h+λI)⁻¹]_jj and
/// condition[j] = cond of h + λI without row and column j, all from one factorisation.
struct LeaveOneOutArguments {
  ConstView h;                                    ///< f32 or f64 [n, n]
  View residual;                                  ///< f64 [n]
  View condition;                                 ///< f64 [n]; null data with method none
  double damping = 0.0;                           ///< λ = damping · mean(diag h)
  ConditionMethod method = ConditionMethod::svd;  ///< svd: exact, by the secular equation
  bool lent = false;  ///< h may be overwritten meanwhile; afterwards it must be as it was
};

/// output[i] = tr(W_g ([(g + λI)⁻¹]_gg)⁻¹ W_gᵀ) for the i-th group of consecutive columns: the
/// error left when the group goes and the whole consumer is solved anew.
struct LeaveGroupOutArguments {
  ConstView g;       ///< f64 [n, n], Xᵀ X
  ConstView weight;  ///< weight dtype [out, n]
  View output;       ///< f64 [n / group_size]
  int64_t group_size = 1;
  double damping = 0.01;  ///< λ = damping · mean(diag g)
  bool lent = false;      ///< g may be overwritten meanwhile; afterwards it must be as it was
};

}  // namespace espalier
