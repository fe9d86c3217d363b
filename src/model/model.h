// A loaded model: its config, its weights, and what keeps the weights' bytes alive.

#pragma once

#include <memory>

#include "model/config.h"
#include "model/weights.h"

namespace nemotron {

struct Model {
  Config config;
  Weights weights;
  std::shared_ptr<const void> storage;  // the mapped files that the matrices look into
};

}  // namespace nemotron
