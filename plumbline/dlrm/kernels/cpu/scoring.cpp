#include "scoring.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <stdexcept>
#include <utility>

#include "threads.h"
#include "with_instruction_set.h"

namespace plumbline {
namespace {

// Activations of this size stay in the L2 cache, together with a panel's weights.
constexpr int64_t kActivationBytes = int64_t{448} << 10;
constexpr int64_t kMostRows = 192;

// Rows whose embeddings are looked up at a time, so they stay in the caches until used.
constexpr int64_t kLookUpRows = 16;

// Work that justifies another thread.
constexpr int64_t kMultiplyAddsEach = 4'000'000;
constexpr int64_t kFewestRows = 6;

int64_t parts_of(int64_t count, int64_t unit) { return (count + unit - 1) / unit; }

int64_t padded(int64_t width) { return parts_of(width, kPanel) * kPanel; }

ScoringLoops loops_of(InstructionSet set, Dtype dtype) {
  return with(set, [dtype](auto compiled) { return scoring_loops<compiled()>(dtype); });
}

interaction::Shape shape_of(const ScoringSpec &spec) {
  const auto columns = static_cast<int64_t>(spec.position.size() + spec.lists.size());
  return {0, columns, spec.tables.dim, spec.continuous > 0};
}

int64_t require_widths(const std::vector<LayerWeights> &layers, int64_t inputs) {
  for (const auto &layer : layers) {
    if (layer.inputs != inputs || layer.outputs < 1)
      throw std::invalid_argument("scoring: a layer wants " + std::to_string(layer.inputs) +
                                  " inputs, got " + std::to_string(inputs));
    inputs = layer.outputs;
  }
  return inputs;
}

int64_t top_input(const ScoringSpec &spec, const interaction::Shape &shape) {
  return shape.features > 0 ? shape.width() : spec.tables.dim;
}

int64_t checked_widest(const ScoringSpec &spec, const interaction::Shape &shape) {
  if (spec.continuous > 0 && require_widths(spec.bottom, spec.continuous) != spec.tables.dim)
    throw std::invalid_argument("scoring: the bottom layers do not end in the embedding length");
  const int64_t hidden = require_widths(spec.top, top_input(spec, shape));
  require_widths({spec.last}, hidden);
  int64_t widest = std::max(padded(spec.continuous), padded(top_input(spec, shape)));
  for (const auto *layers : {&spec.bottom, &spec.top})
    for (const auto &layer : *layers) widest = std::max(widest, padded(layer.outputs));
  return widest;
}

int64_t multiply_adds_of(const ScoringSpec &spec, const interaction::Shape &shape) {
  int64_t count = shape.pairs() * shape.dim + spec.last.inputs;
  for (const auto *layers : {&spec.bottom, &spec.top})
    for (const auto &layer : *layers) count += layer.inputs * layer.outputs;
  return count;
}

// Splits one allocation into parts that begin at cache lines.
class Parts {
 public:
  explicit Parts(std::byte *memory) : begin_(reinterpret_cast<uintptr_t>(memory)), at_(begin_) {}

  template <typename T>
  T *take(int64_t bytes) {
    const uintptr_t part = at_;
    at_ += static_cast<uintptr_t>(parts_of(bytes, 64) * 64);
    return reinterpret_cast<T *>(part);
  }
  int64_t taken() const { return static_cast<int64_t>(at_ - begin_); }

 private:
  uintptr_t begin_, at_;
};

}  // namespace

// Scratch memory of a thread: a layer reads one of the two activations and writes the other.
struct ScoringModel::Block {
  std::byte *in, *out;
  float *floats;
  int64_t *ids;
  std::byte *embeddings, *interaction;
  float *sum;
  int64_t bytes;

  Block(const ScoringModel &model, std::byte *memory) {
    Parts parts(memory);
    const int64_t bytes_each = bytes_of(model.spec_.dtype), dim = model.shape_.dim;
    in = parts.take<std::byte>(model.most_rows_ * model.widest_ * bytes_each);
    out = parts.take<std::byte>(model.most_rows_ * model.widest_ * bytes_each);
    floats = parts.take<float>(model.most_rows_ * padded(model.spec_.continuous) * 4);
    ids = parts.take<int64_t>(kLookUpRows * static_cast<int64_t>(model.spec_.position.size()) * 8);
    embeddings = parts.take<std::byte>(kLookUpRows * model.shape_.features * dim * bytes_each);
    const bool interacts = model.shape_.features > 0;
    interaction =
        parts.take<std::byte>(interacts ? model.interaction_.forward_scratch(model.shape_) : 0);
    sum = parts.take<float>((dim + kScratch) * 4);
    bytes = parts.taken();
  }
};

ScoringModel::ScoringModel(InstructionSet set, const ScoringSpec &spec)
    : spec_(spec),
      loops_(loops_of(set, spec.dtype)),
      embedding_loops_(embedding_loops(set)),
      shape_(shape_of(spec)),
      interaction_(interaction::kernels(set, spec.dtype)),
      bottom_(spec.bottom, spec.dtype, loops_.round),
      top_(spec.top, spec.dtype, loops_.round),
      last_(spec.last.weight, spec.last.weight + spec.last.inputs),
      last_bias_(spec.last.bias[0]),
      widest_(checked_widest(spec, shape_)),
      most_rows_(std::clamp<int64_t>(kActivationBytes / (2 * widest_ * bytes_of(spec.dtype)),
                                     kLookUpRows, kMostRows)),
      multiply_adds_(multiply_adds_of(spec, shape_)),
      scratch_(Block(*this, nullptr).bytes) {}

bool ScoringModel::takes(int64_t singles, int64_t continuous, size_t lists) const {
  return singles == static_cast<int64_t>(spec_.position.size()) && continuous == spec_.continuous &&
         lists == spec_.lists.size();
}

int64_t ScoringModel::rows_at_a_time(int64_t rows, int threads) const {
  int64_t blocks = parts_of(rows, most_rows_);
  blocks = parts_of(blocks, threads) * threads;
  return parts_of(rows, blocks);
}

bool ScoringModel::score(const EncodedRows &rows, float *probability, int threads) const {
  if (rows.rows == 0) return true;
  const int64_t worth = std::min(rows.rows * multiply_adds_ / kMultiplyAddsEach,
                                 rows.rows / kFewestRows);
  threads = static_cast<int>(std::clamp<int64_t>(threads, 1, std::max<int64_t>(worth, 1)));
  const int64_t each = rows_at_a_time(rows.rows, threads), blocks = parts_of(rows.rows, each);
  const TakenMemory scratch(scratch_, threads);
  std::atomic<bool> good = true;
#pragma omp parallel for num_threads(threads) schedule(dynamic) if (threads > 1)
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t begin = block * each, end = std::min(rows.rows, begin + each);
    if (good && !score_block(rows, begin, end, probability + begin, scratch.of(this_thread())))
      good = false;
  }
  return good;
}

bool ScoringModel::score_block(const EncodedRows &rows, int64_t begin, int64_t end,
                               float *probability, std::byte *scratch) const {
  Block block(*this, scratch);
  const int64_t count = end - begin;
  int64_t width = padded(spec_.continuous), stride = width;
  const auto layer = [&](const PackedLayer &weights, int64_t outputs) {
    loops_.linear_relu(weights, {block.in, stride}, {block.out, outputs}, outputs, count);
    std::swap(block.in, block.out);
    width = stride = outputs;
  };
  if (spec_.continuous > 0) {
    for (int64_t row = 0; row < count; ++row) {
      float *to = block.floats + row * width;
      const float *from = rows.dense.data + (begin + row) * rows.dense.row_stride;
      for (int64_t column = 0; column < spec_.continuous; ++column)
        to[column] = from[column * rows.dense.column_stride];
      std::fill(to + spec_.continuous, to + width, 0.0f);
    }
    loops_.round(block.floats, block.in, count * width);
    for (size_t position = 0; position < spec_.bottom.size(); ++position) {
      // The interaction reads vectors without gaps.
      const bool interacts = position + 1 == spec_.bottom.size() && shape_.features > 0;
      layer(bottom_[position], interacts ? shape_.dim : padded(spec_.bottom[position].outputs));
    }
  }
  if (shape_.features > 0) {
    if (!look_up(rows, begin, end, block)) return false;
    std::swap(block.in, block.out);
    width = stride = shape_.width();
  }
  for (size_t position = 0; position < spec_.top.size(); ++position)
    layer(top_[position], padded(spec_.top[position].outputs));
  loops_.logits(last_.data(), last_bias_, spec_.last.inputs, {block.in, stride}, probability,
                count);
  for (int64_t row = 0; row < count; ++row)
    probability[row] = 1.0f / (1.0f + std::exp(-probability[row]));
  return true;
}

// Looks up the rows' embeddings, a few rows at a time, and writes their interaction with the dense
// vectors in `block.in` to `block.out`.
bool ScoringModel::look_up(const EncodedRows &rows, int64_t begin, int64_t end,
                           const Block &block) const {
  const auto columns = static_cast<int64_t>(spec_.position.size());
  const int64_t bytes_each = bytes_of(spec_.dtype);
  const Result result{block.embeddings, spec_.dtype, shape_.features, false};
  const std::byte *dense = block.in;
  std::byte *out = block.out;
  for (int64_t first = begin; first < end; first += kLookUpRows) {
    const int64_t count = std::min(end - first, kLookUpRows);
    for (int64_t row = 0; row < count; ++row) {
      const int64_t *from = rows.ids.data + (first + row) * rows.ids.row_stride;
      for (int64_t column = 0; column < columns; ++column)
        block.ids[row * columns + column] = from[column * rows.ids.column_stride];
    }
    const Singles singles{block.ids,           count, columns, spec_.first_row.data(),
                          spec_.cardinality.data(), spec_.position.data()};
    if (columns > 0 &&
        embedding_loops_.gather(spec_.tables, singles, result, 0, count * columns) >= 0)
      return false;
    for (size_t list = 0; list < spec_.lists.size(); ++list) {
      const ListColumn &column = spec_.lists[list];
      const ListIds &ids = rows.lists[list];
      const Bag bag{ids.ids, ids.count,          ids.offsets + first, count,
                    column.first_row, column.cardinality, column.position,
                    column.weights.data(), static_cast<int64_t>(column.weights.size())};
      if (embedding_loops_.pool(spec_.tables, bag, spec_.pooling, result, 0, count, block.sum) >= 0)
        return false;
    }
    interaction_.forward(shape_, shape_.has_dense ? dense : nullptr, block.embeddings, out, 0,
                         count, block.interaction);
    dense += count * shape_.dim * bytes_each;
    out += count * shape_.width() * bytes_each;
  }
  return true;
}

}  // namespace plumbline
