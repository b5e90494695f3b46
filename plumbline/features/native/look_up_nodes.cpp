// Nodes that look up keys in an index, and what is at their positions.
#include <algorithm>
#include <array>

#include "nodes.h"

namespace plumbline {
namespace {

// Sets out[i] to at(position) or, for a key without a position, to unseen(i) or null.
// The sources after the first are the parts of the key. `out` may be the memory of the positions.
template <class T, class At, class Unseen>
void look_at(const Tile &tile, const std::vector<size_t> &sources, const int64_t *positions, T *out,
             T null, At at, Unseen unseen) {
  const auto is_null = [&](size_t row) {
    return std::all_of(sources.begin() + 1, sources.end(),
                       [&](size_t part) { return is_missing(tile.values(part), row); });
  };
  for (size_t i = 0; i < tile.size; ++i) {
    const int64_t position = positions[i];
    out[i] = position >= 0 ? at(static_cast<size_t>(position)) : is_null(i) ? null : unseen(i);
  }
}

// Replaces positions of a key of one part by ids. No branch depends on a position, since many would be
// mispredicted.
void replace_positions(const Values &key, const Ids &ids, size_t size, int64_t *positions) {
  const int64_t first = ids.first, null = ids.null, unseen = ids.unseen;
  std::visit([=](const auto column) {
    for (size_t i = 0; i < size; ++i) {
      const int64_t absent = is_missing(column, i) ? null : unseen;
      positions[i] = positions[i] >= 0 ? first + positions[i] : absent;
    }
  }, key);
}

}  // namespace

void TextQueue::resolve() {
  for (size_t i = 0; i < count_; ++i) {
    const Query &query = block_[i];
    *query.position = query.index->candidate(query.hash);
    if (*query.position >= 0) query.index->prefetch_offset(*query.position);
  }
  for (size_t i = 0; i < count_; ++i)
    if (*block_[i].position >= 0) block_[i].index->prefetch_string(*block_[i].position);
  for (size_t i = 0; i < count_; ++i) {
    const auto &[index, data, length, hash, position] = block_[i];
    if (*position >= 0 && !index->is_at(*position, data, length))
      *position = index->find(hash, data, length);
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
      queue.texts.put(*index_, texts.at(i), texts.length(i), positions + i);
  } else {
    queue.integers.put(*index_, std::get<Column<const int64_t>>(tile.values(sources[0])), positions);
  }
  return true;
}

void LookUpIds::run(Tile &tile, size_t self) const {
  LookUp::run(tile, self);
  finish(tile, self);
}

void LookUpIds::finish(Tile &tile, size_t self) const {
  int64_t *const ids = tile.integers(self);  // the positions, until they are replaced
  if (sources.size() == 2 && ids_.unseen_slots <= 1)
    return replace_positions(tile.values(sources[1]), ids_, tile.size, ids);
  const auto unseen = [&](size_t row) {
    if (ids_.unseen_slots <= 1) return ids_.unseen;
    uint64_t hash = 0;
    for (auto part = sources.begin() + 1; part != sources.end(); ++part)
      hash ^= value_hash(tile.values(*part), row);
    return ids_.unseen + static_cast<int64_t>(hash % ids_.unseen_slots);
  };
  look_at(
      tile, sources, ids, ids, ids_.null,
      [&](size_t position) { return ids_.first + static_cast<int64_t>(position); }, unseen);
}

void NumbersAt::run(Tile &tile, size_t self) const {
  const auto &positions = std::get<Column<const int64_t>>(tile.values(sources[0]));
  look_at(
      tile, sources, positions.data(), tile.numbers(self), table_.null,
      [&](size_t position) { return table_.values[position]; },
      [&](size_t) { return table_.unseen; });
}

void IntegersAt::run(Tile &tile, size_t self) const {
  const auto &positions = std::get<Column<const int64_t>>(tile.values(sources[0]));
  look_at(
      tile, sources, positions.data(), tile.integers(self), table_.null,
      [&](size_t position) { return table_.values[position]; },
      [](size_t) { return kNullInt64; });
}

void TextsAt::run(Tile &tile, size_t self) const {
  const auto &positions = std::get<Column<const int64_t>>(tile.values(sources[0]));
  std::array<std::string_view, kTile> texts;
  look_at(
      tile, sources, positions.data(), texts.data(), std::string_view(table_.null),
      [&](size_t position) { return table_.at(position); },
      [](size_t) { return std::string_view(); });
  tile.set_texts(self, texts.data());
}

}  // namespace plumbline
