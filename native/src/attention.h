// Attention in integers; the same source for every kernel but AMX, which has products of its own.
#pragma once

#include "kernel.h"
#include "lanes.h"

namespace {

void round_queries(const float *x, const Heads &heads, int16_t *q, float *scale) {
  for (int h = 0; h < heads.n; h++, x += heads.width, q += heads.padded) {
    Floats most = floats(TINY);
    for (int i = 0; i < heads.width; i += LANES)
      most = max(most, abs(load_first(x + i, heads.width - i)));
    const float top = largest(most);
    const Floats steps = floats((float)KEY_LEVELS / top);
    for (int i = 0; i < heads.width; i += LANES)
      store_shorts(q + i, to_ints(load_first(x + i, heads.width - i) * steps));
    scale[h] = top / (float)KEY_LEVELS;
  }
}

void maxima(const float *x, size_t stride, int rows, int width, float *largest) {
  for (int r = 0; r < rows; r++, x += stride)
    for (int i = 0; i < width; i += LANES)
      store(largest + i, max(load(largest + i), abs(load(x + i))));
}

// Scores of queries side by side → what they and distances make of shares, in their steps: factors are then 1.
__attribute__((noinline)) void add_distances(int32_t *scores, size_t stride, int n, int rows, const float *distances, float *factor) {
  for (int r = 0; r < rows; r++, scores += stride, distances--) {
    for (int i = 0; i < n; i += LANES) {
      const Floats x = to_floats(load(scores + i)) * floats(factor[r]) + load(distances + i);
      store(scores + i, to_ints(min(max(x, floats(-1e9f)), floats(1e9f))));  // differences fit int32
    }
    factor[r] = 1.0f;
  }
}

#if !defined(POTSTILL_ATTEND)
// Keys lie as [head][block of 16][pair of columns][key][2].
void pack_keys(const float *x, size_t stride, int from, int to, const Heads &heads,
               const float *inverse, const Sequence &out) {
  const int pairs = heads.padded / 2;
  int16_t row[MAX_HEAD_WIDTH];
  for (int t = from; t < to; t++)
    for (int h = 0; h < heads.n; h++) {
      const float *key = x + (size_t)(t - from) * stride + h * heads.width;
      const Floats steps = floats(inverse[h]);
      for (int i = 0; i < heads.width; i += LANES)
        store_shorts(row + i, to_ints(load_first(key + i, heads.width - i) * steps));
      int16_t *to_block = out.keys + ((size_t)h * out.blocks + t / 16) * pairs * 32 + t % 16 * 2;
      for (int i = 0; i < pairs; i++) memcpy(to_block + (size_t)i * 32, row + i * 2, 4);
    }
}

// Values lie as [head][16 columns][pair of keys][column][2].
void pack_values(const float *x, size_t stride, int from, int to, const Heads &heads,
                 const float *inverse, const Sequence &out) {
  const size_t pairs = (size_t)out.blocks * 8;
  for (int t = from; t < to; t += 2)
    for (int h = 0; h < heads.n; h++)
      for (int i = 0; i < heads.width; i += LANES) {
        const int at = h * heads.width + i, n = heads.width - i;
        const float *value = x + (size_t)(t - from) * stride + at;
        const Floats steps = load_first(inverse + at, n);
        const Ints even = to_ints(load_first(value, n) * steps);
        Ints odd = ints(0);
        if (t + 1 < to) odd = to_ints(load_first(value + stride, n) * steps);
        const Ints both = (even & ints(0xffff)) | shift_left(odd, 16);
        int16_t *column = out.values + ((size_t)(h * heads.padded + i) / 16 * pairs + t / 2) * 32;
        memcpy(column, &both, sizeof both);
      }
}

// (a · b + ½) in fixed point of 15 bits.
INLINE Ints times(Ints a, Ints b) { return shift_right(a * b + ints(16384), 15); }

#ifndef POTSTILL_SHARES
// Scores → shares of attention, 2^((score - most) · factor) in [0, SHARE]; returns their sum.
//
// The exponent is rounded to 11 binary places. 2^-f is a polynomial of third degree, off by 6.3e-5
// at most, computed in fixed point of 15 bits, which every processor has a multiplication for.
INLINE int32_t shares(const int32_t *scores, int n, float factor, int16_t *out) {
  Ints most = ints(INT32_MIN);
  for (int i = 0; i < n; i += LANES) {
    const Ints v = load(scores + i);
    const Ints mask = below(n - i);
    most = max(most, n - i >= LANES ? v : (v & mask) | (ints(INT32_MIN) & (ints(-1) - mask)));
  }
  const Ints top = ints(largest(most));
  Ints total = ints(0);
  for (int i = 0; i < n; i += LANES) {
    const Floats x = to_floats(top - load(scores + i)) * floats(factor);
    const Ints t = to_ints(min(x, floats(32767.0f)));
    const Ints r = shift_right(t, 11) & ints(15);  // of a stranger's file t may be anything
    const Ints f = shift_left(t & ints(2047), 4);
    Ints p = times(f, ints(-1316)) + ints(7600);
    p = times(p, f) + ints(-22670);
    p = times(p, f) + ints(32767);
    int32_t a[LANES], by[LANES];
    store(a, p);
    store(by, r);
    for (int j = 0; j < LANES; j++) a[j] = (a[j] + (1 << by[j])) >> (by[j] + 1);
    p = load(a) & below(n - i);
    total = total + p;
    store_shorts(out + i, p);
  }
  int32_t lanes[LANES], all = 0;
  store(lanes, total);
  for (int j = 0; j < LANES; j++) all += lanes[j];
  return all;
}
#endif

// Blocks [from, from + COLUMNS) of 16 sums each, of ROWS rows of int16 pairs.
template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]);

template <int ROWS, int COLUMNS>
INLINE void score(const int16_t *q, size_t stride, const Heads &heads, const int16_t *keys, int from,
                  int32_t *scores, size_t scores_stride) {
  const size_t block = (size_t)heads.padded * 16;
  Ints sums[ROWS][COLUMNS];
  dot_shorts<ROWS, COLUMNS>(q, stride, keys + from * block, block, heads.padded / 2, sums);
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < COLUMNS; c++) store(scores + r * scores_stride + (from + c) * 16, sums[r][c]);
}

template <int ROWS, int COLUMNS>
INLINE void mix(const int16_t *p, size_t p_stride, int pairs, const int16_t *values,
                const float *value_scale, const float *inverse, int width, float *out, size_t stride) {
  const size_t block = (size_t)pairs * 32;
  Ints sums[ROWS][COLUMNS];
  dot_shorts<ROWS, COLUMNS>(p, p_stride, values, block, pairs, sums);
  for (int c = 0; c < COLUMNS; c++) {
    const int n = width - c * 16;
    const Floats scale = load_first(value_scale + c * 16, n);
    for (int r = 0; r < ROWS; r++) {
      const Floats v = (to_floats(sums[r][c]) * scale) * floats(inverse[r]);
      float *to = out + r * stride + c * 16;
      if (n >= LANES) {
        store(to, v);
      } else {
        memcpy(to, &v, n * sizeof(float));
      }
    }
  }
}

constexpr int HEAD_UNIT = 16, KEY_UNIT = 16, KEY_BYTES = 2;
constexpr int ATTEND_ROWS = 8;

size_t attend_scratch(int blocks, int) {
  return (size_t)ATTEND_ROWS * (blocks + 1) * 16 * (sizeof(int32_t) + sizeof(int16_t));
}

template <int ROWS>
INLINE void attend_rows(const int16_t *q, const float *query_scale, int first, const Heads &heads, int h,
                        const Sequence &s, void *scratch, float *out, size_t stride) {
  const size_t n_keys = (size_t)(s.blocks + 1) * 16, q_stride = (size_t)heads.n * heads.padded;
  int32_t *scores = (int32_t *)scratch;
  int16_t *p = (int16_t *)(scores + ATTEND_ROWS * n_keys);
  const int16_t *keys = s.keys + (size_t)h * s.blocks * heads.padded * 16;
  const int16_t *values = s.values + (size_t)h * heads.padded * s.blocks * 16;
  int b = 0;
  for (; b + 2 <= s.blocks; b += 2) score<ROWS, 2>(q, q_stride, heads, keys, b, scores, n_keys);
  if (b < s.blocks) score<ROWS, 1>(q, q_stride, heads, keys, b, scores, n_keys);
  const float unit = SHARE_UNIT / __builtin_sqrtf((float)heads.width);
  float factor[ROWS], inverse[ROWS];
  for (int r = 0; r < ROWS; r++) factor[r] = (query_scale[r * heads.n] * s.key_scale[h]) * unit;
  if (s.distances)
    add_distances(scores, n_keys, s.tokens, ROWS, s.distances + h * s.distances_stride - first, factor);
  for (int r = 0; r < ROWS; r++) {
    inverse[r] = 1.0f / (float)shares(scores + r * n_keys, s.tokens, factor[r], p + r * n_keys);
  }
  const int pairs = s.blocks * 8;
  int c = 0;
  for (; c + 32 <= heads.padded; c += 32)
    mix<ROWS, 2>(p, n_keys, pairs, values + (size_t)c * pairs * 2, s.value_scale + h * heads.width + c,
                 inverse, heads.width - c, out + c, stride);
  if (c < heads.padded)
    mix<ROWS, 1>(p, n_keys, pairs, values + (size_t)c * pairs * 2, s.value_scale + h * heads.width + c,
                 inverse, heads.width - c, out + c, stride);
}

void attend(const int16_t *queries, const float *query_scale, int rows, const Heads &heads,
            const Sequence &s, void *scratch, float *out, size_t stride) {
  const size_t q_stride = (size_t)heads.n * heads.padded;
  for (int h = 0; h < heads.n; h++) {
    int r = 0;
#define SOME(some)                                                                                  \
  attend_rows<some>(queries + r * q_stride + h * heads.padded, query_scale + r * heads.n + h, r, heads, \
                    h, s, scratch, out + r * stride + h * heads.width, stride);                         \
  r += some
    while (rows - r >= 8) { SOME(8); }
    if (rows - r >= 4) { SOME(4); }
    if (rows - r >= 2) { SOME(2); }
    if (rows - r >= 1) { SOME(1); }
#undef SOME
  }
}

#endif

}  // namespace
