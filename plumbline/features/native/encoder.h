// Encodes many columns of a request or a batch in one call: to ids, and to numbers in float32.
//
// Add all nodes, and set the outputs; afterwards the encoder is read-only, and run() is thread-safe. Output
// columns that no node is put into are left unchanged. Zero rows and zero outputs are valid.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "expression_nodes.h"
#include "nodes.h"

namespace plumbline {

class Encoder {
 public:
  Encoder() = default;
  Encoder(const Encoder &) = delete;
  Encoder &operator=(const Encoder &) = delete;

  // Each adds a node and returns its number. Throws std::invalid_argument if a source does not exist, or
  // has values of a type that the node cannot take.
  size_t raw_column(const Position &position);
  size_t operation(size_t source, Operation operation);
  size_t bucketize(size_t source, std::vector<double> boundaries);
  size_t hash_bucket(std::vector<size_t> parts, uint64_t buckets);
  size_t key(std::vector<size_t> parts);  // of integers or text
  size_t look_up(size_t source, std::shared_ptr<const Index> index);
  // The ids of a key, `source`, by its position in an index; `parts` are those of the key.
  size_t look_up_ids(size_t source, std::shared_ptr<const Index> index,
                     const std::vector<size_t> &parts, const Ids &ids);
  // `positions` is a node of look_up(), `parts` are those of its key; the table has a row a position.
  size_t numbers_at(size_t positions, const std::vector<size_t> &parts, NumberTable table);
  size_t integers_at(size_t positions, const std::vector<size_t> &parts, IntegerTable table);
  size_t texts_at(size_t positions, const std::vector<size_t> &parts, TextTable table);

  // The source with `value` for what is missing.
  size_t fill_integers(size_t source, int64_t value);
  size_t fill_texts(size_t source, std::string value);

  // Of named expressions; see expression_nodes.h. Times are integers.
  size_t date_part(size_t times, const DatePart &part);
  size_t seconds(std::vector<size_t> times, int64_t since);
  size_t arithmetic(std::vector<size_t> sources, Arithmetic operation, double constant,
                    double by_zero);
  size_t compare_numbers(size_t source, Relation relation, double constant);
  size_t compare_integers(size_t source, Relation relation, int64_t constant);
  size_t range_ids(size_t source, int64_t first, int64_t last);

  // A node whose column is written into an output column.
  struct Output {
    size_t node, column;
  };
  // Sets the outputs of ids and of numbers. Nodes that no output needs are not computed.
  void set_outputs(std::vector<Output> ids, std::vector<Output> numbers);

  // Returns the number of rows. Throws std::invalid_argument if a tensor or column of an output's raw
  // columns does not exist, or they differ in their number of rows.
  size_t check(const Request &request, size_t id_columns, size_t dense_columns) const;
  // `ids` and `dense` are the output columns, with as many rows as check() returned.
  template <class Id>
  void run(const Request &request, const std::vector<Column<Id>> &ids,
           const std::vector<Column<float>> &dense) const;

 private:
  // Nodes that need each other, in an order in which they can be computed.
  struct Group {
    std::vector<size_t> nodes;
    std::vector<Output> ids, numbers;
  };

  size_t add(std::unique_ptr<Node> node);
  const Node &node(size_t number) const;
  void want(size_t number, std::initializer_list<Type> types, const char *what) const;
  void want_key_of(const Index &index, size_t number) const;
  bool is_look_up(size_t number) const;
  void want_positions(size_t number, size_t rows) const;
  Group group_of(std::vector<Output> ids, std::vector<Output> numbers) const;
  void give_slots(const Group &group, Slots &slots) const;
  void compute(const Group &group, Tile &tile) const;

  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<size_t> levels_;  // of each node: one more than the highest of its sources
  // For few rows: columns share the queue of look-ups.
  Group all_;
  Slots all_slots_;
  // For many rows: a group's values stay in the cache, since groups share their memory.
  std::vector<Group> groups_;
  Slots group_slots_;
};

}  // namespace plumbline
