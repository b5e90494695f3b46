// The nodes of an encoder. Each computes a column from those of other nodes: a raw column, numbers and
// operations on them, the key of several columns, its position in an index, and what is at that
// position.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "columns.h"
#include "index.h"
#include "numbers.h"

namespace plumbline {

inline constexpr size_t kTile = 256;  // the most rows that go through the nodes together

// Where a raw column is in a request: the kind of tensor, its index, and the column in it.
struct Position {
  enum class Kind { kNumbers, kDoubles, kIntegers, kTexts } kind;
  size_t tensor, column;
};

struct Request {
  std::vector<Matrix<const float>> numbers;
  std::vector<Matrix<const double>> doubles;
  std::vector<Matrix<const int64_t>> integers;
  std::vector<TextArrays> texts;
};

// The ids of positions from `first` on, of keys whose parts are all missing, and of other values without
// a position.
struct Ids {
  int64_t first, null, unseen;
  uint64_t unseen_slots;  // if above 1: unseen + the parts' combined hash % unseen_slots
};

// The numbers at positions, of keys whose parts are all missing, and of other values without a position.
struct NumberTable {
  std::vector<double> values;
  double null, unseen;
};

// The integers at positions, and of keys whose parts are all missing; others are missing.
struct IntegerTable {
  std::vector<int64_t> values;
  int64_t null;
};

// The same of texts.
struct TextTable {
  std::vector<int64_t> offsets;
  std::vector<uint8_t> data;
  std::string null;

  std::string_view at(size_t row) const {
    const auto *const first = reinterpret_cast<const char *>(data.data()) + offsets[row];
    return {first, static_cast<size_t>(offsets[row + 1] - offsets[row])};
  }
};

// Each node's part of the memory, in columns. Nodes whose columns are not needed at the same time can
// share one; raw columns have none.
struct Slots {
  std::vector<size_t> of_node;
  size_t used = 0;
};

// The rows that go through the nodes together, and each node's column of them once it is computed.
class Tile {
 public:
  Tile(const Request &request, const Slots &slots, size_t most_rows)
      : request(request), slots_(slots), stride_(most_rows + 1), values_(slots.of_node.size()),
        memory_(std::make_unique_for_overwrite<int64_t[]>(slots.used * stride_)) {}

  const Request &request;
  size_t first = 0, size = 0;

  const Values &values(size_t node) const { return values_[node]; }
  std::vector<const Values *> values(const std::vector<size_t> &nodes) const {
    std::vector<const Values *> result;
    for (const size_t node : nodes) result.push_back(&values_[node]);
    return result;
  }
  void set(size_t node, const Values &values) { values_[node] = values; }

  // The node's column becomes `size` integers, or numbers, that the caller writes.
  int64_t *integers(size_t node) {
    int64_t *const memory = offsets(node);
    values_[node] = Column<const int64_t>{reinterpret_cast<const char *>(memory), 8, size};
    return memory;
  }
  double *numbers(size_t node) {
    auto *const memory = reinterpret_cast<double *>(offsets(node));
    values_[node] = Column<const double>{reinterpret_cast<const char *>(memory), 8, size};
    return memory;
  }
  // The node's column becomes copies of `size` texts.
  void set_texts(size_t node, const std::string_view *texts) {
    int64_t *const ends = offsets(node);
    std::vector<uint8_t> &copied = bytes(node);
    copied.clear();
    ends[0] = 0;
    for (size_t i = 0; i < size; ++i) {
      copied.insert(copied.end(), texts[i].begin(), texts[i].end());
      ends[i + 1] = static_cast<int64_t>(copied.size());
    }
    values_[node] = Strings{ends, copied.data(), size};
  }
  // Memory of a node for size + 1 offsets of text, and for its bytes.
  int64_t *offsets(size_t node) { return memory_.get() + slots_.of_node[node] * stride_; }
  std::vector<uint8_t> &bytes(size_t node) { return bytes_[node]; }

 private:
  const Slots &slots_;
  size_t stride_;
  std::vector<Values> values_;
  std::map<size_t, std::vector<uint8_t>> bytes_;
  std::unique_ptr<int64_t[]> memory_;
};

// Looks up integers of any indexes. A ring holds the look-ups whose buckets are being fetched.
class IntegerQueue {
 public:
  // Sets positions[i] to that of values[i], by the next resolve() at the latest.
  void put(const Index &index, const Column<const int64_t> values, int64_t *positions) {
    size_t count = count_;
    for (size_t i = 0; i < values.size; ++i, ++count) {
      Query &query = ring_[count % kAhead];
      if (count >= kAhead) resolve(query);
      query = {&index, values[i], integer_hash(values[i]), positions + i};
      index.prefetch(query.hash);
    }
    count_ = count;
  }
  void resolve() {
    for (size_t at = count_ > kAhead ? count_ - kAhead : 0; at < count_; ++at)
      resolve(ring_[at % kAhead]);
    count_ = 0;
  }

 private:
  struct Query {
    const Index *index;
    int64_t value;
    uint64_t hash;
    int64_t *position;
  };
  static void resolve(const Query &query) {
    *query.position = query.index->find(query.hash, query.value);
  }

  static constexpr size_t kAhead = 32;
  Query ring_[kAhead];
  size_t count_ = 0;
};

// Looks up text of any indexes. A full block goes through each step together, so that the memory of many
// look-ups is fetched at the same time.
class TextQueue {
 public:
  void put(const Index &index, const uint8_t *data, size_t length, int64_t *position) {
    Query &query = block_[count_++];
    query = {&index, data, length, text_hash(data, length), position};
    index.prefetch(query.hash);
    if (count_ == kBlock) resolve();
  }
  void resolve();

 private:
  struct Query {
    const Index *index;
    const uint8_t *data;
    size_t length;
    uint64_t hash;
    int64_t *position;
  };

  static constexpr size_t kBlock = 64;
  Query block_[kBlock];
  size_t count_ = 0;
};

struct LookUpQueue {
  void resolve() {
    integers.resolve();
    texts.resolve();
  }

  IntegerQueue integers;
  TextQueue texts;
};

class Node {
 public:
  Node(Type type, std::vector<size_t> sources) : type(type), sources(std::move(sources)) {}
  virtual ~Node() = default;

  // Computes the column of node `self` from those of its sources.
  virtual void run(Tile &tile, size_t self) const = 0;
  // The same in two steps: queue() puts look-ups into a queue, and finish() is called once they are
  // resolved. queue() returns false if the node has no look-ups.
  virtual bool queue(Tile &, size_t, LookUpQueue &) const { return false; }
  virtual void finish(Tile &, size_t) const {}

  const Type type;
  const std::vector<size_t> sources;
};

class RawColumn final : public Node {
 public:
  explicit RawColumn(const Position &position);
  void run(Tile &tile, size_t self) const override;
  const Position position;
};

// The source as numbers, and operations on them in order.
class Numbers : public Node {
 public:
  Numbers(size_t source, std::vector<Operation> operations)
      : Node(Type::kNumbers, {source}), operations(std::move(operations)) {}
  void run(Tile &tile, size_t self) const override;
  const std::vector<Operation> operations;
};

// The number of boundaries at or below the source's number; all of them for a missing one.
class Bucketize : public Node {
 public:
  Bucketize(size_t source, std::vector<double> boundaries);
  void run(Tile &tile, size_t self) const override;

 private:
  std::vector<double> boundaries_;
};

// The combined hash of the parts modulo `buckets`.
class HashBucket : public Node {
 public:
  HashBucket(std::vector<size_t> parts, uint64_t buckets);
  void run(Tile &tile, size_t self) const override;

 private:
  uint64_t buckets_;
};

// The source, with `value` for each missing integer or text.
class FillIntegers : public Node {
 public:
  FillIntegers(size_t source, int64_t value) : Node(Type::kIntegers, {source}), value_(value) {}
  void run(Tile &tile, size_t self) const override;

 private:
  int64_t value_;
};

class FillTexts : public Node {
 public:
  FillTexts(size_t source, std::string value)
      : Node(Type::kTexts, {source}), value_(std::move(value)) {}
  void run(Tile &tile, size_t self) const override;

 private:
  std::string value_;
};

// The parts packed into one text.
class Key : public Node {
 public:
  explicit Key(std::vector<size_t> parts) : Node(Type::kTexts, std::move(parts)) {}
  void run(Tile &tile, size_t self) const override;
};

// The position of the first source in an index, or -1.
class LookUp : public Node {
 public:
  LookUp(std::vector<size_t> sources, std::shared_ptr<const Index> index)
      : Node(Type::kIntegers, std::move(sources)), index_(std::move(index)) {}
  void run(Tile &tile, size_t self) const override;
  bool queue(Tile &tile, size_t self, LookUpQueue &queue) const override;
  const Index &index() const { return *index_; }

 private:
  std::shared_ptr<const Index> index_;
};

// The ids of the first source by its position in an index; the other sources are the parts of this key.
class LookUpIds : public LookUp {
 public:
  LookUpIds(std::vector<size_t> sources, std::shared_ptr<const Index> index, const Ids &ids)
      : LookUp(std::move(sources), std::move(index)), ids_(ids) {}
  void run(Tile &tile, size_t self) const override;
  void finish(Tile &tile, size_t self) const override;

 private:
  Ids ids_;
};

// The numbers at the positions in the first source; the others are the parts of the key.
class NumbersAt : public Node {
 public:
  NumbersAt(std::vector<size_t> sources, NumberTable table)
      : Node(Type::kNumbers, std::move(sources)), table_(std::move(table)) {}
  void run(Tile &tile, size_t self) const override;

 private:
  NumberTable table_;
};

// The same of integers.
class IntegersAt : public Node {
 public:
  IntegersAt(std::vector<size_t> sources, IntegerTable table)
      : Node(Type::kIntegers, std::move(sources)), table_(std::move(table)) {}
  void run(Tile &tile, size_t self) const override;

 private:
  IntegerTable table_;
};

// The same of texts.
class TextsAt : public Node {
 public:
  TextsAt(std::vector<size_t> sources, TextTable table)
      : Node(Type::kTexts, std::move(sources)), table_(std::move(table)) {}
  void run(Tile &tile, size_t self) const override;

 private:
  TextTable table_;
};

}  // namespace plumbline
