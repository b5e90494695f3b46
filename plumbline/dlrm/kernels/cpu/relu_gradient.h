// The gradient of ReLU, and that of the bias before it, in one pass over the gradient.
//
// Contract (in full: plumbline/dlrm/ops/relu_gradient/contract.py): pointers are to contiguous
// memory that the caller has checked. Any number of rows and columns, also none. Sums are float32:
// in row order within kRowsAtATime rows, then over these parts in order. So the result has the same
// bits for any number of threads and in every instruction set.
#pragma once

#include "relu_gradient_loops.h"

namespace plumbline {

// Writes the kept gradient and `bias_gradient`, one number per column.
void relu_gradient(InstructionSet set, Dtype dtype, const ReluGradient &work, float *bias_gradient,
                   int threads);

}  // namespace plumbline
