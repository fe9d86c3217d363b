// What a checkpoint folder is to a plan: its tensors as they are stored, and what our program takes to run it.

#pragma once

#include "io/checkpoint.h"
#include "plan/resident.h"

namespace nemotron::cli {

Architecture architecture_of(const Checkpoint& c);
bool has_kv_scales(const Checkpoint& c);

// All but `program` and `threads`.
Resident resident_of(const Checkpoint& c);

}  // namespace nemotron::cli
