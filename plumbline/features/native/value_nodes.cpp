// Nodes that compute with values: raw columns, numbers, buckets, hashes and keys.
#include <algorithm>
#include <array>
#include <bit>
#include <stdexcept>

#include "nodes.h"

namespace plumbline {
namespace {

uint64_t remainder(uint64_t hash, uint64_t buckets) {
  return std::has_single_bit(buckets) ? hash & (buckets - 1) : hash % buckets;
}

}  // namespace

RawColumn::RawColumn(const Position &position)
    : Node(position.kind == Position::Kind::kTexts      ? Type::kTexts
           : position.kind == Position::Kind::kIntegers ? Type::kIntegers
                                                        : Type::kNumbers,
           {}),
      position(position) {}

void RawColumn::run(Tile &tile, size_t self) const {
  const auto &[kind, tensor, column] = position;
  const auto part = [&](const auto &matrix) { return matrix.column(column).from(tile.first, tile.size); };
  switch (kind) {
    case Position::Kind::kNumbers:
      return tile.set(self, part(tile.request.numbers[tensor]));
    case Position::Kind::kDoubles:
      return tile.set(self, part(tile.request.doubles[tensor]));
    case Position::Kind::kIntegers:
      return tile.set(self, part(tile.request.integers[tensor]));
    case Position::Kind::kTexts:
      const Strings &strings = tile.request.texts[tensor].strings();
      return tile.set(self, Strings{strings.offsets + tile.first, strings.data, tile.size});
  }
}

void Numbers::run(Tile &tile, size_t self) const {
  double *const numbers = tile.numbers(self);
  read_numbers(tile.values(sources[0]), tile.size, numbers);
  for (const Operation &operation : operations) operation.apply(numbers, tile.size);
}

Bucketize::Bucketize(size_t source, std::vector<double> boundaries)
    : Node(Type::kIntegers, {source}), boundaries_(std::move(boundaries)) {
  if (!std::is_sorted(boundaries_.begin(), boundaries_.end()))
    throw std::invalid_argument("Boundaries must ascend");
}

void Bucketize::run(Tile &tile, size_t self) const {
  std::array<double, kTile> numbers;
  read_numbers(tile.values(sources[0]), tile.size, numbers.data());
  int64_t *const ids = tile.integers(self);
  for (size_t i = 0; i < tile.size; ++i)
    ids[i] = static_cast<int64_t>(at_or_below(boundaries_.data(), boundaries_.size(), numbers[i]));
}

HashBucket::HashBucket(std::vector<size_t> parts, uint64_t buckets)
    : Node(Type::kIntegers, std::move(parts)), buckets_(buckets) {
  if (buckets == 0) throw std::invalid_argument("Hashing wants one bucket or more, got 0");
}

void HashBucket::run(Tile &tile, size_t self) const {
  std::array<uint64_t, kTile> hashes;
  combined_hashes(tile.values(sources), tile.size, hashes.data());
  int64_t *const ids = tile.integers(self);
  for (size_t i = 0; i < tile.size; ++i)
    ids[i] = static_cast<int64_t>(remainder(hashes[i], buckets_));
}

void FillIntegers::run(Tile &tile, size_t self) const {
  const auto values = std::get<Column<const int64_t>>(tile.values(sources[0]));
  int64_t *const filled = tile.integers(self);
  for (size_t i = 0; i < tile.size; ++i) filled[i] = is_missing(values, i) ? value_ : values[i];
}

void FillTexts::run(Tile &tile, size_t self) const {
  const auto values = std::get<Strings>(tile.values(sources[0]));
  std::array<std::string_view, kTile> texts;
  for (size_t i = 0; i < tile.size; ++i) {
    const auto *const text = reinterpret_cast<const char *>(values.at(i));
    texts[i] = {text, values.length(i)};
    if (texts[i].empty()) texts[i] = value_;
  }
  tile.set_texts(self, texts.data());
}

void Key::run(Tile &tile, size_t self) const {
  int64_t *const offsets = tile.offsets(self);
  std::vector<uint8_t> &bytes = tile.bytes(self);
  const auto parts = tile.values(sources);
  bytes.resize(static_cast<size_t>(key_offsets(parts, tile.size, offsets)));
  pack_keys(parts, tile.size, offsets, bytes.data());
  tile.set(self, Strings{offsets, bytes.data(), tile.size});
}

}  // namespace plumbline
