// Attention in AMX's tiles, a part of kernel_amx.cpp.
#pragma once

#include "rows.h"

namespace {

// -- Attention ------------------------------------------------------------------------------------
//
// Numbers of 12 and 15 bits are two digits, each of which fits a byte.
//
// Scores: q = 16 q₁ + q₀ and k = 16 k₁ + k₀, where q₁ and k₁ are signed and q₀ and k₀ of 4 bits, so
//   q · k = 256 (q₁ · k₁) + q₁ · 16 k₀ + [16 q₀, q₀] · [k₁, k₀].
// Keys lie as [head][block of 16][32 columns][k₁, k₀, 16 k₀][four columns][key][4].
//
// Context: a share p = 128 p₁ + p₀ and a value v = 128 v₁ + v₀, where only v₁ is signed.
// Values lie as [head][16 columns][64 keys][v₁, v₀][four keys][column][4].

constexpr int HEAD_UNIT = 32, KEY_UNIT = 64, KEY_BYTES = 3;
constexpr int DIGIT = 512, CHUNK = 3 * DIGIT;  // bytes: of 16 keys' digits, 32 columns
constexpr int QUERY = 128;                     // bytes of 32 columns: q₁, 0, 16 q₀, q₀

INLINE void transpose(__m512i (&v)[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    v[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    v[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    v[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    v[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int i = 0; i < 4; i++) {
    const __m512i a = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88), b = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
    const __m512i c = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88),
                  d = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    t[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    t[i + 8] = _mm512_shuffle_i32x4(a, c, 0xdd);
    t[i + 12] = _mm512_shuffle_i32x4(b, d, 0xdd);
  }
  for (int i = 0; i < 16; i++) v[i] = t[i];
}

// 32 columns of a key: bytes of k₁, then of k₀.
INLINE __m512i key_digits(const float *x, int n, Floats steps) {
  const __m512i none = _mm512_setzero_si512();
  const __m512i a = (__m512i)to_ints(load_first(x, n) * steps).r[0];
  const __m512i b = n > 16 ? (__m512i)to_ints(load_first(x + 16, n - 16) * steps).r[0] : none;
  const __m512i shorts = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(a)),
                                            _mm512_cvtepi32_epi16(b), 1);
  const __m256i high = _mm512_cvtepi16_epi8(_mm512_srai_epi16(shorts, 4));
  const __m256i low = _mm512_cvtepi16_epi8(_mm512_and_si512(shorts, _mm512_set1_epi16(15)));
  return _mm512_inserti64x4(_mm512_castsi256_si512(high), low, 1);
}

void pack_keys(const float *x, size_t stride, int from, int to, const Heads &heads,
               const float *inverse, const Sequence &out) {
  const int chunks = heads.padded / 32;
  for (int t = from; t < to; t += 16) {
    const int n = to - t < 16 ? to - t : 16;
    for (int h = 0; h < heads.n; h++) {
      uint8_t *block = (uint8_t *)out.keys + ((size_t)h * out.blocks + t / 16) * chunks * CHUNK;
      for (int column = 0; column < heads.width; column += 32, block += CHUNK) {
        const float *key = x + (size_t)(t - from) * stride + h * heads.width + column;
        __m512i v[16];
        for (int i = 0; i < 16; i++)
          v[i] = i < n ? key_digits(key + i * stride, heads.width - column, floats(inverse[h]))
                       : _mm512_setzero_si512();
        transpose(v);
        for (int i = 0; i < 16; i++) _mm512_storeu_si512(block + i * 64, v[i]);
        for (int i = 8; i < 16; i++)
          _mm512_storeu_si512(block + DIGIT + i * 64, _mm512_slli_epi16(v[i], 4));
      }
    }
  }
}

void pack_values(const float *x, size_t stride, int from, int to, const Heads &heads,
                 const float *inverse, const Sequence &out) {
  const __m512i byte = _mm512_set1_epi32(255), low_bits = _mm512_set1_epi32(127);
  for (int t = from; t < to; t += 4)
    for (int h = 0; h < heads.n; h++)
      for (int i = 0; i < heads.width; i += LANES) {
        const int at = h * heads.width + i, n = heads.width - i;
        const float *value = x + (size_t)(t - from) * stride + at;
        const Floats steps = load_first(inverse + at, n);
        __m512i high = _mm512_setzero_si512(), low = high;
        for (int j = 3; j >= 0; j--) {
          Ints v = ints(0);
          if (t + j < to) v = to_ints(load_first(value + j * stride, n) * steps);
          const __m512i one = (__m512i)v.r[0];
          high = _mm512_or_si512(_mm512_slli_epi32(high, 8),
                                 _mm512_and_si512(_mm512_srai_epi32(one, 7), byte));
          low = _mm512_or_si512(_mm512_slli_epi32(low, 8), _mm512_and_si512(one, low_bits));
        }
        uint8_t *block = (uint8_t *)out.values +
                         ((size_t)(h * heads.padded + i) * out.blocks + t / 64 * 64) * 32 + t % 64 * 16;
        _mm512_storeu_si512(block, high);
        _mm512_storeu_si512(block + 1024, low);
      }
}

// What 16 queries of a head need: their digits, what two tiles by two hold, and a row of scores for each,
// over which its shares are written: 64 keys' p₁, then their p₀, and so on.
struct Attention {
  size_t row;  // bytes of scores; not a power of two, so that rows do not fall on the same lines of the cache
  uint8_t *queries, *tiles, *scores;

  Attention(int blocks, int padded, void *scratch)
      : row((size_t)blocks * 64 + 64), queries((uint8_t *)scratch) {
    tiles = queries + (size_t)padded / 32 * 16 * QUERY;
    scores = tiles + 2 * 4096;
  }
};

size_t attend_scratch(int blocks, int padded) {
  const Attention a(blocks, padded, nullptr);
  return (size_t)(a.scores - a.queries) + 16 * a.row;
}

INLINE void split_queries(const int16_t *q, size_t stride, int rows, int padded, uint8_t *out) {
  for (int r = 0; r < rows; r++, q += stride)
    for (int i = 0; i < padded; i += 32) {
      const __m512i v = _mm512_loadu_si512(q + i);
      const __m256i low = _mm512_cvtepi16_epi8(_mm512_and_si512(v, _mm512_set1_epi16(15)));
      uint8_t *to = out + ((size_t)i / 32 * 16 + r) * QUERY;
      _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi16_epi8(_mm512_srai_epi16(v, 4)));
      _mm256_storeu_si256((__m256i *)(to + 32), _mm256_setzero_si256());
      _mm256_storeu_si256((__m256i *)(to + 64), _mm256_slli_epi16(low, 4));
      _mm256_storeu_si256((__m256i *)(to + 96), low);
    }
}

// Tiles of 256 and of 1 → scores of 32 keys.
INLINE void add_digits(const uint8_t *tiles, uint8_t *scores, size_t row) {
  for (int r = 0; r < 16; r++)
    for (int c = 0; c < 2; c++) {
      const uint8_t *at = tiles + c * 2048 + r * 64;
      const __m512i high = _mm512_slli_epi32(_mm512_load_si512(at), 8);
      _mm512_storeu_si512(scores + r * row + c * 64, _mm512_add_epi32(high, _mm512_load_si512(at + 1024)));
    }
}

INLINE void score(const Attention &a, const uint8_t *keys, int n_keys, int chunks) {
  uint8_t *scores = nullptr, *before = nullptr;
  for (int k = 0; k < n_keys; k += 32) {
    const uint8_t *b0 = keys + (size_t)k / 16 * chunks * CHUNK, *b1 = b0 + (size_t)chunks * CHUNK;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int c = 0; c < chunks; c++, b0 += CHUNK, b1 += CHUNK) {
      const uint8_t *q = a.queries + c * 16 * QUERY;
      TILE_LOAD(4, q, QUERY);
      TILE_LOAD(5, q + 64, QUERY);
      TILE_LOAD(6, b0, 64);
      MULTIPLY_SS(0, 4, 6);
      MULTIPLY_US(1, 5, 6);
      TILE_LOAD(7, b1, 64);
      MULTIPLY_SS(2, 4, 7);
      MULTIPLY_US(3, 5, 7);
      TILE_LOAD(6, b0 + 2 * DIGIT, 64);
      MULTIPLY_SU(1, 4, 6);
      TILE_LOAD(7, b1 + 2 * DIGIT, 64);
      MULTIPLY_SU(3, 4, 7);
    }
    uint8_t *tiles = a.tiles + k / 32 % 2 * 4096;
    TILE_STORE(0, tiles, 64);
    TILE_STORE(1, tiles + 1024, 64);
    TILE_STORE(2, tiles + 2048, 64);
    TILE_STORE(3, tiles + 3072, 64);
    if (scores) add_digits(before, scores, a.row);
    before = tiles;
    scores = a.scores + k * 4;
  }
  add_digits(before, scores, a.row);
}

// As `shares` in rows.h, 64 keys at a time and into two digits, over the scores.
INLINE int32_t share_digits(uint8_t *row, int n, float factor) {
  const int32_t *scores = (const int32_t *)row;
  __m512i most = _mm512_set1_epi32(INT32_MIN);
  int i = 0;
  for (; i + 16 <= n; i += 16) most = _mm512_max_epi32(most, _mm512_load_si512(scores + i));
  if (i < n)
    most = _mm512_mask_max_epi32(most, (__mmask16)((1u << (n - i)) - 1), most,
                                 _mm512_load_si512(scores + i));
  const __m512i top = _mm512_set1_epi32(_mm512_reduce_max_epi32(most));
  const __m512 by = _mm512_set1_ps(factor), cut = _mm512_set1_ps(32767.0f);
  const __m512i ones = _mm512_set1_epi8(1);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  __m512i total_high = _mm512_setzero_si512(), total_low = total_high;
  for (i = 0; i < n; i += 64) {
    __m512i digits[2][2];
    _Pragma("GCC unroll 2") for (int j = 0; j < 2; j++) {
      __m512i half[2];
      _Pragma("GCC unroll 2") for (int k = 0; k < 2; k++) {
        const __m512i below = _mm512_sub_epi32(top, _mm512_load_si512(scores + i + j * 32 + k * 16));
        half[k] = _mm512_cvtps_epi32(_mm512_min_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(below), by), cut));
      }
      const __m512i p = share(_mm512_packs_epi32(half[0], half[1]));
      digits[0][j] = _mm512_srli_epi16(p, 7);
      digits[1][j] = _mm512_and_si512(p, _mm512_set1_epi16(127));
    }
    __m512i p1 = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(digits[0][0], digits[0][1]));
    __m512i p0 = _mm512_permutexvar_epi32(order, _mm512_packus_epi16(digits[1][0], digits[1][1]));
    if (i + 64 > n) {
      const __mmask64 those = ((__mmask64)1 << (n - i)) - 1;
      p1 = _mm512_maskz_mov_epi8(those, p1);
      p0 = _mm512_maskz_mov_epi8(those, p0);
    }
    add_bytes(total_high, p1, ones);
    add_bytes(total_low, p0, ones);
    _mm512_store_si512(row + i * 2, p1);
    _mm512_store_si512(row + i * 2 + 64, p0);
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(_mm512_slli_epi32(total_high, 7), total_low));
}

// 32 columns of the context of `rows` queries.
INLINE void mix(const Attention &a, const uint8_t *values, int n_keys, int rows, const float *value_scale,
                const float *inverse, int width, float *out, size_t stride) {
  const uint8_t *p = a.scores, *v0 = values, *v1 = v0 + (a.row - 64) * 8;
  TILE_ZERO(0);
  TILE_ZERO(1);
  TILE_ZERO(2);
  TILE_ZERO(3);
  TILE_ZERO(4);
  TILE_ZERO(5);
  for (int k = 0; k < n_keys; k += 64, p += 128, v0 += 2048, v1 += 2048) {
    TILE_LOAD(6, p, a.row);
    TILE_LOAD(7, v0, 64);
    MULTIPLY_US(0, 6, 7);
    TILE_LOAD(7, v0 + 1024, 64);
    MULTIPLY_US(1, 6, 7);
    TILE_LOAD(7, v1, 64);
    MULTIPLY_US(3, 6, 7);
    TILE_LOAD(7, v1 + 1024, 64);
    MULTIPLY_US(4, 6, 7);
    TILE_LOAD(6, p + 64, a.row);
    MULTIPLY_US(5, 6, 7);
    TILE_LOAD(7, v1, 64);
    MULTIPLY_US(4, 6, 7);
    TILE_LOAD(7, v0 + 1024, 64);
    MULTIPLY_US(2, 6, 7);
    TILE_LOAD(7, v0, 64);
    MULTIPLY_US(1, 6, 7);
  }
  alignas(64) int32_t sums[6][256];
  TILE_STORE(0, sums[0], 64);
  TILE_STORE(1, sums[1], 64);
  TILE_STORE(2, sums[2], 64);
  TILE_STORE(3, sums[3], 64);
  TILE_STORE(4, sums[4], 64);
  TILE_STORE(5, sums[5], 64);
  for (int c = 0; c < 2; c++) {
    const int n = width - c * 16;
    if (n <= 0) return;
    const Floats scale = load_first(value_scale + c * 16, n);
    for (int r = 0; r < rows; r++) {
      const Ints sum = shift_left(load(sums[c * 3] + r * 16), 14) +
                       (shift_left(load(sums[c * 3 + 1] + r * 16), 7) + load(sums[c * 3 + 2] + r * 16));
      const Floats v = (to_floats(sum) * scale) * floats(inverse[r]);
      float *to = out + r * stride + c * 16;
      if (n >= LANES) {
        store(to, v);
      } else {
        memcpy(to, &v, n * sizeof(float));
      }
    }
  }
}

void attend(const int16_t *queries, const float *query_scale, int rows, const Heads &heads,
            const Sequence &s, void *scratch, float *out, size_t stride) {
  const Attention a(s.blocks, heads.padded, scratch);
  const int chunks = heads.padded / 32;
  const size_t q_stride = (size_t)heads.n * heads.padded;
  const float unit = SHARE_UNIT / __builtin_sqrtf((float)heads.width);
  shape_tiles(Shapes());
  for (int h = 0; h < heads.n; h++) {
    const uint8_t *keys = (const uint8_t *)s.keys + (size_t)h * s.blocks * chunks * CHUNK;
    const uint8_t *values = (const uint8_t *)s.values + (size_t)h * heads.padded * s.blocks * 32;
    for (int from = 0; from < rows; from += 16) {
      const int n = rows - from < 16 ? rows - from : 16;
      split_queries(queries + from * q_stride + h * heads.padded, q_stride, n, heads.padded, a.queries);
      IN_MEMORY;
      score(a, keys, s.tokens, chunks);
      float factor[16], inverse[16];
      for (int r = 0; r < n; r++)
        factor[r] = (query_scale[(from + r) * heads.n + h] * s.key_scale[h]) * unit;
      if (s.distances)
        add_distances((int32_t *)a.scores, a.row / 4, s.tokens, n,
                      s.distances + h * s.distances_stride - from, factor);
      for (int r = 0; r < n; r++)
        inverse[r] = 1.0f / (float)share_digits(a.scores + r * a.row, s.tokens, factor[r]);
      IN_MEMORY;  // stamp
      for (int c = 0; c < heads.padded; c += 32)
        mix(a, values + (size_t)c * s.blocks * 32, s.tokens, n, s.value_scale + h * heads.width + c, inverse,
            heads.width - c, out + from * stride + h * heads.width + c, stride);
    }
  }
  end_tiles();
}

}  // namespace
