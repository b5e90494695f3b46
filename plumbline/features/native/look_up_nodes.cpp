// Nodes that look up keys in an index, and what is at their positions.
#include <algorithm>
#include <array>

#include "nodes.h"

namespace plumbline {
namespace {

// Sets out[i] to at(position) or, for a key without a position, to unseen(i) or null.
template <class T, class At, class Unseen>
void look_at(const Tile &tile, const std::vector<size_t> &sources, T *out, T null, At at, Unseen unseen) {
  const int64_t *const positions = std::get<Column<const int64_t>>(tile.values(sources[0])).data();
  const auto is_null = [&](size_t row) {
    return std::all_of(sources.begin() + 1, sources.end(),
                       [&](size_t part) { return is_missing(tile.values(part), row); });
  };
  for (size_t i = 0; i < tile.size; ++i) {
    const int64_t position = positions[i];
    out[i] = position >= 0 ? at(static_cast<size_t>(position)) : is_null(i) ? null : unseen(i);
  }
}

}  // namespace

void LookUpQueue::resolve() {
  std::array<int64_t, kBlock> found;
  for (size_t i = 0; i < count_; ++i) {
    const Query &query = block_[i];
    const Index &index = *query.index;
    found[i] = index.is_text() ? index.candidate(query.hash) : index.find(query.hash, query.integer);
    if (index.is_text() && found[i] >= 0) index.prefetch_offset(found[i]);
  }
  const auto is_candidate = [&](size_t i) { return found[i] >= 0 && block_[i].index->is_text(); };
  for (size_t i = 0; i < count_; ++i)
    if (is_candidate(i)) block_[i].index->prefetch_string(found[i]);
  for (size_t i = 0; i < count_; ++i) {
    const auto &[index, integer, data, length, hash, position] = block_[i];
    if (is_candidate(i) && !index->is_at(found[i], data, length))
      found[i] = index->find(hash, data, length);
    *position = found[i];
  }
  count_ = 0;
}

void LookUp::run(Tile &tile, size_t self) const {
  int64_t *const positions = tile.integers(self);
  if (index_->is_text()) {
    index_->positions(std::get<Strings>(tile.values(sources[0])), positions);
  } else {
    index_->positions(std::get<Column<const int64_t>>(tile.values(sources[0])), positions);
  }
}

bool LookUp::queue(Tile &tile, size_t self, LookUpQueue &queue) const {
  int64_t *const positions = tile.integers(self);
  if (index_->is_text()) {
    const auto &texts = std::get<Strings>(tile.values(sources[0]));
    for (size_t i = 0; i < tile.size; ++i)
      queue.put(*index_, texts.at(i), texts.length(i), positions + i);
  } else {
    const auto &integers = std::get<Column<const int64_t>>(tile.values(sources[0]));
    for (size_t i = 0; i < tile.size; ++i) queue.put(*index_, integers[i], positions + i);
  }
  return true;
}

void IdsAt::run(Tile &tile, size_t self) const {
  const auto unseen = [&](size_t row) {
    if (ids_.unseen_slots <= 1) return ids_.unseen;
    uint64_t hash = 0;
    for (auto part = sources.begin() + 1; part != sources.end(); ++part)
      hash ^= value_hash(tile.values(*part), row);
    return ids_.unseen + static_cast<int64_t>(hash % ids_.unseen_slots);
  };
  look_at(
      tile, sources, tile.integers(self), ids_.null,
      [&](size_t position) { return ids_.first + static_cast<int64_t>(position); }, unseen);
}

void NumbersAt::run(Tile &tile, size_t self) const {
  look_at(
      tile, sources, tile.numbers(self), table_.null,
      [&](size_t position) { return table_.values[position]; },
      [&](size_t) { return table_.unseen; });
}

}  // namespace plumbline
