// Encodes many columns of a request or a batch in one call: integers and text to ids, numbers to
// float32.
//
// Add all jobs first; afterwards the encoder is read-only, and run() is thread-safe. Output columns
// without a job are left unchanged. Zero rows and zero jobs are valid.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arrays.h"
#include "index.h"

namespace plumbline {

// An operation on float64 numbers; NaN is the missing value.
struct Operation {
  enum class Code {
    kFillMissing, kClip, kLog, kNormalize, kNormalizeMinMax, kIsMissing, kInterpolate
  };
  Code code;
  // Two operands; for interpolation, the points and then as many heights.
  std::vector<double> numbers;

  // Throws std::invalid_argument for an unknown name or a wrong number of operands.
  static Operation named(const std::string &name, std::vector<double> numbers);
};

struct Request {
  std::vector<Matrix<const float>> numbers;
  std::vector<Matrix<const int64_t>> integers;
  std::vector<TextArrays> texts;
};

enum class Kind { kNumbers, kIntegers, kTexts };

// Where a raw column is in a request: the kind of tensor, its index, and the column in it.
struct Position {
  Kind kind;
  size_t tensor, column;
};

// The ids of positions from `first` on, of missing values, and of values without a position.
struct Ids {
  int64_t first, null, unseen;
  uint64_t unseen_slots;  // if above 1: unseen + pandas' hash % unseen_slots
};

class Encoder {
 public:
  void add_look_up(const Position &position, std::shared_ptr<const Index> index, const Ids &ids,
                   size_t out);
  // first + pandas' hash % buckets. A missing value gives `null`; if that is negative, it is hashed too.
  // The number -0.0 is hashed as 0.0.
  void add_hash(const Position &position, std::vector<Operation> operations, uint64_t buckets,
                int64_t first, int64_t null, size_t out);
  // first + the number of boundaries at or below the value. A missing value gives `null`.
  void add_bucketize(const Position &position, std::vector<Operation> operations,
                     std::vector<double> boundaries, int64_t first, int64_t null, size_t out);
  // The number in float32. Text is 0, or missing if empty.
  void add_chain(const Position &position, std::vector<Operation> operations, size_t out);

  // Returns the number of rows. Throws std::invalid_argument if a job's tensor or column does not
  // exist, or the tensors differ in their number of rows.
  size_t check(const Request &request, size_t id_columns, size_t dense_columns) const;
  // `ids` and `dense` are the output columns, with as many rows as check() returned.
  template <class Id>
  void run(const Request &request, const std::vector<Column<Id>> &ids,
           const std::vector<Column<float>> &dense) const;

 private:
  struct LookUp {
    Position position;
    std::shared_ptr<const Index> index;
    Ids ids;
    size_t out;
  };
  struct Number {
    Position position;
    std::vector<Operation> operations;
    enum class Use { kDense, kBucketize, kHash } use;
    std::vector<double> boundaries;
    uint64_t buckets;
    int64_t first, null;
    size_t out;
  };
  struct Hash {
    Position position;
    uint64_t buckets;
    int64_t first, null;
    size_t out;
  };

  template <class Id>
  void look_up_integers(const Request &, const std::vector<Column<Id>> &, size_t rows) const;
  template <class Id>
  void look_up_texts(const Request &, const std::vector<Column<Id>> &, size_t rows) const;

  static int64_t number_id(const Number &job, double value);

  void want(const Position &position);

  std::vector<LookUp> integer_look_ups_, text_look_ups_;
  std::vector<Number> numbers_;
  std::vector<Hash> hashes_;
  size_t id_columns_ = 0, dense_columns_ = 0;
  size_t tensors_[3] = {};  // the number of each kind that jobs read
  std::vector<Position> positions_;
};

}  // namespace plumbline
