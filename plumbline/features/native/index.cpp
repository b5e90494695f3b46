#include "index.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "radix.h"

namespace plumbline {
namespace {

constexpr size_t kHeaderBytes = 64;
constexpr char kMagic[8] = {'P', 'L', 'U', 'M', 'B', 'I', 'D', 'X'};
constexpr uint32_t kVersion = 1, kIntegers = 1, kText = 2;
constexpr size_t kMaxCount = INT32_MAX - 1;

struct Header {
  char magic[8];
  uint32_t version, kind;
  uint64_t count, homes, buckets, data_bytes;
  uint64_t reserved[2];
};
static_assert(sizeof(Header) == kHeaderBytes);

[[noreturn]] void refuse_file(const std::string &file) {
  throw std::system_error(errno, std::generic_category(), file);
}

class OpenFile {
 public:
  OpenFile(const std::string &name, int flags) : name_(name), number_(open(name.c_str(), flags, 0666)) {
    if (number_ < 0) refuse_file(name_);
  }
  ~OpenFile() { close(number_); }
  OpenFile(const OpenFile &) = delete;
  OpenFile &operator=(const OpenFile &) = delete;

  int number() const { return number_; }
  void write(const void *data, size_t size) {
    const char *at = static_cast<const char *>(data);
    while (size > 0) {
      const ssize_t done = ::write(number_, at, std::min(size, size_t{1} << 30));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) refuse_file(name_);
      at += done;
      size -= static_cast<size_t>(done);
    }
  }
  void rewrite_start(const void *data, size_t size) {
    if (pwrite(number_, data, size, 0) != static_cast<ssize_t>(size)) refuse_file(name_);
  }

 private:
  std::string name_;
  int number_;
};

// A value's position and the upper half of its hash, which orders the slots.
struct Entry {
  uint32_t hash, position;
};

constexpr size_t kBlock = 256;  // values hashed together
constexpr size_t kAhead = 32;   // buckets prefetched ahead

using Searcher = void (*)(const Bucket *buckets, const Bucket *end, size_t homes,
                          const uint64_t *hashes, Column<const int64_t> values, int64_t *out);

template <class Matches>
[[gnu::always_inline]] inline void search_all(const Bucket *buckets, const Bucket *end, size_t homes,
                                              const uint64_t *hashes, Column<const int64_t> values,
                                              int64_t *out, Matches matches) {
  const auto home = [=](size_t i) { return buckets + ((hashes[i] >> 32) * homes >> 32); };
  for (size_t i = 0; i < std::min(kAhead, values.size); ++i) __builtin_prefetch(home(i));
  for (size_t i = 0; i < values.size; ++i) {
    if (i + kAhead < values.size) __builtin_prefetch(home(i + kAhead));
    out[i] = search(home(i), static_cast<uint64_t>(values[i]), end, matches);
  }
}

void search_all_plain(const Bucket *buckets, const Bucket *end, size_t homes, const uint64_t *hashes,
                      Column<const int64_t> values, int64_t *out) {
  search_all(buckets, end, homes, hashes, values, out, matches);
}

#if defined(__x86_64__)
__attribute__((target("avx2,bmi"))) void search_all_avx2(const Bucket *buckets, const Bucket *end,
                                                         size_t homes, const uint64_t *hashes,
                                                         Column<const int64_t> values, int64_t *out) {
  search_all(buckets, end, homes, hashes, values, out,
             [](const Bucket &bucket, uint64_t key) __attribute__((target("avx2,bmi"))) {
               const __m256i keys = _mm256_load_si256(reinterpret_cast<const __m256i *>(&bucket));
               const __m256i equal =
                   _mm256_cmpeq_epi64(keys, _mm256_set1_epi64x(static_cast<long long>(key)));
               const int four = _mm256_movemask_pd(_mm256_castsi256_pd(equal));
               return static_cast<uint32_t>(four) |
                      static_cast<uint32_t>(bucket.keys[4] == key) << 4;
             });
}

__attribute__((target("avx512f,bmi"))) void search_all_avx512(
    const Bucket *buckets, const Bucket *end, size_t homes, const uint64_t *hashes,
    Column<const int64_t> values, int64_t *out) {
  search_all(buckets, end, homes, hashes, values, out,
             [](const Bucket &bucket, uint64_t key) __attribute__((target("avx512f,bmi"))) {
               const __m512i keys = _mm512_load_si512(&bucket);
               return static_cast<uint32_t>(_mm512_mask_cmpeq_epi64_mask(
                   0x1F, keys, _mm512_set1_epi64(static_cast<long long>(key))));
             });
}
#endif

Searcher best_searcher() {
#if defined(__x86_64__)
  static const Searcher best = __builtin_cpu_supports("avx512f") ? search_all_avx512
                               : __builtin_cpu_supports("avx2")  ? search_all_avx2
                                                                 : search_all_plain;
  return best;
#else
  return search_all_plain;
#endif
}

size_t homes_for(size_t count) { return std::max<size_t>(1, (count * 2 + 6) / 7); }

// Writes buckets sequentially; slots are filled in order.
class BucketWriter {
 public:
  BucketWriter(OpenFile &file, uint64_t free_key) : file_(file), free_key_(free_key) {
    pending_.reserve(kPending);
    open_bucket();
  }
  void put(size_t home, uint64_t key, uint32_t position) {
    if (bucket_ < home || used_ == kBucketSlots)
      close_until(std::max(home, used_ == kBucketSlots ? bucket_ + 1 : bucket_));
    pending_.back().keys[used_] = key;
    pending_.back().positions[used_++] = position + 1;
  }
  // Fills up to `homes` buckets, and one more if the last is full. Returns the number of buckets.
  size_t finish(size_t homes) {
    const size_t last = used_ == kBucketSlots ? bucket_ + 1 : bucket_;
    close_until(std::max(homes - 1, last));
    flush();
    return bucket_ + 1;
  }

 private:
  static constexpr size_t kPending = 4096;

  void open_bucket() {
    if (pending_.size() == kPending) flush();
    Bucket bucket{};
    std::fill_n(bucket.keys, kBucketSlots, free_key_);
    pending_.push_back(bucket);
    used_ = 0;
  }
  void close_until(size_t bucket) {
    for (; bucket_ < bucket; ++bucket_) open_bucket();
  }
  void flush() {
    file_.write(pending_.data(), pending_.size() * sizeof(Bucket));
    pending_.clear();
  }

  OpenFile &file_;
  uint64_t free_key_;
  std::vector<Bucket> pending_;
  size_t bucket_ = 0, used_ = 0;
};

// Writes header and buckets. `hash(i)` and `keys[i]` belong to position i; `same(i, j)` compares two
// values with equal keys.
template <class Hash, class Keys, class Same>
void write_buckets(OpenFile &file, Header &header, uint64_t free_key, Hash hash, const Keys &keys,
                   Same same) {
  const size_t count = header.count;
  if (count > kMaxCount)
    throw std::invalid_argument("An index holds up to 2^31 - 2 values, got " + std::to_string(count));
  std::vector<Entry> entries(count);
  for (size_t i = 0; i < count; ++i)
    entries[i] = {static_cast<uint32_t>(hash(i) >> 32), static_cast<uint32_t>(i)};
  {
    std::vector<Entry> scratch(count);
    radix_sort(entries.data(), scratch.data(), count, 32, [](Entry entry) { return entry.hash; });
  }
  header.homes = homes_for(count);
  file.write(&header, sizeof header);
  BucketWriter writer(file, free_key);
  size_t run = 0;  // the first entry with this hash
  for (size_t i = 0; i < count; ++i) {
    const Entry entry = entries[i];
    if (i + kAhead < count) __builtin_prefetch(&keys[entries[i + kAhead].position]);
    if (entry.hash != entries[run].hash) run = i;
    const auto value = static_cast<uint64_t>(keys[entry.position]);
    for (size_t other = run; other < i; ++other)
      if (static_cast<uint64_t>(keys[entries[other].position]) == value &&
          same(entries[other].position, entry.position))
        throw std::invalid_argument("An index holds distinct values; those at " +
                                 std::to_string(entries[other].position) + " and " +
                                 std::to_string(entry.position) + " are equal");
    writer.put(uint64_t{entry.hash} * header.homes >> 32, value, entry.position);
  }
  header.buckets = writer.finish(header.homes);
}

[[noreturn]] void refuse_missing(size_t position) {
  throw std::invalid_argument("An index holds no missing values; there is one at " +
                           std::to_string(position));
}

Header header_of(uint32_t kind, size_t count, size_t data_bytes) {
  Header header{};
  std::copy(std::begin(kMagic), std::end(kMagic), header.magic);
  header.version = kVersion;
  header.kind = kind;
  header.count = count;
  header.data_bytes = data_bytes;
  return header;
}

}  // namespace

void build_integer_index(const std::string &file, Column<const int64_t> values) {
  for (size_t i = 0; i < values.size; ++i)
    if (values[i] == kNullInt64) refuse_missing(i);
  OpenFile out(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  Header header = header_of(kIntegers, values.size, 0);
  write_buckets(
      out, header, static_cast<uint64_t>(kNullInt64), [&](size_t i) { return integer_hash(values[i]); },
      values, [](size_t, size_t) { return true; });
  out.rewrite_start(&header, sizeof header);
}

void build_text_index(const std::string &file, const Strings &strings) {
  std::vector<uint64_t> hashes(strings.size);
  for (size_t i = 0; i < strings.size; ++i) {
    if (strings.length(i) == 0) refuse_missing(i);
    hashes[i] = text_hash(strings.at(i), strings.length(i));
  }
  OpenFile out(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC);
  const int64_t first = strings.offsets[0];
  Header header =
      header_of(kText, strings.size, static_cast<size_t>(strings.offsets[strings.size] - first));
  const auto same = [&](size_t one, size_t other) {
    return strings.length(one) == strings.length(other) &&
           same_bytes(strings.at(one), strings.at(other), strings.length(one));
  };
  const auto hash = [&](size_t i) { return hashes[i]; };
  write_buckets(out, header, 0, hash, hashes, same);
  std::vector<int64_t> offsets(strings.offsets, strings.offsets + strings.size + 1);
  for (int64_t &offset : offsets) offset -= first;
  out.write(offsets.data(), offsets.size() * sizeof(int64_t));
  out.write(strings.data + first, header.data_bytes);
  out.rewrite_start(&header, sizeof header);
}

size_t Index::Shape::file_bytes() const {
  const size_t pool = is_text ? (count + 1) * sizeof(int64_t) + data_bytes : 0;
  return kHeaderBytes + buckets * sizeof(Bucket) + pool;
}

Index::Index(const std::string &file, const Shape &shape) : shape_(shape) {
  OpenFile in(file, O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (fstat(in.number(), &status) != 0) refuse_file(file);
  const size_t bytes = shape.file_bytes();
  if (static_cast<size_t>(status.st_size) != bytes || shape.buckets == 0 || shape.homes > shape.buckets)
    throw std::runtime_error("wanted the size given in its header, got another one");
  mapped_ = mmap(nullptr, bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, in.number(), 0);
  if (mapped_ == MAP_FAILED) refuse_file(file);
  const char *at = static_cast<const char *>(mapped_) + kHeaderBytes;
  buckets_ = reinterpret_cast<const Bucket *>(at);
  end_ = buckets_ + shape.buckets;
  if (shape.is_text) {
    const auto *offsets = reinterpret_cast<const int64_t *>(end_);
    strings_ = {offsets, reinterpret_cast<const uint8_t *>(offsets + shape.count + 1), shape.count};
  }
  if (positions_fit() && offsets_fit()) return;
  munmap(mapped_, bytes);
  throw std::runtime_error(
      "wanted as many positions as values, and ascending offsets, each in range");
}

bool Index::positions_fit() const {
  size_t used = 0;
  uint32_t largest = 0;
  for (const Bucket *bucket = buckets_; bucket != end_; ++bucket)
    for (size_t slot = 0; slot < kBucketSlots; ++slot) {
      used += bucket->positions[slot] != 0;
      largest = std::max(largest, bucket->positions[slot]);
    }
  return used == shape_.count && largest <= shape_.count;
}

bool Index::offsets_fit() const {
  if (!shape_.is_text) return true;
  const int64_t *const at = strings_.offsets;
  bool ascending = at[0] == 0 && at[shape_.count] == static_cast<int64_t>(shape_.data_bytes);
  for (size_t row = 0; row < shape_.count; ++row) ascending &= at[row] <= at[row + 1];
  return ascending;
}

Index::~Index() { munmap(mapped_, shape_.file_bytes()); }

int64_t Index::find(uint64_t hash, const uint8_t *data, size_t length) const {
  for (const Bucket *bucket = home(hash);;) {
    for (size_t slot = 0; slot < kBucketSlots; ++slot) {
      const int64_t position = static_cast<int64_t>(bucket->positions[slot]) - 1;
      if (bucket->keys[slot] == hash && position >= 0 && is_at(position, data, length))
        return position;
    }
    if (bucket->positions[kBucketSlots - 1] == 0 || ++bucket == end_) return -1;
  }
}

void Index::positions(Column<const int64_t> values, int64_t *out) const {
  std::array<uint64_t, kBlock> hashes;
  const Searcher searcher = best_searcher();
  for (size_t first = 0; first < values.size; first += kBlock) {
    const size_t block = std::min(kBlock, values.size - first);
    const Column<const int64_t> part = values.from(first, block);
    for (size_t i = 0; i < block; ++i) hashes[i] = integer_hash(part[i]);
    searcher(buckets_, end_, shape_.homes, hashes.data(), part, out + first);
  }
}

void Index::positions(const Strings &strings, int64_t *out) const {
  constexpr size_t kTexts = 64;  // strings that go through each step together
  std::array<uint64_t, kTexts> hashes;
  for (size_t first = 0; first < strings.size; first += kTexts) {
    const size_t block = std::min(kTexts, strings.size - first);
    int64_t *const positions = out + first;
    for (size_t i = 0; i < block; ++i)
      prefetch(hashes[i] = text_hash(strings.at(first + i), strings.length(first + i)));
    for (size_t i = 0; i < block; ++i) {
      positions[i] = candidate(hashes[i]);
      if (positions[i] >= 0) prefetch_offset(positions[i]);
    }
    for (size_t i = 0; i < block; ++i)
      if (positions[i] >= 0) prefetch_string(positions[i]);
    for (size_t i = 0; i < block; ++i) {
      const uint8_t *const data = strings.at(first + i);
      const size_t length = strings.length(first + i);
      if (positions[i] >= 0 && !is_at(positions[i], data, length))
        positions[i] = find(hashes[i], data, length);
    }
  }
}

}  // namespace plumbline
