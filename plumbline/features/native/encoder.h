// Many columns of a request, or of a batch, in one call: integers and text to ids, numbers to float32.
//
// Jobs are added first; after that an encoder only reads, so any number of threads may run it. Output
// columns that no job names are left as they are. No row, no job: nothing happens.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "arrays.h"
#include "index.h"

namespace plumbline {

// One operation on a number in float64; NaN is a missing one.
struct Operation {
  enum class Code {
    kFillMissing, kClip, kLog, kNormalize, kNormalizeMinMax, kIsMissing, kInterpolate
  };
  Code code;
  // Two, of interpolation the points and as many heights.
  std::vector<double> numbers;

  // Throws std::invalid_argument for a name that is none of them, or for other numbers.
  static Operation named(const std::string &name, std::vector<double> numbers);
};

struct Request {
  std::vector<Matrix<const float>> numbers;
  std::vector<Matrix<const int64_t>> integers;
  std::vector<TextArrays> texts;
};

enum class Kind { kNumbers, kIntegers, kTexts };

struct Place {
  Kind kind;
  size_t tensor, column;
};

// What becomes of a position, or of a value that has none.
struct Ids {
  int64_t first, null, unseen;
  uint64_t unseen_slots;  // with more than one: unseen + pandas' hash % unseen_slots
};

class Encoder {
 public:
  void add_look_up(const Place &place, std::shared_ptr<const Index> index, const Ids &ids,
                   size_t out);
  // first + pandas' hash % buckets; a missing value gives `null`, or is hashed where that is negative.
  // Of numbers -0.0 is hashed as 0.0.
  void add_hash(const Place &place, std::vector<Operation> operations, uint64_t buckets, int64_t first,
                int64_t null, size_t out);
  // first + the number of boundaries that are not above the value; a missing one gives `null`.
  void add_bucketize(const Place &place, std::vector<Operation> operations,
                     std::vector<double> boundaries, int64_t first, int64_t null, size_t out);
  // The number itself, in float32. Text counts as 0 or missing.
  void add_chain(const Place &place, std::vector<Operation> operations, size_t out);

  // Throws std::invalid_argument where a tensor or a column that a job names is not there, or the
  // numbers of rows differ.
  size_t check(const Request &request, size_t id_columns, size_t dense_columns) const;
  // `ids` and `dense`: the output columns, of as many rows as check() gave.
  template <class Id>
  void run(const Request &request, const std::vector<Column<Id>> &ids,
           const std::vector<Column<float>> &dense) const;

 private:
  struct LookUp {
    Place place;
    std::shared_ptr<const Index> index;
    Ids ids;
    size_t out;
  };
  struct Number {
    Place place;
    std::vector<Operation> operations;
    enum class Use { kDense, kBucketize, kHash } use;
    std::vector<double> boundaries;
    uint64_t buckets;
    int64_t first, null;
    size_t out;
  };
  struct Hash {
    Place place;
    uint64_t buckets;
    int64_t first, null;
    size_t out;
  };

  template <class Id>
  void look_up_integers(const Request &, const std::vector<Column<Id>> &, size_t rows) const;
  template <class Id>
  void look_up_texts(const Request &, const std::vector<Column<Id>> &, size_t rows) const;

  static int64_t number_id(const Number &job, double value);

  void want(const Place &place);

  std::vector<LookUp> integer_look_ups_, text_look_ups_;
  std::vector<Number> numbers_;
  std::vector<Hash> hashes_;
  size_t id_columns_ = 0, dense_columns_ = 0;
  size_t tensors_[3] = {};  // how many of each kind are wanted
  std::vector<Place> places_;
};

}  // namespace plumbline
