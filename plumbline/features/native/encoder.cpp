#include "encoder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "logarithm.h"

#if defined(__x86_64__) && defined(__gnu_linux__)
#define PLUMBLINE_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define PLUMBLINE_CLONES
#endif

namespace plumbline {
namespace {

constexpr size_t kTile = 256;        // numbers that go through each operation together
constexpr size_t kFewRows = 64;      // up to this many rows, columns share one queue of look-ups
constexpr size_t kAhead = 32;        // look-ups prefetched ahead
constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

using Code = Operation::Code;

PLUMBLINE_CLONES
void apply(Code code, double a, double b, double *values, size_t size) {
  switch (code) {
    case Code::kFillMissing:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? a : values[i];
      break;
    case Code::kClip:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] < a ? a : values[i];
      for (size_t i = 0; i < size; ++i) values[i] = values[i] > b ? b : values[i];
      break;
    case Code::kLog:
      for (size_t i = 0; i < size; ++i) values[i] = logarithm(1.0 + values[i]);
      break;
    case Code::kNormalize:
      if (!(b > 0)) {
        for (size_t i = 0; i < size; ++i) values[i] = values[i] - a;
      } else {
        for (size_t i = 0; i < size; ++i) values[i] = (values[i] - a) / b;
      }
      break;
    case Code::kNormalizeMinMax:
      if (b > a) {
        const double range = b - a;
        for (size_t i = 0; i < size; ++i) values[i] = (values[i] - a) / range;
      } else {
        for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? values[i] : 0.5;
      }
      break;
    case Code::kIsMissing:
      for (size_t i = 0; i < size; ++i) values[i] = values[i] != values[i] ? 1 : 0;
      break;
    case Code::kInterpolate:
      break;  // see interpolate()
  }
}

// The number of ascending numbers at or below the value; all of them for NaN. No branch depends on the
// value, since every second one would be mispredicted.
size_t at_or_below(const double *numbers, size_t size, double value) {
  size_t count = 0;
  while (size > 0) {
    const size_t half = (size + 1) / 2;
    count += value < numbers[count + half - 1] ? 0 : half;
    size -= half;
  }
  return count;
}

// Constant before the first point and after the last; see
// plumbline/features/operators/quantile_transform.py.
void interpolate(const std::vector<double> &numbers, double *values, size_t size) {
  const size_t points = numbers.size() / 2;
  const double *const x = numbers.data(), *const y = x + points;
  for (size_t i = 0; i < size; ++i) {
    if (values[i] != values[i]) continue;
    if (points == 1) {
      values[i] = y[0];
      continue;
    }
    const double clamped = std::min(std::max(values[i], x[0]), x[points - 1]);
    // The line that the number is on; the last point belongs to the line that ends in it.
    const size_t line = at_or_below(x + 1, points - 2, clamped);
    const double share = (clamped - x[line]) / (x[line + 1] - x[line]);
    values[i] = y[line] + share * (y[line + 1] - y[line]);
  }
}

PLUMBLINE_CLONES
void widen(const float *from, double *to, size_t size) {
  for (size_t i = 0; i < size; ++i) to[i] = from[i];
}

void read(const Request &request, const Position &position, size_t first, size_t size, double *to) {
  if (position.kind == Kind::kNumbers) {
    const auto column = request.numbers[position.tensor].column(position.column);
    if (column.contiguous()) {
      widen(column.data() + first, to, size);
      return;
    }
    for (size_t i = 0; i < size; ++i) to[i] = column[first + i];
  } else if (position.kind == Kind::kIntegers) {
    const auto column = request.integers[position.tensor].column(position.column);
    for (size_t i = 0; i < size; ++i) {
      const int64_t value = column[first + i];
      to[i] = value == kNullInt64 ? kMissing : static_cast<double>(value);
    }
  } else {
    const Strings &strings = request.texts[position.tensor].strings();
    for (size_t i = 0; i < size; ++i) to[i] = strings.length(first + i) == 0 ? kMissing : 0.0;
  }
}

uint64_t remainder(uint64_t hash, uint64_t buckets) {
  return std::has_single_bit(buckets) ? hash & (buckets - 1) : hash % buckets;
}

int64_t bucket(double value, const std::vector<double> &boundaries) {
  return static_cast<int64_t>(at_or_below(boundaries.data(), boundaries.size(), value));
}

template <class Hash>
int64_t id_of(int64_t position, bool is_null, const Ids &ids, Hash hash) {
  if (position >= 0) return ids.first + position;
  if (is_null) return ids.null;
  if (ids.unseen_slots <= 1) return ids.unseen;
  return ids.unseen + static_cast<int64_t>(remainder(hash(), ids.unseen_slots));
}

int64_t integer_id(const Index &index, const Ids &ids, int64_t value, uint64_t hash) {
  return id_of(index.find(hash, value), value == kNullInt64, ids,
               [&] { return pandas_mix(static_cast<uint64_t>(value)); });
}

// Looks up many rows of one column.
template <class Id>
void look_up_column(const Index &index, const Ids &ids, Column<const int64_t> values, Column<Id> out) {
  std::array<int64_t, kTile> positions;
  for (size_t first = 0; first < values.size; first += kTile) {
    const auto part = values.from(first, std::min(kTile, values.size - first));
    index.positions(part, positions.data());
    for (size_t i = 0; i < part.size; ++i)
      out[first + i] = static_cast<Id>(id_of(positions[i], part[i] == kNullInt64, ids, [&] {
        return pandas_mix(static_cast<uint64_t>(part[i]));
      }));
  }
}

// Looks up integers of any columns. A ring holds the look-ups whose buckets are being prefetched.
template <class Id>
class IntegerQueue {
 public:
  ~IntegerQueue() {
    for (size_t at = count_ > kAhead ? count_ - kAhead : 0; at < count_; ++at)
      resolve(ring_[at % kAhead]);
  }
  void put(const Index &index, const Ids &ids, int64_t value, Id *out) {
    Query &query = ring_[count_ % kAhead];
    if (count_ >= kAhead) resolve(query);
    query = {&index, &ids, value, integer_hash(value), out};
    index.prefetch(query.hash);
    ++count_;
  }

 private:
  struct Query {
    const Index *index;
    const Ids *ids;
    int64_t value;
    uint64_t hash;
    Id *out;
  };
  static void resolve(const Query &query) {
    *query.out = static_cast<Id>(integer_id(*query.index, *query.ids, query.value, query.hash));
  }

  std::array<Query, kAhead> ring_;
  size_t count_ = 0;
};

// Looks up text of any columns. A full block goes through each step together.
template <class Id>
class TextQueue {
 public:
  ~TextQueue() { resolve(); }
  void put(const Index &index, const Ids &ids, const uint8_t *data, size_t length, Id *out) {
    Query &query = block_[count_++];
    query = {&index, &ids, data, length, text_hash(data, length), -1, out};
    index.prefetch(query.hash);
    if (count_ == block_.size()) resolve();
  }

 private:
  struct Query {
    const Index *index;
    const Ids *ids;
    const uint8_t *data;
    size_t length;
    uint64_t hash;
    int64_t position;
    Id *out;
  };
  void resolve() {
    for (size_t i = 0; i < count_; ++i) {
      Query &query = block_[i];
      query.position = query.index->candidate(query.hash);
      if (query.position >= 0) query.index->prefetch_offset(query.position);
    }
    for (size_t i = 0; i < count_; ++i)
      if (block_[i].position >= 0) block_[i].index->prefetch_string(block_[i].position);
    for (size_t i = 0; i < count_; ++i) {
      Query &query = block_[i];
      if (query.position >= 0 && !query.index->is_at(query.position, query.data, query.length))
        query.position = query.index->find(query.hash, query.data, query.length);
      *query.out = static_cast<Id>(id_of(query.position, query.length == 0, *query.ids, [&] {
        return pandas_text_hash(query.data, query.length);
      }));
    }
    count_ = 0;
  }

  std::array<Query, 64> block_;
  size_t count_ = 0;
};

}  // namespace

Operation Operation::named(const std::string &name, std::vector<double> numbers) {
  static constexpr std::pair<const char *, Code> known[] = {
      {"fill_missing", Code::kFillMissing}, {"clip", Code::kClip},
      {"log", Code::kLog},                  {"normalize", Code::kNormalize},
      {"normalize_min_max", Code::kNormalizeMinMax}, {"is_missing", Code::kIsMissing},
      {"interpolate", Code::kInterpolate}};
  for (const auto &[known_name, code] : known) {
    if (name != known_name) continue;
    const bool fits = code == Code::kInterpolate ? numbers.size() >= 2 && numbers.size() % 2 == 0
                                                 : numbers.size() == 2;
    if (!fits)
      throw std::invalid_argument("'" + name + "' cannot take " + std::to_string(numbers.size()) +
                                  " numbers");
    return {code, std::move(numbers)};
  }
  throw std::invalid_argument("No operation is called '" + name + "'");
}

void Encoder::want(const Position &position) {
  size_t &tensors = tensors_[static_cast<size_t>(position.kind)];
  tensors = std::max(tensors, position.tensor + 1);
  positions_.push_back(position);
}

void Encoder::add_look_up(const Position &position, std::shared_ptr<const Index> index, const Ids &ids,
                          size_t out) {
  if (position.kind == Kind::kNumbers || (position.kind == Kind::kTexts) != index->is_text())
    throw std::invalid_argument("A look-up wants integers or text, and an index of the same kind");
  want(position);
  id_columns_ = std::max(id_columns_, out + 1);
  auto &look_ups = index->is_text() ? text_look_ups_ : integer_look_ups_;
  look_ups.push_back({position, std::move(index), ids, out});
}

void Encoder::add_hash(const Position &position, std::vector<Operation> operations, uint64_t buckets,
                       int64_t first, int64_t null, size_t out) {
  if (buckets == 0) throw std::invalid_argument("Hashing wants one bucket or more, got 0");
  if (position.kind != Kind::kNumbers && !operations.empty())
    throw std::invalid_argument("Operations before hashing want numbers");
  want(position);
  id_columns_ = std::max(id_columns_, out + 1);
  if (position.kind == Kind::kNumbers) {
    numbers_.push_back(
        {position, std::move(operations), Number::Use::kHash, {}, buckets, first, null, out});
  } else {
    hashes_.push_back({position, buckets, first, null, out});
  }
}

void Encoder::add_bucketize(const Position &position, std::vector<Operation> operations,
                            std::vector<double> boundaries, int64_t first, int64_t null, size_t out) {
  if (!std::is_sorted(boundaries.begin(), boundaries.end()))
    throw std::invalid_argument("Boundaries must ascend");
  want(position);
  id_columns_ = std::max(id_columns_, out + 1);
  numbers_.push_back({position, std::move(operations), Number::Use::kBucketize, std::move(boundaries), 1,
                      first, null, out});
}

void Encoder::add_chain(const Position &position, std::vector<Operation> operations, size_t out) {
  want(position);
  dense_columns_ = std::max(dense_columns_, out + 1);
  numbers_.push_back({position, std::move(operations), Number::Use::kDense, {}, 1, 0, 0, out});
}

size_t Encoder::check(const Request &request, size_t id_columns, size_t dense_columns) const {
  static constexpr const char *names[] = {"numbers", "integers", "texts"};
  const size_t got[] = {request.numbers.size(), request.integers.size(), request.texts.size()};
  for (int kind = 0; kind < 3; ++kind)
    if (got[kind] < tensors_[kind])
      throw std::invalid_argument(std::string(names[kind]) + ": wanted " +
                                  std::to_string(tensors_[kind]) + " tensor(s), got " +
                                  std::to_string(got[kind]));
  if (id_columns < id_columns_ || dense_columns < dense_columns_)
    throw std::invalid_argument("The outputs have fewer columns than the jobs write");
  size_t rows = SIZE_MAX;
  for (const Position &position : positions_) {
    size_t columns = 1, tensor_rows = 0;
    if (position.kind == Kind::kNumbers) {
      tensor_rows = request.numbers[position.tensor].rows();
      columns = request.numbers[position.tensor].columns();
    } else if (position.kind == Kind::kIntegers) {
      tensor_rows = request.integers[position.tensor].rows();
      columns = request.integers[position.tensor].columns();
    } else {
      tensor_rows = request.texts[position.tensor].strings().size;
    }
    if (position.column >= columns)
      throw std::invalid_argument(std::string(names[static_cast<int>(position.kind)]) + " " +
                                  std::to_string(position.tensor) + ": wanted column " +
                                  std::to_string(position.column) + ", got " +
                                  std::to_string(columns) + " column(s)");
    if (rows != SIZE_MAX && rows != tensor_rows)
      throw std::invalid_argument("All inputs must have the same number of rows, got " +
                                  std::to_string(rows) + " and " + std::to_string(tensor_rows));
    rows = tensor_rows;
  }
  return rows == SIZE_MAX ? 0 : rows;
}

template <class Id>
void Encoder::look_up_integers(const Request &request, const std::vector<Column<Id>> &ids,
                               size_t rows) const {
  if (rows > kFewRows) {
    for (const LookUp &job : integer_look_ups_) {
      const auto &[kind, tensor, column] = job.position;
      look_up_column(*job.index, job.ids, request.integers[tensor].column(column), ids[job.out]);
    }
    return;
  }
  IntegerQueue<Id> queue;
  for (const LookUp &job : integer_look_ups_) {
    const auto values = request.integers[job.position.tensor].column(job.position.column);
    for (size_t row = 0; row < rows; ++row)
      queue.put(*job.index, job.ids, values[row], &ids[job.out][row]);
  }
}

int64_t Encoder::number_id(const Number &job, double value) {
  if (std::isnan(value) && job.null >= 0) return job.null;
  if (job.use == Number::Use::kBucketize) return job.first + bucket(value, job.boundaries);
  const uint64_t hash = pandas_mix(std::bit_cast<uint64_t>(value + 0.0));
  return job.first + static_cast<int64_t>(remainder(hash, job.buckets));
}

template <class Id>
void Encoder::look_up_texts(const Request &request, const std::vector<Column<Id>> &ids,
                            size_t rows) const {
  if (text_look_ups_.empty()) return;
  TextQueue<Id> queue;
  for (const LookUp &job : text_look_ups_) {
    const Strings &strings = request.texts[job.position.tensor].strings();
    for (size_t row = 0; row < rows; ++row)
      queue.put(*job.index, job.ids, strings.at(row), strings.length(row), &ids[job.out][row]);
  }
}

template <class Id>
void Encoder::run(const Request &request, const std::vector<Column<Id>> &ids,
                  const std::vector<Column<float>> &dense) const {
  const size_t rows = !ids.empty() ? ids[0].size : dense.empty() ? 0 : dense[0].size;
  look_up_integers(request, ids, rows);
  look_up_texts(request, ids, rows);
  for (const Hash &job : hashes_) {
    const auto put = [&](size_t row, bool is_null, auto hash) {
      ids[job.out][row] = static_cast<Id>(
          is_null && job.null >= 0
              ? job.null
              : job.first + static_cast<int64_t>(remainder(hash(), job.buckets)));
    };
    if (job.position.kind == Kind::kIntegers) {
      const auto values = request.integers[job.position.tensor].column(job.position.column);
      for (size_t row = 0; row < rows; ++row)
        put(row, values[row] == kNullInt64,
            [&] { return pandas_mix(static_cast<uint64_t>(values[row])); });
    } else {
      const Strings &strings = request.texts[job.position.tensor].strings();
      for (size_t row = 0; row < rows; ++row)
        put(row, strings.length(row) == 0,
            [&] { return pandas_text_hash(strings.at(row), strings.length(row)); });
    }
  }
  std::array<double, kTile> tile;
  for (size_t first = 0; first < rows; first += kTile) {
    const size_t size = std::min(kTile, rows - first);
    for (const Number &job : numbers_) {
      read(request, job.position, first, size, tile.data());
      for (const Operation &operation : job.operations) {
        const auto &numbers = operation.numbers;
        if (operation.code == Code::kInterpolate) {
          interpolate(numbers, tile.data(), size);
        } else {
          apply(operation.code, numbers[0], numbers[1], tile.data(), size);
        }
      }
      if (job.use == Number::Use::kDense) {
        const Column<float> out = dense[job.out].from(first, size);
        for (size_t i = 0; i < size; ++i) out[i] = static_cast<float>(tile[i]);
      } else {
        const Column<Id> out = ids[job.out].from(first, size);
        for (size_t i = 0; i < size; ++i) out[i] = static_cast<Id>(number_id(job, tile[i]));
      }
    }
  }
}

template void Encoder::run<int32_t>(const Request &, const std::vector<Column<int32_t>> &,
                                    const std::vector<Column<float>> &) const;
template void Encoder::run<int64_t>(const Request &, const std::vector<Column<int64_t>> &,
                                    const std::vector<Column<float>> &) const;

}  // namespace plumbline
