// Scoring as nvcc compiles it, with the runtime of launches_runtime.cpp, and without the kernels of
// other operators. Prints a line for each step: what it asked of the runtime, and its error.
#include "scoring.cu"

#include <cstdio>

extern "C" {
void refuse_next_copy();
void refuse_next_memory();
const char *calls();  // since the last call
const char *note(const char *what);

const char *plumbline_embedding_gather(const void *, const int64_t *, const int64_t *,
                                       const int64_t *, const int64_t *, void *, int64_t *, int64_t,
                                       int64_t, int64_t, int64_t, int64_t, int, int, void *) {
  return note("gather");
}

const char *plumbline_embedding_pool(const void *, const int64_t *, const int64_t *, void *,
                                     int64_t *, int64_t, int64_t, int64_t, int64_t, int64_t,
                                     int64_t, int64_t, int64_t, int, int, int, void *) {
  return note("pool");
}

const char *plumbline_interaction_forward(const void *, const void *, void *, int64_t, int64_t,
                                          int64_t, int, int, void *) {
  return note("interact");
}
}

namespace {

constexpr int64_t kWidth = 8, kDots = 16;  // one vector of each of three: 8 + 3 dots, padded

void tried(const char *what, const char *answer) {
  std::printf("%s:%s; %s\n", what, calls(), answer == nullptr ? "" : answer);
}

void *made(int device) {
  static const float tables[10 * kWidth] = {};
  static const int64_t first_row[2] = {0, 5}, cardinality[2] = {5, 5}, position[2] = {0, 1};
  void *model = nullptr;
  tried("create", plumbline_scoring_create(device, 0, 4, 3, 1, 1, tables, 10, kWidth, 0, first_row,
                                           cardinality, position, 0, nullptr, 0, &model));
  return model;
}

}  // namespace

int main() {
  static const float weight[kDots * kDots] = {}, bias[kDots] = {};
  void *model = made(1);
  tried("bottom", plumbline_scoring_layer(model, 1, kWidth, kWidth, weight, bias));
  tried("top", plumbline_scoring_layer(model, 0, kDots, kWidth, weight, bias));
  refuse_next_memory();
  tried("no memory", plumbline_scoring_last(model, kWidth, weight, 0.5f));
  tried("last", plumbline_scoring_last(model, kWidth, weight, 0.5f));
  const int64_t ids[2] = {1, 2}, list_ids[3] = {0, 1, 2}, offsets[3] = {0, 1, 3};
  const float dense[6] = {};
  float probability[2], on_host[2];
  int outside = 0;
  const auto score = [&](const char *what) {
    tried(what, plumbline_scoring_score(model, 2, ids, dense, list_ids, offsets, probability,
                                        on_host, &outside));
  };
  score("score");
  score("again");
  refuse_next_copy();
  score("refused");
  score("after that");
  tried("free", plumbline_scoring_free(model));
  refuse_next_memory();
  made(0);
  void *memory = nullptr;
  tried("take", plumbline_memory_take(1, 256, &memory));
  tried("return", plumbline_memory_return(1, memory));
}
