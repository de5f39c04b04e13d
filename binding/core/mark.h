// Points in the work of a device, between which time is measured.
#pragma once

namespace espalier {

/// A point in a device's work, put there by Backend::mark; what it holds is the backend's business.
class Mark {
 public:
  virtual ~Mark() = default;
};

}  // namespace espalier
