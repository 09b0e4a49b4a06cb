// WebAssembly's SIMD, fixed (bytes are widened and multiplied in pairs) and relaxed.
#include "kernel.h"
#include "lanes.h"

namespace {

constexpr int TILE_BLOCKS = 1;
#if defined(__wasm_relaxed_simd__)
// Four bytes a lane at once. Of the second factor seven bits are defined: the eighth is 128 on some
// processors and a sign on others, which has to be asked.
constexpr int TILE_ROWS = 2;
INLINE v128_t add_dot(v128_t sums, v128_t w, v128_t x) {
  return wasm_i32x4_relaxed_dot_i8x16_i7x16_add(w, x, sums);
}
int eighth_bit() {
  volatile uint8_t high = 128;
  const v128_t x = wasm_i8x16_splat((int8_t)high);
  return wasm_i32x4_extract_lane(add_dot(wasm_i32x4_splat(0), wasm_i8x16_splat(1), x), 0) / 4;
}
const int EIGHTH_BIT = eighth_bit();
const bool SIGNED = EIGHTH_BIT < 0;
#define POTSTILL_GROUP 4

template <int ROWS, bool FLIP>
INLINE void dot_relaxed(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                        Ints (&sums)[ROWS][TILE_BLOCKS]) {
  const v128_t flip = wasm_i32x4_splat((int32_t)0x80808080);
  v128_t s[ROWS][4];
  _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) s[r][c] = wasm_i32x4_splat(0);
  for (int k = 0; k < depth; k += 4, b += 64) {
    v128_t x[ROWS];
    _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) {
      x[r] = wasm_v128_load32_splat(a + r * stride + k);
      if (FLIP) x[r] = wasm_v128_xor(x[r], flip);
    }
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) {
      const v128_t w = wasm_v128_load(b + c * 16);
      _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++) s[r][c] = add_dot(s[r][c], w, x[r]);
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++) sums[r][0].r[c] = (IntReg)s[r][c];
}

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  if (SIGNED)
    dot_relaxed<ROWS, true>(a, stride, b, depth, sums);
  else
    dot_relaxed<ROWS, false>(a, stride, b, depth, sums);
}
#else
constexpr int TILE_ROWS = 3;
constexpr bool SIGNED = false;
#define POTSTILL_GROUP 2

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  v128_t s[ROWS][4];
  _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) s[r][c] = wasm_i32x4_splat(0);
  for (int k = 0; k < depth; k += 2, b += 32) {
    v128_t x[ROWS];
    _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
      x[r] = wasm_u16x8_extend_low_u8x16(wasm_v128_load16_splat(a + r * stride + k));
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) {
      const v128_t w = wasm_i16x8_load8x8(b + c * 8);
      _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
        s[r][c] = wasm_i32x4_add(s[r][c], wasm_i32x4_dot_i16x8(x[r], w));
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++) sums[r][0].r[c] = (IntReg)s[r][c];
}
#endif

template <int ROWS>
INLINE void dot_some(const int16_t *a, size_t a_stride, const int16_t *b, int pairs, Ints *sums,
                     int sums_stride) {
  v128_t s[ROWS][4];
  _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) s[r][c] = wasm_i32x4_splat(0);
  for (int k = 0; k < pairs; k++, b += 32) {
    v128_t x[ROWS];
    _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
      x[r] = wasm_v128_load32_splat(a + r * a_stride + k * 2);
    _Pragma("GCC unroll 4") for (int c = 0; c < 4; c++) {
      const v128_t w = wasm_v128_load(b + c * 8);
      _Pragma("GCC unroll 4") for (int r = 0; r < ROWS; r++)
        s[r][c] = wasm_i32x4_add(s[r][c], wasm_i32x4_dot_i16x8(x[r], w));
    }
  }
  for (int r = 0; r < ROWS; r++)
    for (int c = 0; c < 4; c++) sums[r * sums_stride].r[c] = (IntReg)s[r][c];
}

template <int ROWS, int COLUMNS>
INLINE void dot_shorts(const int16_t *a, size_t a_stride, const int16_t *b, size_t b_stride, int pairs,
                       Ints (&sums)[ROWS][COLUMNS]) {
  constexpr int SOME = ROWS < 2 ? ROWS : 2;
  for (int c = 0; c < COLUMNS; c++)
    for (int r = 0; r < ROWS; r += SOME)
      dot_some<SOME>(a + r * a_stride, a_stride, b + c * b_stride, pairs, &sums[r][c], COLUMNS);
}

// (p + 2^r) >> (r + 1) as a rounding product with 2^(14 - r), which is 0 for r = 15.
INLINE v128_t halved(v128_t p, v128_t r) {
  const v128_t high = wasm_u8x16_make(64, 32, 16, 8, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
  const v128_t low = wasm_u8x16_make(0, 0, 0, 0, 0, 0, 0, 128, 64, 32, 16, 8, 4, 2, 1, 0);
  const v128_t index = wasm_v128_or(r, wasm_i16x8_shl(r, 8));
  const v128_t mask = wasm_i16x8_splat((int16_t)0xff00);
  const v128_t by = wasm_v128_or(wasm_v128_and(wasm_i8x16_swizzle(high, index), mask),
                                 wasm_v128_andnot(wasm_i8x16_swizzle(low, index), mask));
  return wasm_i16x8_q15mulr_sat(p, by);
}

// As in rows.h, 8 keys at a time.
#define POTSTILL_SHARES
INLINE int32_t shares(const int32_t *scores, int n, float factor, int16_t *out) {
  int32_t top = scores[0];
  int i = 0;
  if (n >= 4) {
    v128_t most = wasm_v128_load(scores);
    for (i = 4; i + 4 <= n; i += 4) most = wasm_i32x4_max(most, wasm_v128_load(scores + i));
    for (int j = 0; j < 4; j++) top = ((IntReg)most)[j] > top ? ((IntReg)most)[j] : top;
  }
  for (; i < n; i++) top = scores[i] > top ? scores[i] : top;
  const v128_t tops = wasm_i32x4_splat(top), by = wasm_f32x4_splat(factor);
  v128_t total = wasm_i32x4_splat(0);
  for (i = 0; i < n; i += 8) {
    v128_t half[2];
    for (int j = 0; j < 2; j++) {
      const v128_t below = wasm_i32x4_sub(tops, wasm_v128_load(scores + i + j * 4));
      const v128_t x = wasm_f32x4_pmin(wasm_f32x4_splat(32767.0f),
                                       wasm_f32x4_mul(wasm_f32x4_convert_i32x4(below), by));
      half[j] = wasm_i32x4_sub((v128_t)((FloatReg)x + 12582912.0f), wasm_i32x4_splat(0x4b400000));
    }
    const v128_t t = wasm_i16x8_narrow_i32x4(half[0], half[1]);
    const v128_t r = wasm_u16x8_shr(t, 11);
    const v128_t f = wasm_i16x8_shl(wasm_v128_and(t, wasm_i16x8_splat(2047)), 4);
    v128_t p = wasm_i16x8_add(wasm_i16x8_q15mulr_sat(f, wasm_i16x8_splat(-1316)),
                              wasm_i16x8_splat(7600));
    p = wasm_i16x8_add(wasm_i16x8_q15mulr_sat(p, f), wasm_i16x8_splat(-22670));
    p = wasm_i16x8_add(wasm_i16x8_q15mulr_sat(p, f), wasm_i16x8_splat(32767));
    p = halved(p, r);
    if (i + 8 > n) {
      const v128_t real = wasm_i16x8_lt(wasm_i16x8_make(0, 1, 2, 3, 4, 5, 6, 7),
                                        wasm_i16x8_splat((int16_t)(n - i)));
      p = wasm_v128_and(p, real);
    }
    total = wasm_i32x4_add(total, wasm_i32x4_dot_i16x8(p, wasm_i16x8_splat(1)));
    wasm_v128_store(out + i, p);
  }
  if ((n + 7) / 8 % 2) wasm_v128_store(out + (n + 7) / 8 * 8, wasm_i16x8_splat(0));
  int32_t all = 0;
  for (int j = 0; j < 4; j++) all += ((IntReg)total)[j];
  return all;
}

}  // namespace

#include "pack.h"
#include "rows.h"

#if defined(__wasm_relaxed_simd__)
bool wasm_runs() { return EIGHTH_BIT == 128 || EIGHTH_BIT == -128; }
POTSTILL_KERNEL(kernel_wasm, "wasm-relaxed")
#else
bool wasm_runs() { return true; }
POTSTILL_KERNEL(kernel_wasm, "wasm")
#endif
