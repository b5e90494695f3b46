// A DLRM on a device, for inference: encoded rows in host memory to probabilities, in one call.
//
// Contract: plumbline/dlrm/ops/scoring/contract.py. A row's probability has the same bits in any batch
// on one kind of device: no sum's order depends on the batch, though the kernel that adds it may.
//
// There are two streams. The one for copies takes the rows from pinned memory to the device; the other
// one computes the bottom layers while the ids are on their way. A call waits for its result.
//
// Legend: B rows, C continuous columns, F columns with one id a row, L list columns, V id columns in
// all, D embedding length, I inputs, O outputs of a layer.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <limits>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "api.h"
#include "layers_mma.cuh"
#include "runtime.cuh"
#include "scoring_rows.cuh"

namespace plumbline {

constexpr int64_t kPadding = 8;  // layers take lines of a multiple of as many numbers
constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();
constexpr int kAnyForm = 2;  // of the interaction's kernels: the fastest that takes the shape

enum class Pooling : int { sum = 0, mean = 1, max = 2, position_weighted = 3 };

// Everything but the layers. Host memory, which is only read while the model is made. The tables of
// single ids come first, then those of lists.
struct ScoringSpec {
  int device;
  Number number;  // of the activations
  int64_t most_rows, continuous, singles, lists, dim;
  const void *tables;
  int64_t table_rows;
  Number row_number;
  const int64_t *first_row, *cardinality, *position;
  Pooling pooling;
  const float *position_weights;
  int64_t positions;

  int64_t vectors() const { return singles + lists; }
};

class ScoringModel {
 public:
  explicit ScoringModel(const ScoringSpec &spec);

  int device() const { return spec_.device; }

  // weight (O, I) of the activations' dtype, bias (O) of float32. Bottom layers come first, then top
  // layers. Lines are padded with zeros; the last bottom layer in front of an interaction has D outputs.
  void add_layer(bool is_bottom, int64_t inputs, int64_t outputs, const void *weight,
                 const float *bias);
  // The last layer, weight (I), which makes the model complete.
  void add_last(int64_t inputs, const float *weight, float bias);

  // ids (B, F), dense (B, C), the ids of all lists one after the other, and offsets (L, B + 1), which
  // rise from 0 to the number of each column's ids. `probability` is memory of the device, `on_host` of
  // the host; returns whether every id is in its table.
  bool score(int64_t rows, const int64_t *ids, const float *dense, const int64_t *list_ids,
             const int64_t *list_offsets, float *probability, float *on_host);

 private:
  struct Layer {
    int64_t inputs, outputs;
    Block<std::byte> weight;
    Block<float> bias;
  };
  struct Lists {
    std::vector<int64_t> first_row, cardinality, position;
  };

  template <typename T>
  Block<T> uploaded(const void *from, int64_t count);
  int64_t item_bytes() const { return spec_.number == Number::float32 ? 4 : 2; }
  int64_t dense_stride() const { return rounded_up(spec_.continuous, kPadding); }
  void require_width(int64_t inputs) const;
  void interact();
  void send(int64_t rows, const int64_t *ids, const float *dense, const int64_t *list_ids,
            const int64_t *list_offsets);
  void compute(int64_t rows, const int64_t *list_offsets, float *probability);
  void look_up(int64_t rows, const int64_t *list_offsets);
  template <typename T>
  void linear_relu(const Layer &layer, const void *in, void *out, int64_t rows) const;
  Launch launch(const char *name, dim3 grid, int threads, int64_t shared_bytes) const {
    return {name, grid, dim3{unsigned(threads)}, shared_bytes, work_};
  }
  template <typename Work>
  void with_number(Work work) const;

  std::mutex mutex_;
  ScoringSpec spec_;
  Device device_;
  Stream copies_, work_;
  Event dense_is_there_, ids_are_there_;
  Block<std::byte> tables_;
  Block<int64_t> first_row_, cardinality_, position_;
  Block<float> position_weights_;
  Lists lists_;
  std::vector<Layer> bottom_, top_;
  Block<float> last_;
  float last_bias_ = 0.0f;
  int64_t last_inputs_ = 0, width_, widest_;
  std::string failed_;  // why no more rows can be scored

  struct Rows {  // of a call, on the host or on the device
    Block<int64_t> ids, list_ids, list_offsets, outside;
    Block<float> dense;
  };
  Rows pinned_, sent_;
  Block<float> probability_;  // pinned
  Block<std::byte> vectors_, in_, out_;
};

inline void required(const char *answer) {
  if (answer != nullptr) throw std::runtime_error(answer);
}

template <typename T>
Block<T> ScoringModel::uploaded(const void *from, int64_t count) {
  Block<T> block = Block<T>::on_device(count);
  if (count > 0) copy_to_device(block.get(), from, count * int64_t(sizeof(T)), copies_);
  synchronize(copies_);
  return block;
}

inline ScoringModel::ScoringModel(const ScoringSpec &spec)
    : spec_(spec), device_(current_device()), width_(dense_stride()), widest_(width_) {
  if (spec.number != Number::float32 && spec.number != Number::bfloat16)
    throw std::invalid_argument("scoring: no kernels for this dtype of activations");
  require_code(click_probability<float>);
  const int64_t row_bytes = spec.dim * (spec.row_number == Number::float32 ? 4 : 2);
  tables_ = uploaded<std::byte>(spec.tables, spec.table_rows * row_bytes);
  first_row_ = uploaded<int64_t>(spec.first_row, spec.singles);
  cardinality_ = uploaded<int64_t>(spec.cardinality, spec.singles);
  position_ = uploaded<int64_t>(spec.position, spec.singles);
  position_weights_ =
      uploaded<float>(spec.position_weights, spec.positions > 0 ? spec.lists * spec.positions : 0);
  const auto of_lists = [&spec](const int64_t *all) {
    return std::vector<int64_t>(all + spec.singles, all + spec.vectors());
  };
  lists_ = {of_lists(spec.first_row), of_lists(spec.cardinality), of_lists(spec.position)};
}

inline void ScoringModel::require_width(int64_t inputs) const {
  if (inputs != width_)
    throw std::invalid_argument("scoring: a layer wants " + std::to_string(width_) +
                                " inputs, got " + std::to_string(inputs));
}

// In front of the first layer behind the interaction.
inline void ScoringModel::interact() {
  if (!top_.empty() || spec_.vectors() == 0) return;
  if (spec_.continuous > 0) require_width(spec_.dim);
  const InteractionShape shape{0, int(spec_.vectors()), int(spec_.dim), spec_.continuous > 0};
  width_ = shape.width();
  widest_ = std::max(widest_, width_);
}

inline void ScoringModel::add_layer(bool is_bottom, int64_t inputs, int64_t outputs,
                                    const void *weight, const float *bias) {
  if (!is_bottom) interact();
  require_width(inputs);
  (is_bottom ? bottom_ : top_)
      .push_back({inputs, outputs, uploaded<std::byte>(weight, inputs * outputs * item_bytes()),
                  uploaded<float>(bias, outputs)});
  width_ = outputs;
  widest_ = std::max(widest_, width_);
}

inline void ScoringModel::add_last(int64_t inputs, const float *weight, float bias) {
  interact();
  if (inputs > width_) require_width(inputs);
  last_ = uploaded<float>(weight, inputs);
  last_bias_ = bias;
  last_inputs_ = inputs;
  const int64_t rows = spec_.most_rows;
  const auto rows_in = [&](auto ids_in, auto floats_in) {
    return Rows{ids_in(rows * spec_.singles), ids_in(0), ids_in(spec_.lists * (rows + 1)), ids_in(2),
                floats_in(rows * spec_.continuous)};
  };
  pinned_ = rows_in(Block<int64_t>::pinned, Block<float>::pinned);
  sent_ = rows_in(Block<int64_t>::on_device, Block<float>::on_device);
  probability_ = Block<float>::pinned(rows);
  vectors_ = Block<std::byte>::on_device(rows * spec_.vectors() * spec_.dim * item_bytes());
  in_ = Block<std::byte>::on_device(rows * widest_ * item_bytes());
  out_ = Block<std::byte>::on_device(rows * widest_ * item_bytes());
}

inline bool ScoringModel::score(int64_t rows, const int64_t *ids, const float *dense,
                                const int64_t *list_ids, const int64_t *list_offsets,
                                float *probability, float *on_host) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (last_inputs_ == 0) throw std::logic_error("scoring: the model is not complete");
  if (!failed_.empty()) throw std::runtime_error("the model failed before: " + failed_);
  if (rows < 0 || rows > spec_.most_rows)
    throw std::invalid_argument("scoring: wanted at most " + std::to_string(spec_.most_rows) +
                                " rows, got " + std::to_string(rows));
  if (rows == 0) return true;
  const OnDevice here(spec_.device);
  try {
    send(rows, ids, dense, list_ids, list_offsets);
    compute(rows, list_offsets, probability);
    copy_to_host(probability_.get(), probability, rows * int64_t(sizeof(float)), work_);
    copy_to_host(pinned_.outside.get(), sent_.outside.get(), 2 * int64_t(sizeof(int64_t)), work_);
    synchronize(work_);
  } catch (const std::exception &error) {
    failed_ = error.what();  // what is still on the streams may write to the buffers
    throw;
  }
  std::memcpy(on_host, probability_.get(), size_t(rows) * sizeof(float));
  return pinned_.outside.get()[0] == kNowhere && pinned_.outside.get()[1] == kNowhere;
}

// Copies the rows to the device; each copy is on its way while the next one is prepared.
inline void ScoringModel::send(int64_t rows, const int64_t *ids, const float *dense,
                               const int64_t *list_ids, const int64_t *list_offsets) {
  const auto copy = [this](const auto *from, int64_t count, const auto &pinned, const auto &to) {
    if (count == 0) return;
    const int64_t bytes = count * int64_t(sizeof(*from));
    std::memcpy(pinned.get(), from, size_t(bytes));
    copy_to_device(to.get(), pinned.get(), bytes, copies_);
  };
  copy(dense, rows * spec_.continuous, pinned_.dense, sent_.dense);
  record(dense_is_there_, copies_);
  int64_t count = 0;
  for (int64_t list = 0; list < spec_.lists; ++list) count += list_offsets[(list + 1) * (rows + 1) - 1];
  if (count > pinned_.list_ids.count()) {
    pinned_.list_ids = Block<int64_t>::pinned(2 * count);
    sent_.list_ids = Block<int64_t>::on_device(2 * count);
  }
  const int64_t nowhere[2] = {kNowhere, kNowhere};
  copy(nowhere, 2, pinned_.outside, sent_.outside);
  copy(ids, rows * spec_.singles, pinned_.ids, sent_.ids);
  copy(list_offsets, spec_.lists * (rows + 1), pinned_.list_offsets, sent_.list_offsets);
  copy(list_ids, count, pinned_.list_ids, sent_.list_ids);
  record(ids_are_there_, copies_);
}

template <typename Work>
void ScoringModel::with_number(Work work) const {
  if (spec_.number == Number::float32)
    work(float());
  else
    work(bfloat16());
}

inline void ScoringModel::compute(int64_t rows, const int64_t *list_offsets, float *probability) {
  void *in = in_.get(), *out = out_.get();
  const auto layers = [&](const std::vector<Layer> &all) {
    for (const Layer &layer : all) {
      with_number([&](auto zero) { this->linear_relu<decltype(zero)>(layer, in, out, rows); });
      std::swap(in, out);
    }
  };
  constexpr int kOfBlock = 128;
  const auto blocks = [&](int64_t wanted) {
    constexpr int64_t kOfProcessor = 16;
    return dim3{unsigned(std::min(wanted, device_.processors * kOfProcessor))};
  };
  wait_for(work_, dense_is_there_);
  if (spec_.continuous > 0) {
    const int64_t items = rows * dense_stride();
    with_number([&](auto zero) {
      using T = decltype(zero);
      launch("round_dense", blocks((items + kOfBlock - 1) / kOfBlock), kOfBlock, 0)(
          round_dense<T>, global<const float>(sent_.dense.get(), rows * spec_.continuous),
          global<T>(in, items), rows, spec_.continuous, dense_stride());
    });
  }
  layers(bottom_);
  wait_for(work_, ids_are_there_);
  int64_t stride = bottom_.empty() ? 0 : bottom_.back().outputs;
  if (spec_.vectors() > 0) {
    look_up(rows, list_offsets);
    const InteractionShape shape{rows, int(spec_.vectors()), int(spec_.dim), spec_.continuous > 0};
    required(plumbline_interaction_forward(spec_.continuous > 0 ? in : nullptr, vectors_.get(), out,
                                           rows, shape.features, shape.dim, int(spec_.number),
                                           kAnyForm, work_));
    std::swap(in, out);
    stride = shape.width();
  }
  layers(top_);
  if (!top_.empty()) stride = top_.back().outputs;
  with_number([&](auto zero) {
    using T = decltype(zero);
    launch("click_probability", blocks((rows * kWarp + kOfBlock - 1) / kOfBlock), kOfBlock, 0)(
        click_probability<T>, global<const T>(in, rows * stride),
        global<const float>(last_.get(), last_inputs_), last_bias_,
        global<float>(probability, rows), rows, last_inputs_, stride);
  });
}

inline void ScoringModel::look_up(int64_t rows, const int64_t *list_offsets) {
  const int number = int(spec_.number), row_number = int(spec_.row_number);
  if (spec_.singles > 0)
    required(plumbline_embedding_gather(
        tables_.get(), sent_.ids.get(), first_row_.get(), cardinality_.get(), position_.get(),
        vectors_.get(), sent_.outside.get(), rows, spec_.singles, spec_.vectors(), spec_.table_rows,
        spec_.dim, row_number, number, work_));
  const bool is_weighted = spec_.pooling == Pooling::position_weighted;
  const int64_t *ids = sent_.list_ids.get();
  for (int64_t list = 0; list < spec_.lists; ++list) {
    const int64_t *offsets = sent_.list_offsets.get() + list * (rows + 1);
    const int64_t count = list_offsets[(list + 1) * (rows + 1) - 1];
    const int64_t first_row = lists_.first_row[list], cardinality = lists_.cardinality[list];
    if (!is_weighted && spec_.pooling != Pooling::max) {
      required(plumbline_embedding_pool(
          tables_.get(), ids, offsets, vectors_.get(), sent_.outside.get(), rows, count, first_row,
          cardinality, lists_.position[list], spec_.vectors(), spec_.table_rows, spec_.dim,
          spec_.pooling == Pooling::mean, row_number, number, work_));
    } else {
      const ListShape shape{rows,
                            count,
                            first_row,
                            cardinality,
                            lists_.position[list],
                            spec_.vectors(),
                            spec_.dim,
                            is_weighted ? spec_.positions : 0};
      const auto pool = [&](auto row_zero, auto zero) {
        using W = decltype(row_zero);
        using T = decltype(zero);
        constexpr int64_t kOfBlock = 4, kOfProcessor = 16;
        const int64_t blocks = (rows + kOfBlock - 1) / kOfBlock;
        launch("score_lists",
               dim3{unsigned(std::min(blocks, device_.processors * kOfProcessor))},
               int(kOfBlock) * kWarp, 0)(
            score_lists<W, T>, global<const W>(tables_.get(), spec_.table_rows * spec_.dim),
            global<const int64_t>(ids, count), global<const int64_t>(offsets, rows + 1),
            global<const float>(position_weights_.get() + list * shape.weights, shape.weights),
            global<T>(vectors_.get(), rows * spec_.vectors() * spec_.dim),
            global<long long>(sent_.outside.get(), 2), shape);
      };
      with_number([&](auto zero) {
        if (spec_.row_number == Number::float32)
          pool(float(), zero);
        else
          pool(bfloat16(), zero);
      });
    }
    ids += count;
  }
}

// The kernel for the number of rows. All kernels of a dtype and a device add a sum in the same order.
template <typename T>
void ScoringModel::linear_relu(const Layer &layer, const void *in, void *out, int64_t rows) const {
  const LayerShape shape{rows, layer.inputs, layer.outputs};
  const auto run = [&](const char *name, auto kernel, int tile_rows, int tile_outputs, int threads,
                       int64_t shared_bytes) {
    const dim3 grid{unsigned((layer.outputs + tile_outputs - 1) / tile_outputs),
                    unsigned((rows + tile_rows - 1) / tile_rows)};
    launch(name, grid, threads, shared_bytes)(
        kernel, global<const T>(in, rows * layer.inputs),
        global<const T>(layer.weight.get(), layer.outputs * layer.inputs),
        global<const float>(layer.bias.get(), layer.outputs),
        global<T>(out, rows * layer.outputs), shape);
  };
  if constexpr (!std::is_same_v<T, float>) {
    const auto mma = [&](auto tile) {
      using Places = MmaLayerPlaces<decltype(tile)>;
      run("linear_relu_mma", linear_relu_mma<T, decltype(tile)>, Places::kRows, Places::kOutputs,
          Places::kThreads, Places::kBytes);
    };
    if (has_mma(device_))
      return rows <= MmaLayerPlaces<FlatMmaTile>::kRows ? mma(FlatMmaTile()) : mma(SquareMmaTile());
  }
  const auto general = [&](auto tile) {
    using Tile = decltype(tile);
    using Places = LayerPlaces<Tile>;
    run("linear_relu_general", linear_relu_general<T, Tile>, Tile::kRows, Tile::kOutputs,
        Places::kThreads, Places::kBytes);
  };
  rows <= FlatTile::kRows ? general(FlatTile()) : general(SquareTile());
}

}  // namespace plumbline
