// The host interface of the CUDA kernels, the same in nvcc's build and in the emulated one. Each
// function returns nullptr, or an error text that is valid until the thread's next call.
//
// Contract (in full: plumbline/dlrm/ops/{embedding,interaction}/contract.py): arrays are
// contiguous, and may be nullptr only where stated. A dtype number is 0 for float32, 1 for bfloat16
// and 2 for float16. Work is enqueued on `stream` of the current device and may not have finished
// when a function returns. Empty batches are valid. Results have the same bits for any launch
// geometry.
#pragma once

#include <cstdint>

#define PLUMBLINE_CUDA_API extern "C" __attribute__((visibility("default")))

// dense (B, D) or nullptr; embeddings (B, F, D); out (B, K). `form` permits kernels: 0 those for
// any shape, 1 also those on tensor cores through wmma, 2 also those for common shapes through
// mma.sync.
PLUMBLINE_CUDA_API const char *plumbline_interaction_forward(const void *dense,
                                                             const void *embeddings, void *out,
                                                             int64_t rows, int64_t features,
                                                             int64_t dim, int number, int form,
                                                             void *stream);

// gradient (B, K); the results have the shapes of dense and embeddings.
PLUMBLINE_CUDA_API const char *plumbline_interaction_backward(
    const void *gradient, const void *dense, const void *embeddings, void *dense_gradient,
    void *embedding_gradient, int64_t rows, int64_t features, int64_t dim, int number, int form,
    void *stream);

// out[b, position[f]] = weight[first_row[f] + ids[b, f]] for ids (B, F), out (B, V, D). `outside`
// is one number, the smallest index b · F + f so far of an id outside [0, cardinality[f]).
PLUMBLINE_CUDA_API const char *plumbline_embedding_gather(
    const void *weight, const int64_t *ids, const int64_t *first_row, const int64_t *cardinality,
    const int64_t *position, void *out, int64_t *outside, int64_t rows, int64_t columns,
    int64_t vectors, int64_t table_rows, int64_t dim, int weight_number, int out_number,
    void *stream);

// out[b, position] = sum or mean of weight[first_row + ids[n]] for n in [offsets[b], offsets[b +
// 1]); offsets rise from 0 to `count`. `outside` is two numbers: the smallest n so far of an id
// outside [0, cardinality), and the smallest b with wrong offsets.
PLUMBLINE_CUDA_API const char *plumbline_embedding_pool(
    const void *weight, const int64_t *ids, const int64_t *offsets, void *out, int64_t *outside,
    int64_t rows, int64_t count, int64_t first_row, int64_t cardinality, int64_t position,
    int64_t vectors, int64_t table_rows, int64_t dim, int mean, int weight_number, int out_number,
    void *stream);

// Number of float32 in `partial` of `plumbline_embedding_update` for `count` occurrences.
PLUMBLINE_CUDA_API int64_t plumbline_embedding_partial(int64_t count, int64_t dim);

// Sums the gradients of each row and steps it. row (M,) is ascending; occurrence m belongs to table
// row row[m], and its gradient is row source[m] of gradient (B · V, D), times share[m] if share is
// not nullptr. state (R,) is row-wise Adagrad's; nullptr selects SGD.
PLUMBLINE_CUDA_API const char *plumbline_embedding_update(
    void *weight, float *state, const int64_t *row, const int64_t *source, const float *share,
    const void *gradient, float *partial, int64_t count, int64_t table_rows, int64_t gradient_rows,
    int64_t dim, int weight_number, int gradient_number, float learning_rate, float eps,
    float scale, uint32_t k0, uint32_t k1, void *stream);

// Scoring makes a whole model on a device, and computes probabilities of rows in host memory: pageable,
// read only during the call. Tables, layers and buffers are the model's own memory of the device.
//
// A model of activations of dtype `number`, float32 or bfloat16, for batches of at most `most_rows`
// rows. Arrays of `singles` + `lists` tables, those of columns with one id first. `pooling` of a list:
// 0 sum, 1 mean, 2 maximum, 3 sum weighted by position, with position_weights (lists, positions).
PLUMBLINE_CUDA_API const char *plumbline_scoring_create(
    int device, int number, int64_t most_rows, int64_t continuous, int64_t singles, int64_t lists,
    const void *tables, int64_t table_rows, int64_t dim, int row_number, const int64_t *first_row,
    const int64_t *cardinality, const int64_t *position, int pooling,
    const float *position_weights, int64_t positions, void **model);

// The layers in order, bottom ones first. weight (O, I) of the activations' dtype, I and O padded with
// zeros to a multiple of 8, but for the last bottom layer of a model with tables, whose O is `dim`.
PLUMBLINE_CUDA_API const char *plumbline_scoring_layer(void *model, int is_bottom, int64_t inputs,
                                                       int64_t outputs, const void *weight,
                                                       const float *bias);

// The layer of the logit, weight (inputs) in float32; the model is then complete.
PLUMBLINE_CUDA_API const char *plumbline_scoring_last(void *model, int64_t inputs,
                                                      const float *weight, float bias);

// ids (B, singles), dense (B, continuous), the ids of all lists one after the other, and offsets
// (lists, B + 1), each from 0. probability (B) is memory of the device, on_host (B) a copy of it.
// Waits for the result. `is_outside` is 1 if an id is outside its table, and the result is then not
// defined.
PLUMBLINE_CUDA_API const char *plumbline_scoring_score(void *model, int64_t rows,
                                                       const int64_t *ids, const float *dense,
                                                       const int64_t *list_ids,
                                                       const int64_t *list_offsets,
                                                       float *probability, float *on_host,
                                                       int *is_outside);

PLUMBLINE_CUDA_API const char *plumbline_scoring_free(void *model);

// DLPack's number of the kind of the device's memory: 2, CUDA's; in the emulation 1, a CPU's.
PLUMBLINE_CUDA_API int plumbline_memory_kind();

PLUMBLINE_CUDA_API const char *plumbline_memory_take(int device, int64_t bytes, void **memory);

PLUMBLINE_CUDA_API const char *plumbline_memory_return(int device, void *memory);
