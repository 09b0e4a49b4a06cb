// A forward pass: rows in groups, groups over threads.
//
// A group of rows lies in one matrix, token behind token, without padding; only attention knows where
// one row ends. Where one group is shared between threads, each has tokens of its own and meets the
// others twice a layer: when the largest keys and values are known, and when all are packed.
#include <atomic>
#include <new>

#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "pool.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace {

// Tokens that short rows are put together to: enough that reading the weights costs little.
constexpr uint32_t GROUP_TOKENS = 128;
// Bytes of a feed-forward layer's inner rows that are held at once: less than half of a core's cache.
constexpr int INNER_BYTES = 500 * 1024;
// A thread is woken for no less than so many products, which take some 20 µs, and so many tokens.
#if !defined(POTSTILL_PART_PRODUCTS)
#define POTSTILL_PART_PRODUCTS 3000000  // tests have tiny models shared out too
#endif
constexpr uint64_t PART_PRODUCTS = POTSTILL_PART_PRODUCTS;
constexpr uint32_t PART_TOKENS = 16;

// Rounding to nearest and denormals as they are, whatever the caller's thread is set to.
class FloatMode {
#if defined(__x86_64__)
 public:
  FloatMode() : before_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
  ~FloatMode() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#elif defined(__aarch64__)
 public:
  FloatMode() {
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(before_));
    __asm__ __volatile__("msr fpcr, %0" : : "r"((uint64_t)0));
  }
  ~FloatMode() { __asm__ __volatile__("msr fpcr, %0" : : "r"(before_)); }

 private:
  uint64_t before_;
#else
 public:
  FloatMode() {}
#endif
};

// Hands out pieces of one block; counts their bytes where there is no block yet.
class Pieces {
 public:
  explicit Pieces(uint8_t *base) : base_(base) {}
  template <class T>
  T *take(uint64_t n) {
    T *piece = base_ ? (T *)(base_ + used_) : nullptr;
    used_ += (n * sizeof(T) + 63) / 64 * 64 + 64;  // whole registers may be read behind it
    return piece;
  }
  uint64_t used() const { return used_; }

 private:
  uint8_t *base_;
  uint64_t used_ = 0;
};

// One row within a group.
struct Row {
  uint32_t token;  // its first, in the group
  uint32_t tokens;
  uint64_t at;  // its first token in the call's ids
  uint64_t number;
  uint64_t packed;  // where its keys and values start, in blocks of 16 keys
};

// Scratch memory of one thread.
struct Scratch {
  float *inner;  // rows of the feed-forward layer's inside
  Rounded rounded;
  void *attention;
  float *scales;  // of the rows' keys and values, and their inverses
};

}  // namespace

struct Workspace {
  Workspace *next = nullptr;
  uint64_t size = 0;
  uint8_t *block = nullptr;
  Memory memory;
};

namespace {

struct Call {
  const potstill_model &model;
  const int32_t *ids;
  const int32_t *types;
  const uint32_t *lengths;
  uint64_t n_rows;
  uint64_t n_tokens;
  float *out;
};

uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

class Group {
 public:
  // `first` is a row, `at` its first token; `n` rows of so many tokens.
  Group(const Call &call, uint64_t first, uint64_t at, uint32_t n, uint32_t tokens, int parts)
      : call_(call), m_(call.model), first_(first), at_(at), n_(n), tokens_(tokens), parts_(parts),
        barrier_(parts) {}

  bool take_workspace();
  void run(int part);
  void give_workspace();

 private:
  void lay_out(Pieces &pieces);
  uint32_t cut(int part) const;
  void embed(uint32_t from, uint32_t to);
  void project(const Layer &layer, uint32_t from, uint32_t to, int part);
  void pack(const Layer &layer, uint32_t from, uint32_t to, int part);
  void attend(const Layer &layer, uint32_t from, uint32_t to, int part, bool first_only);
  void finish_layer(const Layer &layer, float *x, const float *context, uint32_t rows, const Rounded &q,
                    int part, bool last);
  void head(uint32_t from, uint32_t to);
  void pooled_head(uint32_t from, uint32_t to);
  Sequence sequence(const Layer &layer, const Row &row, int part, uint32_t first = 0) const;
  Rounded rounded(uint32_t token) const { return {q_ + token * q_stride_, q_stride_, q_scale_ + token, 128}; }
  // A part's queries start where they do in every layer: another part may be one layer further on.
  int16_t *queries(const Heads &heads, uint32_t token, uint32_t from) const {
    return queries_ + (size_t)from * widest_packed_ + (size_t)(token - from) * heads.n * heads.padded;
  }
  float *query_scale(const Heads &heads, uint32_t token, uint32_t from) const {
    return query_scale_ + (size_t)from * most_heads_ + (size_t)(token - from) * heads.n;
  }
  // Blocks of 16 keys that a row of so many tokens takes.
  uint32_t blocks_of(uint32_t tokens) const {
    const uint32_t unit = (uint32_t)m_.kernel->key_unit;
    return (tokens + unit - 1) / unit * unit / 16;
  }
  int scales_stride() const { return padded(4 * widest_); }

  const Call &call_;
  const potstill_model &m_;
  const uint64_t first_, at_;
  const uint32_t n_, tokens_;
  const int parts_;
  Barrier barrier_;
  Workspace *workspace_ = nullptr;

  // Widths of the model's widest layers, and what they make of the strides of rows.
  int widest_ = 0, widest_packed_ = 0, widest_padded_ = 0, widest_inner_ = 0, most_heads_ = 0, inner_rows_ = 0;
  size_t x_stride_ = 0, q_stride_ = 0, qkv_stride_ = 0, context_stride_ = 0;

  Row *rows_ = nullptr;
  float *x_ = nullptr;
  uint8_t *q_ = nullptr;
  float *q_scale_ = nullptr;
  float *qkv_ = nullptr;
  int16_t *queries_ = nullptr;
  float *query_scale_ = nullptr;
  uint8_t *keys_ = nullptr;
  int16_t *values_ = nullptr;
  float *largest_ = nullptr;  // [parts][rows][keys' and values' columns]
  float *context_ = nullptr;
  float *first_x_ = nullptr;  // of heads that look at first tokens alone
  Scratch scratch_[256];
};

// Lays the group's arrays out in the workspace, or only counts what they take.
void Group::lay_out(Pieces &p) {
  widest_ = widest_packed_ = widest_padded_ = widest_inner_ = most_heads_ = 0;
  for (int i = 0; i < m_.n_layers; i++) {
    const Heads &h = m_.layers[i].heads;
    widest_ = (int)most(widest_, h.all());
    widest_packed_ = (int)most(widest_packed_, (uint64_t)h.n * h.padded);
    widest_padded_ = (int)most(widest_padded_, h.padded);
    widest_inner_ = (int)most(widest_inner_, m_.layers[i].up.n_out);
    most_heads_ = (int)most(most_heads_, h.n);
  }
  x_stride_ = padded((int)most(m_.width, m_.word_width));
  context_stride_ = most(padded(widest_), x_stride_);
  q_stride_ = context_stride_;
  qkv_stride_ = padded(3 * widest_ + 15);  // whole registers are read of its last columns
  // Whole tiles of every kernel: AMX takes 32 rows at once.
  inner_rows_ = (int)most(1, INNER_BYTES / (padded(widest_inner_) * 5 * 32)) * 32;
  inner_rows_ = inner_rows_ < 96 ? inner_rows_ : 96;

  rows_ = p.take<Row>(n_);
  uint64_t blocks = 0, longest = 0, at = at_;
  uint32_t token = 0;
  for (uint32_t i = 0; i < n_; i++) {
    const uint32_t length = call_.lengths[first_ + i];
    if (rows_) rows_[i] = {token, length, at, first_ + i, blocks};
    blocks += blocks_of(length);
    longest = most(longest, blocks_of(length));
    token += length;
    at += length;
  }
  const uint64_t t = tokens_;
  x_ = p.take<float>(t * x_stride_);
  q_ = p.take<uint8_t>((t + 16) * q_stride_);  // tiles of 16 rows may read beyond the last
  q_scale_ = p.take<float>(t + 16);
  qkv_ = p.take<float>(t * qkv_stride_);
  queries_ = p.take<int16_t>(t * widest_packed_);
  query_scale_ = p.take<float>(t * most_heads_);
  keys_ = p.take<uint8_t>(blocks * 16 * widest_packed_ * m_.kernel->key_bytes);
  values_ = p.take<int16_t>(blocks * 16 * widest_packed_);
  largest_ = p.take<float>((uint64_t)parts_ * n_ * padded(2 * widest_));
  context_ = p.take<float>(t * context_stride_);
  first_x_ = p.take<float>((uint64_t)n_ * x_stride_);
  const int inner = padded(widest_inner_);
  for (int part = 0; part < parts_; part++) {
    Scratch &s = scratch_[part];
    s.inner = p.take<float>((uint64_t)inner_rows_ * inner);
    s.rounded.q = p.take<uint8_t>((uint64_t)(inner_rows_ + 16) * inner);
    s.rounded.stride = (size_t)inner;
    s.rounded.scale = p.take<float>((uint64_t)inner_rows_ + 16);
    s.rounded.zero = 0;
    s.attention = p.take<uint8_t>(m_.kernel->attend_scratch((int)longest, widest_padded_));
    s.scales = p.take<float>((uint64_t)n_ * scales_stride());
  }
}

bool Group::take_workspace() {
  Pieces counted(nullptr);
  lay_out(counted);
  potstill_model &model = const_cast<potstill_model &>(m_);
  lock_pool();
  Workspace **best = nullptr;
  for (Workspace **w = &model.free_workspaces; *w; w = &(*w)->next)
    if (!best || (*w)->size > (*best)->size) best = w;
  if (best) {
    workspace_ = *best;
    *best = workspace_->next;
  }
  unlock_pool();
  if (workspace_ && workspace_->size < counted.used()) {
    delete workspace_;
    workspace_ = nullptr;
  }
  if (!workspace_) {
    workspace_ = new (std::nothrow) Workspace;
    if (!workspace_) return false;
    workspace_->block = workspace_->memory.take<uint8_t>(counted.used());
    workspace_->size = counted.used();
  }
  if (!workspace_->block) {
    delete workspace_;
    workspace_ = nullptr;
    return false;
  }
  Pieces pieces(workspace_->block);
  lay_out(pieces);
  return true;
}

void Group::give_workspace() {
  if (!workspace_) return;
  potstill_model &model = const_cast<potstill_model &>(m_);
  lock_pool();
  workspace_->next = model.free_workspaces;
  model.free_workspaces = workspace_;
  unlock_pool();
}

// The first token of a part: an even share, but within a row at a multiple of 16, so that no two
// threads write into one block of keys.
uint32_t Group::cut(int part) const {
  if (part == parts_) return tokens_;
  const uint32_t even = (uint32_t)((uint64_t)tokens_ * (uint64_t)part / (uint64_t)parts_);
  uint32_t i = n_ - 1;
  while (rows_[i].token > even) i--;
  return rows_[i].token + (even - rows_[i].token) / 16 * 16;
}

// Calls use(row, from, to) for the tokens of each row that lie in [from, to) of the group.
#define EACH_ROW(from, to)                                                        \
  for (uint32_t i_ = 0; i_ < n_; i_++)                                            \
    if (const Row &row = rows_[i_]; row.token < (to) && row.token + row.tokens > (from)) \
      if (const uint32_t begin = row.token > (from) ? row.token : (from),         \
          end = row.token + row.tokens < (to) ? row.token + row.tokens : (to);    \
          begin < end)

void Group::embed(uint32_t from, uint32_t to) {
  const size_t stride = (size_t)padded(m_.word_width);
  EACH_ROW(from, to) {
    // RoBERTa counts the tokens before that are no padding.
    int32_t counted = 0;
    if (m_.config.pad_id >= 0)
      for (uint32_t t = 0; t < begin - row.token; t++) counted += call_.ids[row.at + t] != m_.config.pad_id;
    for (uint32_t t = begin; t < end; t++) {
      const uint64_t at = row.at + (t - row.token);
      const int32_t id = call_.ids[at];
      int64_t position = t - row.token;
      if (m_.config.pad_id >= 0) {
        counted += id != m_.config.pad_id;
        position = (id == m_.config.pad_id ? 0 : counted) + m_.config.pad_id;
      }
      const int type = m_.n_types > 1 && call_.types ? call_.types[at] : 0;
      m_.kernel->embed(m_.words + (size_t)id * m_.word_width, m_.word_scale[id],
                       m_.types ? m_.types + type * stride : nullptr, m_.positions + position * stride,
                       m_.word_width, x_ + t * x_stride_);
    }
  }
  const Rounded q = rounded(from);
  float *x = x_ + from * x_stride_;
  const int n = (int)(to - from);
  m_.kernel->norm(x, x_stride_, n, m_.word_width, m_.embedding_norm, m_.config.norm_eps, &q);
  if (m_.projects) {
    m_.kernel->linear(m_.projection, q, n, x, x_stride_, After::NOTHING);
    m_.kernel->round(x, x_stride_, n, m_.width, q);
  }
}

// Queries, keys and values of a part's tokens; how large keys and values get.
void Group::project(const Layer &layer, uint32_t from, uint32_t to, int part) {
  const Heads &heads = layer.heads;
  const int all = heads.all();
  m_.kernel->linear(layer.qkv, rounded(from), (int)(to - from), qkv_ + from * qkv_stride_, qkv_stride_,
                    After::NOTHING);
  for (uint32_t t = from; t < to; t++)
    m_.kernel->round_queries(qkv_ + t * qkv_stride_, heads, queries(heads, t, from),
                             query_scale(heads, t, from));
  const size_t columns = (size_t)padded(2 * widest_);
  float *largest = largest_ + (size_t)part * n_ * columns;
  memset(largest, 0, n_ * columns * sizeof(float));
  EACH_ROW(from, to)
    m_.kernel->maxima(qkv_ + begin * qkv_stride_ + all, qkv_stride_, (int)(end - begin), 2 * all,
                      largest + i_ * columns);
}

// Where a row's keys and values are, with the scales that `part` has worked out, for queries from its
// token `first` on.
Sequence Group::sequence(const Layer &layer, const Row &row, int part, uint32_t first) const {
  const size_t at = row.packed * 16 * (size_t)(layer.heads.n * layer.heads.padded);
  const float *scales = scratch_[part].scales + (row.number - first_) * scales_stride();
  return {(int)row.tokens, (int)blocks_of(row.tokens), (int16_t *)(keys_ + at * m_.kernel->key_bytes),
          values_ + at, scales, scales + widest_,
          m_.distances ? m_.distances + (m_.longest() - 1 - (int)first) : nullptr, m_.distances_stride};
}

void Group::pack(const Layer &layer, uint32_t from, uint32_t to, int part) {
  const Heads &heads = layer.heads;
  const int all = heads.all();
  const size_t columns = (size_t)padded(2 * widest_);
  EACH_ROW(from, to) {
    float *largest = largest_ + i_ * columns;
    float *scales = scratch_[part].scales + i_ * scales_stride();
    float *key_scale = scales, *value_scale = scales + widest_;
    float *key_inverse = scales + 2 * widest_, *value_inverse = scales + 3 * widest_;
    const auto top = [&](int column) {
      float found = TINY;
      for (int p = 0; p < parts_; p++) {
        const float own = largest[(size_t)p * n_ * columns + column];
        found = own > found ? own : found;
      }
      return found;
    };
    for (int h = 0; h < heads.n; h++) {
      float most = TINY;
      for (int c = 0; c < heads.width; c++) {
        const float own = top(h * heads.width + c);
        most = own > most ? own : most;
      }
      key_scale[h] = most / (float)KEY_LEVELS;
      key_inverse[h] = (float)KEY_LEVELS / most;
    }
    // As many levels as the sums of all tokens' shares leave room for.
    const int room = INT32_MAX / (SHARE * (int)row.tokens);
    const float levels = (float)(room < KEY_LEVELS ? room : KEY_LEVELS);
    for (int c = 0; c < all; c++) {
      const float most = top(all + c);
      value_scale[c] = most / levels;
      value_inverse[c] = levels / most;
    }
    const Sequence s = sequence(layer, row, part);
    const float *x = qkv_ + begin * qkv_stride_ + all;
    const int first = (int)(begin - row.token), last = (int)(end - row.token);
    m_.kernel->pack_keys(x, qkv_stride_, first, last, heads, key_inverse, s);
    m_.kernel->pack_values(x + all, qkv_stride_, first, last, heads, value_inverse, s);
  }
}

void Group::attend(const Layer &layer, uint32_t from, uint32_t to, int part, bool first_only) {
  const Heads &heads = layer.heads;
  EACH_ROW(from, to) {
    if (first_only && begin != row.token) continue;
    const uint32_t to_row = first_only ? i_ : begin;
    m_.kernel->attend(queries(heads, begin, from), query_scale(heads, begin, from),
                      first_only ? 1 : (int)(end - begin), heads,
                      sequence(layer, row, part, begin - row.token), scratch_[part].attention,
                      context_ + to_row * context_stride_, context_stride_);
  }
}

// From attention's context to the layer's end, in place in x; rounded for the next layer into q.
void Group::finish_layer(const Layer &layer, float *x, const float *context, uint32_t rows,
                         const Rounded &q, int part, bool last) {
  const Kernel &k = *m_.kernel;
  const int n = (int)rows;
  const float eps = m_.config.norm_eps;
  k.round(context, context_stride_, n, layer.heads.all(), q);
  k.linear(layer.output, q, n, x, x_stride_, After::ADD);
  k.norm(x, x_stride_, n, m_.width, layer.attention_norm, eps, &q);
  Scratch &s = scratch_[part];
  const size_t stride = (size_t)padded(layer.up.n_out);
  const Rounded inner = {s.rounded.q, stride, s.rounded.scale, 0};
  const int activation = (int)m_.config.activation;
  const After after = activation == POTSTILL_GELU   ? After::GELU
                      : activation == POTSTILL_RELU ? After::RELU
                                                    : After::NOTHING;
  for (int row = 0, end = 0; row < n; row = end) {
    end = n - row > inner_rows_ ? row + inner_rows_ : n;
    const int some = end - row;
    const Rounded in = {q.q + row * q.stride, q.stride, q.scale + row, q.zero};
    k.linear(layer.up, in, some, s.inner, stride, after);
    if (after == After::NOTHING)
      for (int r = 0; r < some; r++) k.activate(s.inner + r * stride, layer.up.n_out, activation);
    k.round_from(s.inner, stride, some, layer.up.n_out, m_.floor, inner);
    k.linear(layer.down, inner, some, x + row * x_stride_, x_stride_, After::ADD);
  }
  k.norm(x, x_stride_, n, m_.width, layer.ffn_norm, eps, last ? nullptr : &q);
}

void Group::head(uint32_t from, uint32_t to) {
  const Kernel &k = *m_.kernel;
  const int labels = m_.n_labels;
  if (m_.config.head == POTSTILL_MLM) {
    const Rounded q = rounded(from);
    k.round(x_ + from * x_stride_, x_stride_, (int)(to - from), m_.width, q);
    k.linear(m_.lm_dense, q, (int)(to - from), context_ + from * context_stride_, context_stride_,
             After::NOTHING);
  }
  EACH_ROW(from, to)
    for (uint32_t t = begin; t < end; t++) {
      const uint64_t at = row.at + (t - row.token);
      float *x = x_ + t * x_stride_;
      if (m_.config.head == POTSTILL_QA) {
        float both[2];
        k.float_linear(m_.classifier, x, both);
        call_.out[at] = both[0];
        call_.out[call_.n_tokens + at] = both[1];
      } else if (m_.config.head == POTSTILL_TAGGING) {
        k.float_linear(m_.classifier, x, call_.out + at * labels);
      } else {
        float *state = context_ + t * context_stride_;
        k.activate(state, m_.width, (int)m_.config.head_activation);
        k.norm(state, context_stride_, 1, m_.width, m_.lm_norm, m_.config.norm_eps, nullptr);
        k.decode(state, m_.width, m_.words, m_.word_scale, m_.lm_bias, m_.n_words, call_.out + at * labels);
      }
    }
}

// Rows whose first token lies in [from, to): their states are in first_x_, as many as rows.
void Group::pooled_head(uint32_t from, uint32_t to) {
  EACH_ROW(from, to) {
    if (begin != row.token) continue;
    float *pooled = context_ + i_ * context_stride_;
    m_.kernel->float_linear(m_.pooler, first_x_ + i_ * x_stride_, pooled);
    m_.kernel->activate(pooled, m_.width, (int)m_.config.head_activation);
    m_.kernel->float_linear(m_.classifier, pooled, call_.out + row.number * m_.n_labels);
  }
}

void Group::run(int part) {
  const FloatMode mode;
  const uint32_t from = cut(part), to = cut(part + 1);
  embed(from, to);
  for (int i = 0; i < m_.n_layers; i++) {
    const Layer &layer = m_.layers[i];
    const bool last = i == m_.n_layers - 1;
    project(layer, from, to, part);
    barrier_.wait();
    pack(layer, from, to, part);
    barrier_.wait();
    if (!last || m_.config.head != POTSTILL_POOLED) {
      attend(layer, from, to, part, false);
      finish_layer(layer, x_ + from * x_stride_, context_ + from * context_stride_, to - from,
                   rounded(from), part, last);
      continue;
    }
    // Only first tokens are asked for: theirs stand at their rows' numbers from here on.
    attend(layer, from, to, part, true);
    uint32_t begin_row = n_, n_first = 0;
    EACH_ROW(from, to) {
      if (begin != row.token) continue;
      if (begin_row == n_) begin_row = i_;
      n_first++;
      memcpy(first_x_ + i_ * x_stride_, x_ + begin * x_stride_, (size_t)m_.width * sizeof(float));
    }
    if (!n_first) return;
    finish_layer(layer, first_x_ + begin_row * x_stride_, context_ + begin_row * context_stride_, n_first,
                 rounded(begin_row), part, true);
    pooled_head(from, to);
    return;
  }
  head(from, to);
}

// Consecutive rows that run together.
struct Item {
  uint64_t first, at;
  uint32_t n, tokens;
};

// Groups of a call, taken one by one by whoever is free.
struct Queue {
  const Call &call;
  const Item *items;
  uint64_t n;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
};

void work_off(void *job, int) {
  Queue &queue = *(Queue *)job;
  for (;;) {
    const uint64_t i = queue.next.fetch_add(1);
    if (i >= queue.n || queue.failed.load()) return;
    const Item &item = queue.items[i];
    Group group(queue.call, item.first, item.at, item.n, item.tokens, 1);
    if (group.take_workspace())
      group.run(0);
    else
      queue.failed.store(true);
    group.give_workspace();
  }
}

bool run_one_by_one(const Call &call, const Item *items, uint64_t n, int threads) {
  Queue queue = {call, items, n};
  Helpers helpers(threads - 1);
  helpers.run(work_off, &queue);
  return !queue.failed.load();
}

bool run_together(const Call &call, const Item &item, int threads) {
  Helpers helpers(threads - 1);
  Group group(call, item.first, item.at, item.n, item.tokens, helpers.n() + 1);
  const bool taken = group.take_workspace();
  if (taken) helpers.run([](void *job, int part) { ((Group *)job)->run(part); }, &group);
  group.give_workspace();
  return taken;
}

// Rows → items of up to so many tokens, the longest first; returns how many.
uint64_t group_rows(const Call &call, uint64_t tokens, Item *items) {
  uint64_t n = 0, at = 0;
  for (uint64_t i = 0; i < call.n_rows; i++) {
    const uint32_t length = call.lengths[i];
    if (n && items[n - 1].tokens + length <= tokens) {
      items[n - 1].n++;
      items[n - 1].tokens += length;
    } else {
      items[n++] = {i, at, 1, length};
    }
    at += length;
  }
  qsort(items, n, sizeof(Item), [](const void *a, const void *b) {
    const Item &x = *(const Item *)a, &y = *(const Item *)b;
    if (x.tokens != y.tokens) return x.tokens < y.tokens ? 1 : -1;
    return x.first < y.first ? -1 : 1;
  });
  return n;
}

// Whether a core for each group ends nearly as soon as all cores on one group after the other.
bool is_even(const Item *items, uint64_t n, uint64_t tokens, int threads) {
  if (n >= 8 * (uint64_t)threads) return true;
  uint64_t load[256] = {0}, worst = 0;
  for (uint64_t i = 0; i < n; i++) {
    int least = 0;
    for (int t = 1; t < threads; t++)
      if (load[t] < load[least]) least = t;
    load[least] += items[i].tokens;
    worst = most(worst, load[least]);
  }
  return worst * (uint64_t)threads * 10 <= tokens * 11;
}

// Threads that so many tokens are worth, of those that are allowed.
int worth(const potstill_model &model, uint64_t tokens, uint32_t threads) {
  const uint64_t by_work = tokens * model.products / PART_PRODUCTS, by_tokens = tokens / PART_TOKENS;
  uint64_t n = by_work < by_tokens ? by_work : by_tokens;
  n = n < threads ? n : threads;
  return n < 1 ? 1 : n > 256 ? 256 : (int)n;
}

int check(const Call &call, Report &report) {
  const potstill_model &m = call.model;
  uint64_t at = 0;
  for (uint64_t i = 0; i < call.n_rows; i++) {
    const uint32_t length = call.lengths[i];
    if (length < 1 || length > (uint32_t)m.longest())
      return report.say(POTSTILL_BAD_INPUT, "row %llu has %u tokens; the model takes 1 to %d",
                        (unsigned long long)i, length, m.longest());
    for (uint32_t t = 0; t < length; t++, at++) {
      if ((uint32_t)call.ids[at] >= (uint32_t)m.n_words)
        return report.say(POTSTILL_BAD_INPUT,
                          "row %llu: token id %d at position %u is out of range; the model has %d words",
                          (unsigned long long)i, call.ids[at], t, m.n_words);
      if (call.types && m.n_types > 1 && (uint32_t)call.types[at] >= (uint32_t)m.n_types)
        return report.say(POTSTILL_BAD_INPUT,
                          "row %llu: token type %d at position %u is out of range; the model has %d",
                          (unsigned long long)i, call.types[at], t, m.n_types);
    }
  }
  return POTSTILL_OK;
}

}  // namespace

int run_rows(const potstill_model &model, const int32_t *ids, const int32_t *types,
             const uint32_t *lengths, size_t rows, uint32_t threads, float *out, Report &report) {
  uint64_t tokens = 0;
  for (size_t i = 0; i < rows; i++) tokens += lengths[i];
  const Call call = {model, ids, types, lengths, rows, tokens, out};
  const int status = check(call, report);
  if (status != POTSTILL_OK || !rows) return status;
  Memory memory;
  Item *items = memory.take<Item>(rows);
  if (!items) return report.no_memory();
  const int n_threads = worth(model, tokens, threads);
  uint64_t together = n_threads > 1 ? tokens / (2 * (uint64_t)n_threads) : tokens;
  if (together > GROUP_TOKENS) together = GROUP_TOKENS;
  const uint64_t n = group_rows(call, together, items);
  bool done = true;
  if (n_threads == 1 || is_even(items, n, tokens, n_threads)) {
    done = run_one_by_one(call, items, n, n_threads);
  } else {
    for (uint64_t i = 0; i < n && done; i++)
      done = run_together(call, items[i], worth(model, items[i].tokens, threads));
  }
  return done ? POTSTILL_OK : report.no_memory();
}

void free_workspaces(potstill_model &model) {
  while (model.free_workspaces) {
    Workspace *next = model.free_workspaces->next;
    delete model.free_workspaces;
    model.free_workspaces = next;
  }
}
