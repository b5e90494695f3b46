#include "scoring.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "scoring_blocks.h"
#include "with_instruction_set.h"

namespace plumbline {
namespace {

int64_t padded(int64_t width) { return round_up(width, kPanel); }

ScoringLoops loops_of(InstructionSet set, Dtype dtype) {
  return with(set, [dtype](auto compiled) { return scoring_loops<compiled()>(dtype); });
}

std::vector<LayerShape> shapes_of(const std::vector<LayerWeights> &layers) {
  return {layers.begin(), layers.end()};
}

NetworkShape shape_of(const ScoringSpec &spec) {
  return {{0, spec.columns.count(), spec.tables.dim, spec.continuous > 0},
          spec.continuous,
          shapes_of(spec.bottom),
          shapes_of(spec.top),
          spec.last};
}

int64_t checked_widest(const NetworkShape &shape) {
  shape.check();
  return padded(shape.widest());
}

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
    ids = parts.take<int64_t>(kLookUpRows * model.spec_.columns.singles() * 8);
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
      network_(shape_of(spec)),
      shape_(network_.interaction),
      interaction_(interaction::kernels(set, spec.dtype)),
      bottom_(spec.bottom, spec.dtype, loops_.round),
      top_(spec.top, spec.dtype, loops_.round),
      last_(spec.last.weight, spec.last.weight + spec.last.inputs),
      last_bias_(spec.last.bias[0]),
      widest_(checked_widest(network_)),
      most_rows_(rows_of_a_block(2 * widest_ * bytes_of(spec.dtype))),
      multiply_adds_(network_.multiply_adds()),
      scratch_(Block(*this, nullptr).bytes) {}

bool ScoringModel::takes(int64_t singles, int64_t continuous, size_t lists) const {
  return singles == spec_.columns.singles() && continuous == spec_.continuous &&
         lists == spec_.columns.lists.size();
}

bool ScoringModel::score(const EncodedRows &rows, float *probability, int threads) const {
  return score_in_blocks(rows.rows, most_rows_, multiply_adds_, threads, scratch_,
                         [&](int64_t begin, int64_t end, std::byte *scratch) {
                           return score_block(rows, begin, end, probability + begin, scratch);
                         });
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
    rows.copy_dense(begin, count, spec_.continuous, width, block.floats);
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
  const IdColumns &ids = spec_.columns;
  const int64_t columns = ids.singles();
  const int64_t bytes_each = bytes_of(spec_.dtype);
  const Result result{block.embeddings, spec_.dtype, shape_.features, false};
  const std::byte *dense = block.in;
  std::byte *out = block.out;
  for (int64_t first = begin; first < end; first += kLookUpRows) {
    const int64_t count = std::min(end - first, kLookUpRows);
    rows.copy_ids(first, count, columns, block.ids);
    const Singles singles{block.ids, count, columns, ids.first_row.data(), ids.cardinality.data(),
                          ids.position.data()};
    if (columns > 0 &&
        embedding_loops_.gather(spec_.tables, singles, result, 0, count * columns) >= 0)
      return false;
    for (size_t list = 0; list < ids.lists.size(); ++list) {
      const Bag bag = bag_of(ids.lists[list], rows.lists[list], first, count);
      if (embedding_loops_.pool(spec_.tables, bag, ids.pooling, result, 0, count, block.sum) >= 0)
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
