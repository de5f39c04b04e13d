// Two-point quadrature for the part of a spectrum that is only known by its moments.
#pragma once

#include <algorithm>

namespace espalier {

/// Moments of a positive weight over [0, 1].
struct Moments {
  double zeroth, first, second;
};

/// A rule with one node at an end of the interval and one that the moments decide.
struct RadauRule {
  double distance;    ///< the free node
  double weight;      ///< of the free node
  double end_weight;  ///< of the node at the end
};

/// The Gauss-Radau rule for the moments of a weight over [nearest, 1], with one node at `end`,
/// which is one of the two (Golub & Meurant).
constexpr RadauRule radau_rule(const Moments& moments, double end, double nearest) {
  const double zeroth = std::max(moments.zeroth, 0.0);
  const double q = std::max(moments.first - end * zeroth, end * zeroth - moments.first);
  const double p = moments.second - 2 * end * moments.first + end * end * zeroth;
  if (!(q > 0) || !(p > 0)) return {nearest, 0, zeroth};
  const double step = p / q;
  const double weight = std::min(zeroth, q * q / p);
  const double distance = std::clamp(end > nearest ? end - step : end + step, nearest, 1.0);
  return {distance, weight, zeroth - weight};
}

}  // namespace espalier
