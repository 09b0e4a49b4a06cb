// What a kernel gives the model: one table of functions, the same bits from every table.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Rows of activations are as long as their width rounded up to this, and so are a product's sums.
constexpr int PAD = 64;
constexpr int padded(int n) { return (n + PAD - 1) / PAD * PAD; }

// Levels that queries and keys are rounded to: 2 · 2047² · 256 is the most that fits int32.
constexpr int KEY_LEVELS = 2047;
constexpr int MAX_HEAD_WIDTH = 256;
// An unnormalised share of attention is at most this.
constexpr int SHARE = 16384;
// The longest row: at 4096 tokens a value still has 31 levels.
constexpr int MAX_TOKENS = 4096;
constexpr float TINY = 1e-12f;

enum class After { NOTHING, GELU, RELU, ADD };  // ADD: to what is in `out` already

// A linear layer: int8 weights packed for the kernel, one scale a column.
struct Linear {
  int n_in = 0;
  int n_out = 0;
  int8_t *packed = nullptr;
  int32_t *sums = nullptr;  // of each column's weights; this and the next two padded with 0
  float *scale = nullptr;
  float *bias = nullptr;
};

// A linear layer of floats, [out][in padded].
struct FloatLinear {
  int n_in = 0;
  int n_out = 0;
  float *weight = nullptr;
  float *bias = nullptr;
};

struct Norm {
  float *weight = nullptr;
  float *bias = nullptr;
};

// Rows rounded to uint8 with a scale each. `zero` stands for 0, or is 0 where the range has a floor.
struct Rounded {
  uint8_t *q;
  size_t stride;
  float *scale;
  int zero;
};

// How attention's heads lie in a row; `padded` is a head's width in multiples of the kernel's head_unit.
struct Heads {
  int n;
  int width;
  int padded;
  int all() const { return n * width; }
};

// Shares of attention are 2^-t, t in 2048 steps for each halving: 2048 · log2(e).
constexpr float SHARE_UNIT = 2954.639443740597f;

// One sequence in attention: keys and values packed, `scale` and `value_scale` of this sequence.
struct Sequence {
  int tokens;
  int blocks;  // of 16 keys, a multiple of the kernel's key_unit
  int16_t *keys;
  int16_t *values;
  const float *key_scale;    // [heads]
  const float *value_scale;  // [heads · width]
  // What scores get for how far each key is from the first query, of each head, in steps of a share; a
  // query further on begins one further left. Null where distances count for nothing (all but MPNet).
  const float *distances;
  size_t distances_stride;
};

struct Kernel {
  const char *name;

  // Heads' widths and rows' keys are padded to multiples of these; a number of a key takes key_bytes.
  int head_unit, key_unit, key_bytes;

  // Weights [in][out] → how `linear` wants them; `packed` has packed_size bytes, all 0.
  size_t (*packed_size)(int n_in, int n_out);
  void (*pack)(const int8_t *weight, int n_in, int n_out, int8_t *packed);
  // out = after((q · w) · scale · row scale + bias)
  void (*linear)(const Linear &w, const Rounded &in, int rows, float *out, size_t stride, After after);

  // Rows to uint8, symmetric about 128, or from a floor on.
  void (*round)(const float *x, size_t stride, int rows, int width, const Rounded &out);
  void (*round_from)(const float *x, size_t stride, int rows, int width, float floor,
                     const Rounded &out);
  // Layer norm in place; rounded too where `out` is given.
  void (*norm)(float *x, size_t stride, int rows, int width, const Norm &norm, float eps,
               const Rounded *out);

  // x = word · scale + type + position; `type` may be null.
  void (*embed)(const int8_t *word, float scale, const float *type, const float *position, int width,
                float *x);

  // Queries → int16, [heads][padded], and a scale for each head.
  void (*round_queries)(const float *x, const Heads &heads, int16_t *q, float *scale);
  // largest = max(largest, |x|) of `width` columns
  void (*maxima)(const float *x, size_t stride, int rows, int width, float *largest);
  // Tokens [from, to) of a sequence: keys and values → int16, packed.
  void (*pack_keys)(const float *x, size_t stride, int from, int to, const Heads &heads,
                    const float *inverse, const Sequence &out);
  void (*pack_values)(const float *x, size_t stride, int from, int to, const Heads &heads,
                      const float *inverse, const Sequence &out);
  // Queries of one sequence look at all of it. scratch: attend_scratch(blocks, padded) bytes, 64-aligned.
  size_t (*attend_scratch)(int blocks, int padded);
  void (*attend)(const int16_t *queries, const float *query_scale, int rows, const Heads &heads,
                 const Sequence &sequence, void *scratch, float *out, size_t stride);

  void (*activate)(float *x, int n, int activation);
  void (*float_linear)(const FloatLinear &w, const float *x, float *out);
  // The word table as a decoder: out[v] = (x · word[v]) · scale[v] + bias[v]
  void (*decode)(const float *x, int width, const int8_t *words, const float *scale, const float *bias,
                 int n_words, float *out);
};
