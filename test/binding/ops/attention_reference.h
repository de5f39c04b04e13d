// Attention and its gradients written down in double precision, one query at a time.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <vector>

#include "binding/ops/attention.h"
#include "test/binding/devices.h"

namespace espalier::test {

/// The sizes of an attention problem, and what a query sees.
struct AttentionCase {
  int64_t batches, queries, keys, heads, key_heads, columns;
  bool causal = true;
  int64_t window = 0;
  /// [batches, keys] of 0 and 1, or empty.
  std::vector<uint8_t> key_mask = {};
  /// How factors are multiplied.
  Products products = Products::f32;

  /// The usual factor on the scores.
  [[nodiscard]] double scale() const {
    return 1 / std::sqrt(static_cast<double>(std::max<int64_t>(columns, 1)));
  }
  /// Shape of q.
  [[nodiscard]] Shape query_shape() const { return {batches, queries, heads, columns}; }
  /// Shape of k and v.
  [[nodiscard]] Shape key_shape() const { return {batches, keys, key_heads, columns}; }
  /// Whether query i of a batch sees key j.
  [[nodiscard]] bool sees(int64_t batch, int64_t i, int64_t j) const {
    const int64_t last = i + keys - queries;
    if (causal && j > last) return false;
    if (window > 0 && j <= last - window) return false;
    return key_mask.empty() || key_mask[static_cast<size_t>(batch * keys + j)] != 0;
  }
  /// Options of the op.
  [[nodiscard]] ops::AttentionOptions options(Device& device, double factor) const {
    ops::AttentionOptions result{.scale = factor, .causal = causal, .window = window};
    result.products = products;
    if (!key_mask.empty()) {
      result.key_mask = upload(device, key_mask, {batches, keys}, DType::u8);
    }
    return result;
  }
};

/// The sizes of a case, for messages.
inline std::string described(const AttentionCase& s) {
  std::ostringstream text;
  text << s.batches << " batches, " << s.queries << " queries, " << s.keys << " keys, " << s.heads
       << " heads on " << s.key_heads << ", " << s.columns << " columns, "
       << (s.causal ? "causal" : "all") << ", window " << s.window << ", "
       << (s.key_mask.empty() ? "no mask" : "mask");
  return text.str();
}

/// A case with its factors multiplied in f32, and in bf16.
inline std::array<AttentionCase, 2> in_both_precisions(const AttentionCase& s) {
  std::array<AttentionCase, 2> cases{s, s};
  cases[1].products = Products::bf16;
  return cases;
}

/// Normally distributed inputs of a case; bf16 numbers where its products are, so that every device
/// multiplies the same ones.
inline std::vector<float> attention_input(const AttentionCase& s, const Shape& shape, uint32_t seed,
                                          float spread = 1) {
  auto values = random_values(static_cast<size_t>(shape.elements()), seed, spread);
  return s.products == Products::bf16 ? rounded_to(values, DType::bf16) : values;
}

/// The normalised squared error that a result may have: `rounded` where a GPU multiplies in bf16,
/// whose eight binary digits of probabilities and their gradients leave some 2^-20; else `exact`.
inline double attention_tolerance(const Device& device, const AttentionCase& s, double exact,
                                  double rounded) {
  return s.products == Products::bf16 && device.name() != "cpu" ? rounded : exact;
}

/// q, k and v, and later their gradients.
struct AttentionValues {
  std::vector<double> q, k, v;
};

/// Calls body(offset of query and head, offsets of the keys it sees, their probabilities, log2 Σ
/// e^score).
template <class Body>
void for_each_query(const AttentionCase& s, const AttentionValues& in, double scale, Body&& body) {
  const int64_t group = s.key_heads == 0 ? 1 : s.heads / s.key_heads;
  for (int64_t b = 0; b < s.batches; ++b) {
    for (int64_t i = 0; i < s.queries; ++i) {
      for (int64_t h = 0; h < s.heads; ++h) {
        const auto at = static_cast<size_t>(((b * s.queries + i) * s.heads + h) * s.columns);
        std::vector<size_t> visible;
        std::vector<double> scores;
        double maximum = -std::numeric_limits<double>::infinity();
        for (int64_t j = 0; j < s.keys; ++j) {
          if (!s.sees(b, i, j)) continue;
          visible.push_back(
              static_cast<size_t>(((b * s.keys + j) * s.key_heads + h / group) * s.columns));
          double score = 0;
          for (size_t c = 0; c < static_cast<size_t>(s.columns); ++c) {
            score += in.q[at + c] * in.k[visible.back() + c] * scale;
          }
          scores.push_back(score);
          maximum = std::max(maximum, score);
        }
        double sum = 0;
        for (double& score : scores) sum += score = std::exp(score - maximum);
        for (double& score : scores) score /= sum;
        body(at, visible, scores, (maximum + std::log(sum)) / std::log(2.0));
      }
    }
  }
}

/// The output of attention.
inline std::vector<double> attention_reference(const AttentionCase& s, const AttentionValues& in,
                                               double scale) {
  std::vector<double> output(in.q.size());
  for_each_query(s, in, scale, [&](size_t at, const auto& visible, const auto& p, double) {
    for (size_t n = 0; n < visible.size(); ++n) {
      for (size_t c = 0; c < static_cast<size_t>(s.columns); ++c) {
        output[at + c] += p[n] * in.v[visible[n] + c];
      }
    }
  });
  return output;
}

/// The gradients of q, k and v from that of the output.
inline AttentionValues attention_gradients(const AttentionCase& s, const AttentionValues& in,
                                           const std::vector<float>& gradient, double scale) {
  AttentionValues d{std::vector<double>(in.q.size()), std::vector<double>(in.k.size()),
                    std::vector<double>(in.v.size())};
  const auto columns = static_cast<size_t>(s.columns);
  for_each_query(s, in, scale, [&](size_t at, const auto& visible, const auto& p, double) {
    std::vector<double> dp(visible.size());
    double mean = 0;
    for (size_t n = 0; n < visible.size(); ++n) {
      for (size_t c = 0; c < columns; ++c) {
        dp[n] += static_cast<double>(gradient[at + c]) * in.v[visible[n] + c];
        d.v[visible[n] + c] += p[n] * static_cast<double>(gradient[at + c]);
      }
      mean += p[n] * dp[n];
    }
    for (size_t n = 0; n < visible.size(); ++n) {
      const double slope = p[n] * (dp[n] - mean) * scale;
      for (size_t c = 0; c < columns; ++c) {
        d.q[at + c] += slope * in.k[visible[n] + c];
        d.k[visible[n] + c] += slope * in.q[at + c];
      }
    }
  });
  return d;
}

}  // namespace espalier::test
