// What the CUDA kernels offer to their host: the same functions in nvcc's build and in the emulated
// one. Each returns nullptr, or what went wrong; the text lives until the thread's next call.
//
// Arrays are contiguous; an array that a function does without may be nullptr where it says so.
// Numbers are 0 for float32, 1 for bfloat16 and 2 for float16. Work is put onto `stream` of the
// current device, and has not ended when a function returns.
#pragma once

#include <cstdint>

#define PLUMBLINE_CUDA_API extern "C" __attribute__((visibility("default")))

// dense (B, D) or nullptr; embeddings (B, F, D); out (B, K). See plumbline/dlrm/ops/interaction/contract.py.
PLUMBLINE_CUDA_API const char *plumbline_interaction_forward(const void *dense,
                                                             const void *embeddings, void *out,
                                                             int64_t rows, int64_t features,
                                                             int64_t dim, int number, void *stream);

// gradient (B, K); the gradients have the shapes of dense and embeddings.
PLUMBLINE_CUDA_API const char *plumbline_interaction_backward(
    const void *gradient, const void *dense, const void *embeddings, void *dense_gradient,
    void *embedding_gradient, int64_t rows, int64_t features, int64_t dim, int number,
    void *stream);

// out[b, position[f]] = weight[first_row[f] + ids[b, f]] for ids (B, F), out (B, V, D). `outside` is
// one number, the least position b · F + f of an id outside [0, cardinality[f]) so far.
PLUMBLINE_CUDA_API const char *plumbline_embedding_gather(
    const void *weight, const int64_t *ids, const int64_t *first_row, const int64_t *cardinality,
    const int64_t *position, void *out, int64_t *outside, int64_t rows, int64_t columns,
    int64_t vectors, int64_t table_rows, int64_t dim, int weight_number, int out_number,
    void *stream);

// out[b, position] = sum or mean of weight[first_row + ids[n]] for n in [offsets[b], offsets[b + 1]);
// offsets rise from 0 to `count`. `outside` is two numbers: the least n of an id outside
// [0, cardinality) so far, and the least b whose offsets are not such.
PLUMBLINE_CUDA_API const char *plumbline_embedding_pool(
    const void *weight, const int64_t *ids, const int64_t *offsets, void *out, int64_t *outside,
    int64_t rows, int64_t count, int64_t first_row, int64_t cardinality, int64_t position,
    int64_t vectors, int64_t table_rows, int64_t dim, int mean, int weight_number, int out_number,
    void *stream);

// Number of float32 that `plumbline_embedding_update` needs as `partial` for so many occurrences.
PLUMBLINE_CUDA_API int64_t plumbline_embedding_partial(int64_t count, int64_t dim);

// Sums the gradients of each row and steps it. row (M,) is in ascending order; occurrence m is of
// row row[m], and its gradient is row source[m] of gradient (B · V, D), times share[m] where share
// is not nullptr. state (R,) is row-wise Adagrad's; nullptr chooses SGD.
PLUMBLINE_CUDA_API const char *plumbline_embedding_update(
    void *weight, float *state, const int64_t *row, const int64_t *source, const float *share,
    const void *gradient, float *partial, int64_t count, int64_t table_rows, int64_t gradient_rows,
    int64_t dim, int weight_number, int gradient_number, float learning_rate, float eps,
    float scale, uint32_t k0, uint32_t k1, void *stream);
