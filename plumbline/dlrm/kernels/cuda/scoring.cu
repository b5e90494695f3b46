// Scoring: the functions of api.h that make, run and free a model on a device.
#include "scoring_model.cuh"

#include <memory>

#include "entry.h"

using namespace plumbline;

const char *plumbline_scoring_create(int device, int number, int64_t most_rows, int64_t continuous,
                                     int64_t singles, int64_t lists, const void *tables,
                                     int64_t table_rows, int64_t dim, int row_number,
                                     const int64_t *first_row, const int64_t *cardinality,
                                     const int64_t *position, int pooling,
                                     const float *position_weights, int64_t positions,
                                     void **model) {
  return answered([=] {
    const OnDevice here(device);
    *model = new ScoringModel({device, static_cast<Number>(number), most_rows, continuous, singles,
                               lists, dim, tables, table_rows, static_cast<Number>(row_number),
                               first_row, cardinality, position, static_cast<Pooling>(pooling),
                               position_weights, positions});
  });
}

const char *plumbline_scoring_layer(void *model, int is_bottom, int64_t inputs, int64_t outputs,
                                    const void *weight, const float *bias) {
  return answered([=] {
    auto *of = static_cast<ScoringModel *>(model);
    const OnDevice here(of->device());
    of->add_layer(is_bottom != 0, inputs, outputs, weight, bias);
  });
}

const char *plumbline_scoring_last(void *model, int64_t inputs, const float *weight, float bias) {
  return answered([=] {
    auto *of = static_cast<ScoringModel *>(model);
    const OnDevice here(of->device());
    of->add_last(inputs, weight, bias);
  });
}

const char *plumbline_scoring_score(void *model, int64_t rows, const int64_t *ids,
                                    const float *dense, const int64_t *list_ids,
                                    const int64_t *list_offsets, float *probability,
                                    float *on_host, int *is_outside) {
  return answered([=] {
    const bool are_inside = static_cast<ScoringModel *>(model)->score(
        rows, ids, dense, list_ids, list_offsets, probability, on_host);
    *is_outside = are_inside ? 0 : 1;
  });
}

const char *plumbline_scoring_free(void *model) {
  return answered([=] {
    auto *of = static_cast<ScoringModel *>(model);
    const OnDevice here(of->device());
    delete of;
  });
}

int plumbline_memory_kind() { return kMemoryKind; }

const char *plumbline_memory_take(int device, int64_t bytes, void **memory) {
  return answered([=] {
    const OnDevice here(device);
    *memory = device_memory(bytes);
  });
}

const char *plumbline_memory_return(int device, void *memory) {
  return answered([=] {
    const OnDevice here(device);
    release_device_memory(memory);
  });
}
