#include "encoder.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <set>
#include <stdexcept>
#include <typeinfo>

namespace plumbline {
namespace {

constexpr size_t kFewRows = 64;  // up to this many rows, all columns go through each step together

constexpr const char *kTensors[] = {"numbers", "doubles", "integers", "texts"};

std::pair<size_t, size_t> shape_of(const Request &request, const Position &position) {
  const auto shape = [](const auto &matrix) { return std::pair(matrix.rows(), matrix.columns()); };
  switch (position.kind) {
    case Position::Kind::kNumbers:
      return shape(request.numbers[position.tensor]);
    case Position::Kind::kDoubles:
      return shape(request.doubles[position.tensor]);
    case Position::Kind::kIntegers:
      return shape(request.integers[position.tensor]);
    case Position::Kind::kTexts:
      break;
  }
  return {request.texts[position.tensor].strings().size, 1};
}

template <class From, class To>
void copy(const From *from, Column<To> to) {
  if (to.contiguous()) {
    std::transform(from, from + to.size, to.data(), [](From value) { return static_cast<To>(value); });
  } else {
    for (size_t i = 0; i < to.size; ++i) to[i] = static_cast<To>(from[i]);
  }
}

void write_numbers(const Values &values, Column<float> out) {
  const auto *const computed = std::get_if<Column<const double>>(&values);
  if (computed != nullptr && computed->contiguous()) return copy(computed->data(), out);
  std::array<double, kTile> numbers;
  read_numbers(values, out.size, numbers.data());
  copy(numbers.data(), out);
}

template <class Id>
void write_ids(const Values &values, Column<Id> out) {
  const auto &ids = std::get<Column<const int64_t>>(values);
  if (ids.contiguous()) return copy(ids.data(), out);
  for (size_t i = 0; i < out.size; ++i) out[i] = static_cast<Id>(ids[i]);
}

std::vector<size_t> sources_of(size_t first, const std::vector<size_t> &others) {
  std::vector<size_t> sources{first};
  sources.insert(sources.end(), others.begin(), others.end());
  return sources;
}

}  // namespace

const Node &Encoder::node(size_t number) const {
  if (number >= nodes_.size())
    throw std::invalid_argument("There is no node " + std::to_string(number));
  return *nodes_[number];
}

void Encoder::want(size_t number, std::initializer_list<Type> types, const char *what) const {
  if (std::find(types.begin(), types.end(), node(number).type) == types.end())
    throw std::invalid_argument(what);
}

bool Encoder::is_look_up(size_t number) const {
  return dynamic_cast<const LookUp *>(&node(number)) != nullptr;
}

void Encoder::want_positions(size_t number, size_t rows) const {
  if (typeid(node(number)) != typeid(LookUp))
    throw std::invalid_argument("Positions are those of a look-up");
  const size_t wanted = static_cast<const LookUp &>(node(number)).index().size();
  if (rows != wanted)
    throw std::invalid_argument("A table wants a row for each of " + std::to_string(wanted) +
                                " positions, got " + std::to_string(rows));
}

void Encoder::want_key_of(const Index &index, size_t number) const {
  want(number, {index.is_text() ? Type::kTexts : Type::kIntegers},
       "A look-up wants integers or text, and an index of the same kind");
}

size_t Encoder::add(std::unique_ptr<Node> added) {
  size_t level = 0;
  for (const size_t source : added->sources) {
    node(source);
    level = std::max(level, levels_[source] + 1);
  }
  nodes_.push_back(std::move(added));
  levels_.push_back(level);
  return nodes_.size() - 1;
}

size_t Encoder::raw_column(const Position &position) {
  return add(std::make_unique<RawColumn>(position));
}

size_t Encoder::operation(size_t source, Operation operation) {
  std::vector<Operation> operations;
  if (const auto *before = dynamic_cast<const Numbers *>(&node(source))) {
    operations = before->operations;
    source = before->sources[0];
  }
  operations.push_back(std::move(operation));
  return add(std::make_unique<Numbers>(source, std::move(operations)));
}

size_t Encoder::bucketize(size_t source, std::vector<double> boundaries) {
  return add(std::make_unique<Bucketize>(source, std::move(boundaries)));
}

size_t Encoder::hash_bucket(std::vector<size_t> parts, uint64_t buckets) {
  if (parts.empty()) throw std::invalid_argument("Hashing wants one part or more, got none");
  return add(std::make_unique<HashBucket>(std::move(parts), buckets));
}

size_t Encoder::key(std::vector<size_t> parts) {
  if (parts.empty()) throw std::invalid_argument("A key wants one part or more, got none");
  for (const size_t part : parts)
    want(part, {Type::kIntegers, Type::kTexts}, "The parts of a key are integers or text");
  return add(std::make_unique<Key>(std::move(parts)));
}

size_t Encoder::look_up(size_t source, std::shared_ptr<const Index> index) {
  want_key_of(*index, source);
  return add(std::make_unique<LookUp>(std::vector{source}, std::move(index)));
}

size_t Encoder::look_up_ids(size_t source, std::shared_ptr<const Index> index,
                            const std::vector<size_t> &parts, const Ids &ids) {
  want_key_of(*index, source);
  return add(std::make_unique<LookUpIds>(sources_of(source, parts), std::move(index), ids));
}

size_t Encoder::numbers_at(size_t positions, const std::vector<size_t> &parts, NumberTable table) {
  want_positions(positions, table.values.size());
  return add(std::make_unique<NumbersAt>(sources_of(positions, parts), std::move(table)));
}

size_t Encoder::integers_at(size_t positions, const std::vector<size_t> &parts, IntegerTable table) {
  want_positions(positions, table.values.size());
  return add(std::make_unique<IntegersAt>(sources_of(positions, parts), std::move(table)));
}

size_t Encoder::texts_at(size_t positions, const std::vector<size_t> &parts, TextTable table) {
  want_positions(positions, table.offsets.size() - 1);
  return add(std::make_unique<TextsAt>(sources_of(positions, parts), std::move(table)));
}

size_t Encoder::fill_integers(size_t source, int64_t value) {
  want(source, {Type::kIntegers}, "An integer fills integers");
  return add(std::make_unique<FillIntegers>(source, value));
}

size_t Encoder::fill_texts(size_t source, std::string value) {
  want(source, {Type::kTexts}, "A text fills text");
  return add(std::make_unique<FillTexts>(source, std::move(value)));
}

size_t Encoder::date_part(size_t times, const DatePart &part) {
  want(times, {Type::kIntegers}, "Times are integers");
  return add(std::make_unique<DatePartOf>(times, part));
}

size_t Encoder::seconds(std::vector<size_t> times, int64_t since) {
  if (times.empty() || times.size() > 2)
    throw std::invalid_argument("Seconds are from one time to another");
  for (const size_t time : times) want(time, {Type::kIntegers}, "Times are integers");
  return add(std::make_unique<Seconds>(std::move(times), since));
}

size_t Encoder::arithmetic(std::vector<size_t> sources, Arithmetic operation, double constant,
                           double by_zero) {
  if (sources.empty() || sources.size() > 2)
    throw std::invalid_argument("Arithmetic is of two columns, or of one and a constant");
  for (const size_t source : sources)
    want(source, {Type::kNumbers, Type::kIntegers}, "Arithmetic is of numbers");
  return add(std::make_unique<ArithmeticOf>(std::move(sources), operation, constant, by_zero));
}

size_t Encoder::compare_numbers(size_t source, Relation relation, double constant) {
  want(source, {Type::kNumbers, Type::kIntegers}, "A number is compared with numbers");
  return add(std::make_unique<Compare>(source, relation, constant, 0, false));
}

size_t Encoder::compare_integers(size_t source, Relation relation, int64_t constant) {
  if (node(source).type == Type::kNumbers)
    return compare_numbers(source, relation, static_cast<double>(constant));
  want(source, {Type::kIntegers}, "An integer is compared with numbers");
  return add(std::make_unique<Compare>(source, relation, 0.0, constant, true));
}

size_t Encoder::range_ids(size_t source, int64_t first, int64_t last) {
  want(source, {Type::kIntegers}, "Ids of a range are of integers");
  return add(std::make_unique<RangeIds>(source, first, last));
}

void Encoder::set_outputs(std::vector<Output> ids, std::vector<Output> numbers) {
  for (const Output &output : ids) want(output.node, {Type::kIntegers}, "Ids are integers");
  for (const Output &output : numbers) node(output.node);
  all_ = group_of(std::move(ids), std::move(numbers));
  // Nodes that need each other, but for raw columns, are in a group: they have the same first node.
  std::vector<size_t> group(nodes_.size());
  std::iota(group.begin(), group.end(), size_t{0});
  const auto first_of = [&](size_t number) {
    while (group[number] != number) number = group[number] = group[group[number]];
    return number;
  };
  for (const size_t number : all_.nodes)
    for (const size_t source : nodes_[number]->sources)
      if (levels_[source] > 0) group[first_of(number)] = first_of(source);
  std::map<size_t, std::pair<std::vector<Output>, std::vector<Output>>> outputs;
  for (const Output &output : all_.ids) outputs[first_of(output.node)].first.push_back(output);
  for (const Output &output : all_.numbers) outputs[first_of(output.node)].second.push_back(output);
  all_slots_ = {std::vector<size_t>(nodes_.size()), 0};
  give_slots(all_, all_slots_);
  groups_.clear();
  group_slots_ = {std::vector<size_t>(nodes_.size()), 0};
  for (auto &[first, of_group] : outputs) {
    groups_.push_back(group_of(std::move(of_group.first), std::move(of_group.second)));
    give_slots(groups_.back(), group_slots_);
  }
}

void Encoder::give_slots(const Group &group, Slots &slots) const {
  size_t used = 0;
  for (const size_t number : group.nodes)
    if (levels_[number] > 0) slots.of_node[number] = used++;
  slots.used = std::max(slots.used, used);
}

Encoder::Group Encoder::group_of(std::vector<Output> ids, std::vector<Output> numbers) const {
  Group group{{}, std::move(ids), std::move(numbers)};
  std::vector<size_t> waiting;
  for (const Output &output : group.ids) waiting.push_back(output.node);
  for (const Output &output : group.numbers) waiting.push_back(output.node);
  std::set<size_t> needed;
  while (!waiting.empty()) {
    const size_t number = waiting.back();
    waiting.pop_back();
    if (!needed.insert(number).second) continue;
    const std::vector<size_t> &sources = nodes_[number]->sources;
    waiting.insert(waiting.end(), sources.begin(), sources.end());
  }
  group.nodes.assign(needed.begin(), needed.end());
  // Look-ups first, so that those of a level are in the queue together.
  std::stable_sort(group.nodes.begin(), group.nodes.end(), [&](size_t one, size_t other) {
    const auto key = [&](size_t number) {
      return std::pair(levels_[number], !is_look_up(number));
    };
    return key(one) < key(other);
  });
  return group;
}

size_t Encoder::check(const Request &request, size_t id_columns, size_t dense_columns) const {
  const size_t tensors[] = {request.numbers.size(), request.doubles.size(), request.integers.size(),
                            request.texts.size()};
  for (const Output &output : all_.ids)
    if (output.column >= id_columns)
      throw std::invalid_argument("The outputs have fewer columns of ids than the nodes write");
  for (const Output &output : all_.numbers)
    if (output.column >= dense_columns)
      throw std::invalid_argument("The outputs have fewer columns of numbers than the nodes write");
  size_t rows = SIZE_MAX;
  for (const size_t number : all_.nodes) {
    if (levels_[number] > 0) break;
    const Position &position = static_cast<const RawColumn &>(*nodes_[number]).position;
    const char *const name = kTensors[static_cast<size_t>(position.kind)];
    const size_t got = tensors[static_cast<size_t>(position.kind)];
    if (position.tensor >= got)
      throw std::invalid_argument(std::string(name) + ": wanted " +
                                  std::to_string(position.tensor + 1) + " tensor(s), got " + std::to_string(got));
    const auto [tensor_rows, columns] = shape_of(request, position);
    if (position.column >= columns)
      throw std::invalid_argument(std::string(name) + " " + std::to_string(position.tensor) + ": wanted column " +
                                  std::to_string(position.column) + ", got " +
                                  std::to_string(columns) + " column(s)");
    if (rows != SIZE_MAX && rows != tensor_rows)
      throw std::invalid_argument("All inputs must have the same number of rows, got " +
                                  std::to_string(rows) + " and " + std::to_string(tensor_rows));
    rows = tensor_rows;
  }
  return rows == SIZE_MAX ? 0 : rows;
}

void Encoder::compute(const Group &group, Tile &tile) const {
  auto node = group.nodes.begin();
  const auto end = group.nodes.end();
  for (; node != end && levels_[*node] == 0; ++node)
    static_cast<const RawColumn &>(*nodes_[*node]).run(tile, *node);
  if (tile.size > kFewRows) {
    for (; node != end; ++node) nodes_[*node]->run(tile, *node);
    return;
  }
  LookUpQueue queue;
  while (node != end) {
    const auto first = node;
    const size_t level = levels_[*first];
    while (node != end && levels_[*node] == level && nodes_[*node]->queue(tile, *node, queue)) ++node;
    queue.resolve();
    std::for_each(first, node, [&](size_t look_up) { nodes_[look_up]->finish(tile, look_up); });
    for (; node != end && levels_[*node] == level; ++node) nodes_[*node]->run(tile, *node);
  }
}

template <class Id>
void Encoder::run(const Request &request, const std::vector<Column<Id>> &ids,
                  const std::vector<Column<float>> &dense) const {
  const size_t rows = !ids.empty() ? ids[0].size : dense.empty() ? 0 : dense[0].size;
  const bool few = rows <= kFewRows;
  Tile tile(request, few ? all_slots_ : group_slots_, std::min(rows, kTile));
  const auto run_group = [&](const Group &group) {
    for (tile.first = 0; tile.first < rows; tile.first += tile.size) {
      tile.size = std::min(kTile, rows - tile.first);
      compute(group, tile);
      for (const auto &[node, out] : group.ids)
        write_ids(tile.values(node), ids[out].from(tile.first, tile.size));
      for (const auto &[node, out] : group.numbers)
        write_numbers(tile.values(node), dense[out].from(tile.first, tile.size));
    }
  };
  if (few) return run_group(all_);
  for (const Group &group : groups_) run_group(group);
}

template void Encoder::run<int32_t>(const Request &, const std::vector<Column<int32_t>> &,
                                    const std::vector<Column<float>> &) const;
template void Encoder::run<int64_t>(const Request &, const std::vector<Column<int64_t>> &,
                                    const std::vector<Column<float>> &) const;

}  // namespace plumbline
