#include "scoring_int8.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "scoring_blocks.h"
#include "with_instruction_set.h"

namespace plumbline {
namespace {

NetworkShape checked_shape(const Int8ScoringSpec &spec) {
  NetworkShape shape{{0, spec.columns.count(), spec.tables.dim, spec.continuous > 0},
                     spec.continuous,
                     {spec.first.begin(), spec.first.end()},
                     {spec.top.begin(), spec.top.end()},
                     spec.last};
  shape.bottom.insert(shape.bottom.end(), spec.bottom.begin(), spec.bottom.end());
  shape.check();
  return shape;
}

void copy_numbers(const float *from, void *to, int64_t count) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(float));
}

int64_t padded(int64_t width) { return round_up(width, kPanel); }

}  // namespace

// Scratch memory of a thread: a layer quantizes the floats, and writes its outputs over them.
struct Int8ScoringModel::Block {
  float *floats, *others;
  Int8Rows inputs;
  int64_t *ids;
  Int8Vectors vectors;  // of kLookUpRows rows
  float *sum;
  int64_t bytes;

  Block(const Int8ScoringModel &model, std::byte *memory) {
    Parts parts(memory);
    const interaction::Shape &shape = model.shape_;
    const int64_t rows = model.most_rows_, widest = model.widest_;
    const int64_t stride = round_up(shape.dim, kInt8Unit), count = shape.vectors();
    floats = parts.take<float>(rows * widest * 4);
    others = parts.take<float>(rows * widest * 4);
    inputs = {parts.take<int8_t>(round_up(rows, kLookUpRows) * widest),
              parts.take<float>(rows * 4), 0};
    ids = parts.take<int64_t>(kLookUpRows * model.spec_.columns.singles() * 8);
    vectors = {{parts.take<int8_t>(kLookUpRows * count * stride),
                parts.take<float>(kLookUpRows * count * 4), stride},
               count,
               shape.has_dense};
    sum = parts.take<float>(shape.dim * 4);
    bytes = parts.taken();
  }
};

Int8ScoringModel::Int8ScoringModel(InstructionSet set, const Int8ScoringSpec &spec)
    : spec_(spec),
      loops_(with(set, [](auto compiled) { return int8_scoring_loops<compiled()>(); })),
      network_(checked_shape(spec)),
      shape_(network_.interaction),
      first_(spec.first, Dtype::float32, copy_numbers),
      bottom_(spec.bottom, false),
      top_(spec.top, shape_.features > 0),
      last_(spec.last.weight, spec.last.weight + spec.last.inputs),
      last_bias_(spec.last.bias[0]),
      widest_(round_up(network_.widest(), kInt8Unit)),
      most_rows_(rows_of_a_block(5 * widest_)),
      scratch_(Block(*this, nullptr).bytes) {}

bool Int8ScoringModel::takes(int64_t singles, int64_t continuous, size_t lists) const {
  return singles == spec_.columns.singles() && continuous == spec_.continuous &&
         lists == spec_.columns.lists.size();
}

bool Int8ScoringModel::score(const EncodedRows &rows, float *probability, int threads) const {
  return score_in_blocks(rows.rows, most_rows_, network_.multiply_adds(), threads, scratch_,
                         [&](int64_t begin, int64_t end, std::byte *scratch) {
                           return score_block(rows, begin, end, probability + begin, scratch);
                         });
}

bool Int8ScoringModel::score_block(const EncodedRows &rows, int64_t begin, int64_t end,
                                   float *probability, std::byte *scratch) const {
  Block block(*this, scratch);
  const int64_t count = end - begin;
  int64_t stride = 0;
  const auto layer = [&](const Int8Layer &weights, const LayerShape &shape) {
    block.inputs.stride = round_up(shape.inputs, kInt8Unit);
    loops_.quantize(block.floats, stride, shape.inputs, block.inputs, count);
    stride = padded(shape.outputs);
    loops_.linear_relu(weights, block.inputs, block.floats, stride, count);
  };
  if (spec_.continuous > 0) {
    stride = padded(spec_.first[0].outputs);
    const int64_t width = padded(spec_.continuous);
    rows.copy_dense(begin, count, spec_.continuous, width, block.others);
    loops_.first_layer(first_[0], block.others, width, block.floats, stride, count);
    for (size_t position = 0; position < spec_.bottom.size(); ++position)
      layer(bottom_[position], spec_.bottom[position]);
  }
  if (shape_.features > 0) {
    if (!interact(rows, begin, count, block)) return false;
    stride = padded(shape_.width());
  }
  for (size_t position = 0; position < spec_.top.size(); ++position)
    layer(top_[position], spec_.top[position]);
  loops_.logits(last_.data(), last_bias_, spec_.last.inputs, {block.floats, stride}, probability,
                count);
  for (int64_t row = 0; row < count; ++row)
    probability[row] = 1.0f / (1.0f + std::exp(-probability[row]));
  return true;
}

// From the dense vectors in `block.floats` to the interaction in `block.floats`.
bool Int8ScoringModel::interact(const EncodedRows &rows, int64_t begin, int64_t count,
                                Block &block) const {
  const int64_t dense_stride = padded(shape_.dim), stride = padded(shape_.width());
  const int64_t dense_width = shape_.has_dense ? shape_.dim : 0;
  const Int8Vectors &vectors = block.vectors;
  const int64_t row_numbers = vectors.vectors * vectors.rows.stride;
  for (int64_t first = 0; first < count; first += kLookUpRows) {
    const int64_t present = std::min(count - first, kLookUpRows);
    if (!look_up(rows, begin + first, present, block)) return false;
    for (int64_t row = 0; row < present; ++row) {
      const Int8Rows own{vectors.rows.numbers + row * row_numbers,
                         vectors.rows.scale + row * vectors.vectors, vectors.rows.stride};
      const float *dense = block.floats + (first + row) * dense_stride;
      float *out = block.others + (first + row) * stride;
      if (shape_.has_dense) {
        loops_.quantize(dense, dense_stride, shape_.dim, own, 1);
        copy_numbers(dense, out, dense_width);
      }
      loops_.dots(own, vectors.vectors, out + dense_width);
      std::fill(out + shape_.content(), out + stride, 0.0f);
    }
  }
  std::swap(block.floats, block.others);
  return true;
}

bool Int8ScoringModel::look_up(const EncodedRows &rows, int64_t begin, int64_t count,
                               const Block &block) const {
  const IdColumns &ids = spec_.columns;
  if (ids.singles() > 0) {
    rows.copy_ids(begin, count, ids.singles(), block.ids);
    const Singles singles{block.ids, count, ids.singles(), ids.first_row.data(),
                          ids.cardinality.data(), ids.position.data()};
    if (loops_.gather(spec_.tables, singles, block.vectors) >= 0) return false;
  }
  for (size_t list = 0; list < ids.lists.size(); ++list) {
    const Bag bag = bag_of(ids.lists[list], rows.lists[list], begin, count);
    if (loops_.pool(spec_.tables, bag, ids.pooling, block.vectors, block.sum) >= 0) return false;
  }
  return true;
}

}  // namespace plumbline
