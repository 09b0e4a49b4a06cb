// Sixteen lanes of float or int32, in as many registers as the processor takes for them.
//
// Everything that is computed in float is written with these, once, for all kernels. What makes the
// bits equal everywhere: no operation is contracted (-ffp-contract=off), sums run in 16 lanes and
// are added in one fixed tree, rounding is to nearest even.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(POTSTILL_SCALAR)
#define POTSTILL_WIDTH 1
#elif defined(__AVX512F__)
#include <immintrin.h>
#define POTSTILL_WIDTH 16
#elif defined(__AVX2__)
#include <immintrin.h>
#define POTSTILL_WIDTH 8
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#define POTSTILL_WIDTH 4
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#define POTSTILL_WIDTH 4
#else
#define POTSTILL_WIDTH 1
#endif

#define INLINE static inline __attribute__((always_inline))

namespace {

constexpr int LANES = 16;
constexpr int REGS = LANES / POTSTILL_WIDTH;

#if POTSTILL_WIDTH == 1
typedef float FloatReg;
typedef int32_t IntReg;
#else
typedef float FloatReg __attribute__((vector_size(4 * POTSTILL_WIDTH)));
typedef int32_t IntReg __attribute__((vector_size(4 * POTSTILL_WIDTH)));
#endif

struct Floats {
  FloatReg r[REGS];
};
struct Ints {
  IntReg r[REGS];
};

#define EACH(expression)            \
  _Pragma("GCC unroll 16") for (int i = 0; i < REGS; i++) { \
    expression;                     \
  }

// Register by register: GCC keeps what is copied as a whole in memory.
INLINE Floats load(const float *p) {
  Floats v;
  EACH(memcpy(&v.r[i], p + i * POTSTILL_WIDTH, sizeof v.r[i]))
  return v;
}
INLINE void store(float *p, Floats v) { EACH(memcpy(p + i * POTSTILL_WIDTH, &v.r[i], sizeof v.r[i])) }
INLINE Ints load(const int32_t *p) {
  Ints v;
  EACH(memcpy(&v.r[i], p + i * POTSTILL_WIDTH, sizeof v.r[i]))
  return v;
}
INLINE void store(int32_t *p, Ints v) { EACH(memcpy(p + i * POTSTILL_WIDTH, &v.r[i], sizeof v.r[i])) }

INLINE Floats floats(float x) {
  Floats v;
#if POTSTILL_WIDTH == 1
  EACH(v.r[i] = x)
#else
  EACH(v.r[i] = x - (FloatReg){})
#endif
  return v;
}
INLINE Ints ints(int32_t x) {
  Ints v;
#if POTSTILL_WIDTH == 1
  EACH(v.r[i] = x)
#else
  EACH(v.r[i] = x - (IntReg){})
#endif
  return v;
}

#define BINARY(type, op)                       \
  INLINE type operator op(type a, type b) {    \
    EACH(a.r[i] = a.r[i] op b.r[i])            \
    return a;                                  \
  }
BINARY(Floats, +)
BINARY(Floats, -)
BINARY(Floats, *)
BINARY(Floats, /)
BINARY(Ints, &)
BINARY(Ints, |)
#undef BINARY

// Wrapping, as the processors do it: a file from a stranger may overflow what ours never does.
#define WRAPPING(op)                                                              \
  INLINE Ints operator op(Ints a, Ints b) {                                       \
    EACH(a.r[i] = (IntReg)((UnsignedReg)a.r[i] op(UnsignedReg) b.r[i]))           \
    return a;                                                                     \
  }
#if POTSTILL_WIDTH == 1
typedef uint32_t UnsignedReg;
#else
typedef uint32_t UnsignedReg __attribute__((vector_size(4 * POTSTILL_WIDTH)));
#endif
WRAPPING(+)
WRAPPING(-)
WRAPPING(*)
#undef WRAPPING

INLINE Ints shift_left(Ints a, int n) {
  EACH(a.r[i] = (IntReg)((UnsignedReg)a.r[i] << n))
  return a;
}
INLINE Ints shift_right(Ints a, int n) {
  EACH(a.r[i] = a.r[i] >> n)
  return a;
}

INLINE Floats as_floats(Ints a) {
  Floats v;
#if POTSTILL_WIDTH == 1
  EACH(memcpy(&v.r[i], &a.r[i], 4))
#else
  EACH(v.r[i] = (FloatReg)a.r[i])
#endif
  return v;
}
INLINE Ints as_ints(Floats a) {
  Ints v;
#if POTSTILL_WIDTH == 1
  EACH(memcpy(&v.r[i], &a.r[i], 4))
#else
  EACH(v.r[i] = (IntReg)a.r[i])
#endif
  return v;
}

INLINE Floats to_floats(Ints a) {
  Floats v;
#if POTSTILL_WIDTH == 1
  EACH(v.r[i] = (float)a.r[i])
#else
  EACH(v.r[i] = __builtin_convertvector(a.r[i], FloatReg))
#endif
  return v;
}

// To the nearest integer, ties to even, of |x| < 2²²: the last bits of x + 1.5 · 2²³.
INLINE Ints to_ints(Floats a) {
  const Floats magic = floats(12582912.0f);
  return as_ints(a + magic) - as_ints(magic);
}

INLINE Floats max(Floats a, Floats b) {
#if POTSTILL_WIDTH == 16
  EACH(a.r[i] = (FloatReg)_mm512_max_ps((__m512)a.r[i], (__m512)b.r[i]))
#elif POTSTILL_WIDTH == 8
  EACH(a.r[i] = (FloatReg)_mm256_max_ps((__m256)a.r[i], (__m256)b.r[i]))
#else
  EACH(a.r[i] = a.r[i] > b.r[i] ? a.r[i] : b.r[i])
#endif
  return a;
}
INLINE Floats min(Floats a, Floats b) {
#if POTSTILL_WIDTH == 16
  EACH(a.r[i] = (FloatReg)_mm512_min_ps((__m512)a.r[i], (__m512)b.r[i]))
#elif POTSTILL_WIDTH == 8
  EACH(a.r[i] = (FloatReg)_mm256_min_ps((__m256)a.r[i], (__m256)b.r[i]))
#else
  EACH(a.r[i] = a.r[i] < b.r[i] ? a.r[i] : b.r[i])
#endif
  return a;
}
INLINE Ints max(Ints a, Ints b) {
#if POTSTILL_WIDTH == 16
  EACH(a.r[i] = (IntReg)_mm512_max_epi32((__m512i)a.r[i], (__m512i)b.r[i]))
#elif POTSTILL_WIDTH == 8
  EACH(a.r[i] = (IntReg)_mm256_max_epi32((__m256i)a.r[i], (__m256i)b.r[i]))
#else
  EACH(a.r[i] = a.r[i] > b.r[i] ? a.r[i] : b.r[i])
#endif
  return a;
}
INLINE Floats abs(Floats a) { return as_floats(as_ints(a) & ints(0x7fffffff)); }

// All bits set in lanes below n, none in the others.
INLINE Ints below(int n) {
  static const int32_t counted[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return shift_right(load(counted) - ints(n), 31);
}
INLINE Floats keep(Floats a, Ints mask) { return as_floats(as_ints(a) & mask); }
// The first n lanes of memory that holds 16; 0 in the others.
INLINE Floats load_first(const float *p, int n) {
  return n >= LANES ? load(p) : keep(load(p), below(n));
}

// ((l0 + l8) + (l4 + l12)) + … : halves onto halves until one is left.
#if POTSTILL_WIDTH >= 8
INLINE __m256 upper_onto_lower(Floats v, bool adds) {
#if POTSTILL_WIDTH == 16
  const __m256 low = _mm512_castps512_ps256((__m512)v.r[0]);
  const __m256 high = _mm512_extractf32x8_ps((__m512)v.r[0], 1);
#else
  const __m256 low = (__m256)v.r[0], high = (__m256)v.r[1];
#endif
  return adds ? _mm256_add_ps(low, high) : _mm256_max_ps(low, high);
}
INLINE float sum(Floats v) {
  const __m256 eight = upper_onto_lower(v, true);
  __m128 a = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  a = _mm_add_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_add_ss(a, _mm_movehdup_ps(a)));
}
INLINE float largest(Floats v) {
  const __m256 eight = upper_onto_lower(v, false);
  __m128 a = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  a = _mm_max_ps(a, _mm_movehl_ps(a, a));
  return _mm_cvtss_f32(_mm_max_ss(a, _mm_movehdup_ps(a)));
}
#else
INLINE float sum(Floats v) {
  float a[LANES];
  store(a, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) a[i] = a[i] + a[i + half];
  return a[0];
}
INLINE float largest(Floats v) {
  float a[LANES];
  store(a, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
  return a[0];
}
#endif
INLINE int32_t largest(Ints v) {
#if POTSTILL_WIDTH == 16
  return _mm512_reduce_max_epi32((__m512i)v.r[0]);
#else
  int32_t a[LANES];
  store(a, v);
  for (int half = LANES / 2; half; half /= 2)
    for (int i = 0; i < half; i++) a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
  return a[0];
#endif
}

// The lanes, which are 0 … 255, as bytes.
INLINE void store_bytes(uint8_t *p, Ints v) {
#if POTSTILL_WIDTH == 16
  __m128i bytes = _mm512_cvtepi32_epi8((__m512i)v.r[0]);
  memcpy(p, &bytes, 16);
#elif POTSTILL_WIDTH == 8
  __m256i words = _mm256_packus_epi32((__m256i)v.r[0], (__m256i)v.r[1]);
  words = _mm256_permute4x64_epi64(words, 0xd8);
  __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  memcpy(p, &bytes, 16);
#elif defined(__ARM_NEON) && POTSTILL_WIDTH == 4
  uint16x8_t low = vcombine_u16(vmovn_u32((uint32x4_t)v.r[0]), vmovn_u32((uint32x4_t)v.r[1]));
  uint16x8_t high = vcombine_u16(vmovn_u32((uint32x4_t)v.r[2]), vmovn_u32((uint32x4_t)v.r[3]));
  vst1q_u8(p, vcombine_u8(vmovn_u16(low), vmovn_u16(high)));
#else
  int32_t a[LANES];
  store(a, v);
  for (int i = 0; i < LANES; i++) p[i] = (uint8_t)a[i];
#endif
}
// The lanes, which fit int16, as int16.
INLINE void store_shorts(int16_t *p, Ints v) {
#if POTSTILL_WIDTH == 16
  __m256i shorts = _mm512_cvtepi32_epi16((__m512i)v.r[0]);
  memcpy(p, &shorts, 32);
#elif POTSTILL_WIDTH == 8
  __m256i shorts = _mm256_packs_epi32((__m256i)v.r[0], (__m256i)v.r[1]);
  shorts = _mm256_permute4x64_epi64(shorts, 0xd8);
  memcpy(p, &shorts, 32);
#else
  int32_t a[LANES];
  store(a, v);
  for (int i = 0; i < LANES; i++) p[i] = (int16_t)a[i];
#endif
}
INLINE Ints load_bytes(const int8_t *p) {
#if POTSTILL_WIDTH == 16
  __m128i bytes;
  memcpy(&bytes, p, 16);
  Ints v;
  v.r[0] = (IntReg)_mm512_cvtepi8_epi32(bytes);
  return v;
#else
  int32_t a[LANES];
  for (int i = 0; i < LANES; i++) a[i] = p[i];
  return load(a);
#endif
}

}  // namespace
