// What happens to rows between the products, and the products' ends; the same source for every kernel.
#pragma once

#include "attention.h"
#include "kernel.h"
#include "lanes.h"

namespace {

// -- Functions ------------------------------------------------------------------------------------

// x · Φ(x). erf(x / √2) is x · p(x²), fitted to the least error of the result for |x| ≤ 4.2, where it
// reaches 1: 8.5e-5 at most, a hundredth of a step of the rounding that follows.
INLINE Floats gelu(Floats x) {
  const Floats top = floats(4.2f);
  const Floats t = min(max(x, floats(-4.2f)), top);
  const Floats u = t * t;
  Floats p = floats(-1.8035065663113414e-9f);
  p = p * u + floats(1.5882680770573643e-7f);
  p = p * u + floats(-6.075864803278819e-6f);
  p = p * u + floats(1.3378143194131553e-4f);
  p = p * u + floats(-1.9013157580047846e-3f);
  p = p * u + floats(1.85964647680521e-2f);
  p = p * u + floats(-1.3105642795562744e-1f);
  p = p * u + floats(7.96931803226471e-1f);
  const Floats h = x * floats(0.5f);
  return h + h * (t * p);
}

// e^x for x ≤ 0: 2^n · 2^f with |f| ≤ ½, the latter's series up to its sixth term.
INLINE Floats exponential(Floats x) {
  const Floats t = max(x * floats(1.4426950408889634f), floats(-126.0f));
  const Ints n = to_ints(t);
  const Floats f = t - to_floats(n);
  Floats p = floats(1.5403530393381608e-4f);
  p = p * f + floats(1.3333558146428443e-3f);
  p = p * f + floats(9.618129107628477e-3f);
  p = p * f + floats(5.550410866482158e-2f);
  p = p * f + floats(2.402265069591007e-1f);
  p = p * f + floats(6.931471805599453e-1f);
  p = p * f + floats(1.0f);
  return p * as_floats(shift_left(n + ints(127), 23));
}

INLINE Floats hyperbolic_tangent(Floats x) {
  const Floats e = exponential(abs(x) * floats(-2.0f));
  const Floats t = (floats(1.0f) - e) / (floats(1.0f) + e);
  return as_floats(as_ints(t) | (as_ints(x) & ints((int32_t)0x80000000u)));
}

INLINE Floats gelu_new(Floats x) {
  const Floats cube = (x * x) * x;
  const Floats inner = (x + cube * floats(0.044715f)) * floats(0.7978845608028654f);
  return (x * (hyperbolic_tangent(inner) + floats(1.0f))) * floats(0.5f);
}

void activate(float *x, int n, int activation) {
  for (int i = 0; i < n; i += LANES) {
    Floats v = load_first(x + i, n - i);
    if (activation == 0) v = gelu(v);
    if (activation == 1) v = gelu_new(v);
    if (activation == 2) v = max(v, floats(0.0f));
    if (activation == 3) v = hyperbolic_tangent(v);
    store(x + i, v);
  }
}

// -- Rounding and norms ---------------------------------------------------------------------------

// The largest of `width` floats that `value(i)` gives from i on, and TINY; four at a time, for speed.
template <class Value>
INLINE float largest_of(int width, Value value) {
  Floats most[4] = {floats(TINY), floats(TINY), floats(TINY), floats(TINY)};
  int i = 0;
  for (; i + 4 * LANES <= width; i += 4 * LANES)
    for (int j = 0; j < 4; j++) most[j] = max(most[j], value(i + j * LANES));
  for (; i < width; i += LANES) {
    const Floats v = value(i);
    most[0] = max(most[0], width - i >= LANES ? v : keep(v, below(width - i)));
  }
  return largest(max(max(most[0], most[1]), max(most[2], most[3])));
}

INLINE void round_row(const float *x, int width, uint8_t *q, float *scale) {
  const float top = largest_of(width, [x](int i) { return abs(load(x + i)); });
  const Floats steps = floats(127.0f / top);
  for (int i = 0; i < width; i += LANES)
    store_bytes(q + i, to_ints(load_first(x + i, width - i) * steps) + ints(128));
  *scale = top / 127.0f;
}

void round(const float *x, size_t stride, int rows, int width, const Rounded &out) {
  for (int r = 0; r < rows; r++)
    round_row(x + r * stride, width, out.q + r * out.stride, out.scale + r);
}

void round_from(const float *x, size_t stride, int rows, int width, float floor, const Rounded &out) {
  const Floats least = floats(floor);
  for (int r = 0; r < rows; r++) {
    const float *row = x + r * stride;
    uint8_t *q = out.q + r * out.stride;
    const float top = largest_of(width, [=](int i) { return load(row + i) - least; });
    const Floats steps = floats(255.0f / top);
    for (int i = 0; i < width; i += LANES)
      store_bytes(q + i, to_ints(max((load(row + i) - least) * steps, floats(0.0f))));
    out.scale[r] = top / 255.0f;
  }
}

// Some rows side by side, since each adds its own up one after the other.
template <int ROWS>
INLINE void norm_rows(float *x, size_t stride, int width, const Norm &norm, float eps) {
  Floats mean[ROWS], factor[ROWS], total[ROWS];
  for (int r = 0; r < ROWS; r++) total[r] = floats(0.0f);
  for (int i = 0; i < width; i += LANES)
    for (int r = 0; r < ROWS; r++) total[r] = total[r] + load_first(x + r * stride + i, width - i);
  for (int r = 0; r < ROWS; r++) {
    mean[r] = floats(sum(total[r]) / (float)width);
    total[r] = floats(0.0f);
  }
  for (int i = 0; i < width; i += LANES)
    for (int r = 0; r < ROWS; r++) {
      Floats d = load(x + r * stride + i) - mean[r];
      if (width - i < LANES) d = keep(d, below(width - i));
      total[r] = total[r] + d * d;
    }
  for (int r = 0; r < ROWS; r++)
    factor[r] = floats(1.0f / __builtin_sqrtf(sum(total[r]) / (float)width + eps));
  for (int i = 0; i < width; i += LANES) {
    const Floats weight = load(norm.weight + i), bias = load(norm.bias + i);
    for (int r = 0; r < ROWS; r++) {
      float *at = x + r * stride + i;
      store(at, ((load(at) - mean[r]) * factor[r]) * weight + bias);
    }
  }
}

void norm(float *x, size_t stride, int rows, int width, const Norm &norm, float eps,
          const Rounded *out) {
  constexpr int SOME = POTSTILL_WIDTH >= 8 ? 4 : 1;  // whose sums stay in registers
  int r = 0;
  for (; r + SOME <= rows; r += SOME) norm_rows<SOME>(x + r * stride, stride, width, norm, eps);
  for (; r < rows; r++) norm_rows<1>(x + r * stride, stride, width, norm, eps);
  if (out) round(x, stride, rows, width, *out);
}

void embed(const int8_t *word, float scale, const float *type, const float *position, int width,
           float *x) {
  // The file's own bytes: only whole groups of 16 may be read, the rest one by one.
  int i = 0;
  for (; i + LANES <= width; i += LANES) {
    Floats v = to_floats(load_bytes(word + i)) * floats(scale);
    if (type) v = v + load(type + i);
    store(x + i, v + load(position + i));
  }
  for (; i < width; i++) {
    float v = (float)word[i] * scale;
    if (type) v = v + type[i];
    x[i] = v + position[i];
  }
}

// -- Heads ----------------------------------------------------------------------------------------

void float_linear(const FloatLinear &w, const float *x, float *out) {
  const int stride = padded(w.n_in);
  for (int o = 0; o < w.n_out; o++) {
    const float *row = w.weight + (size_t)o * stride;
    Floats total = floats(0.0f);
    for (int i = 0; i < w.n_in; i += LANES) total = total + load_first(x + i, w.n_in - i) * load(row + i);
    out[o] = sum(total) + w.bias[o];
  }
}

void decode(const float *x, int width, const int8_t *words, const float *scale, const float *bias,
            int n_words, float *out) {
  for (int v = 0; v < n_words; v++) {
    const int8_t *word = words + (size_t)v * width;
    Floats total = floats(0.0f);
    int i = 0;
    for (; i + LANES <= width; i += LANES) total = total + load(x + i) * to_floats(load_bytes(word + i));
    if (i < width) {
      int8_t rest[LANES] = {0};
      memcpy(rest, word + i, width - i);
      total = total + load_first(x + i, width - i) * to_floats(load_bytes(rest));
    }
    out[v] = sum(total) * scale[v] + bias[v];
  }
}

// -- Products -------------------------------------------------------------------------------------

// A kernel gives: TILE_ROWS and TILE_BLOCKS (of 16 columns), how many sums it keeps at once;
// SIGNED, whether its sums are of q - 128; and
//   dot_bytes<ROWS>(a, stride, b, n_in padded, sums[ROWS][TILE_BLOCKS])

template <After AFTER>
INLINE void finish(Ints sum, Floats scale, Floats row_scale, Floats bias, float *to) {
  Floats v = (to_floats(sum) * scale) * row_scale + bias;
  if (AFTER == After::GELU) v = gelu(v);
  if (AFTER == After::RELU) v = max(v, floats(0.0f));
  if (AFTER == After::ADD) v = v + load(to);
  store(to, v);
}

#if !defined(POTSTILL_MULTIPLY)
template <int ROWS, After AFTER>
INLINE void tile(const Linear &w, const Rounded &in, int row, int column, float *out, size_t stride) {
  Ints sums[ROWS][TILE_BLOCKS];
  const int depth = padded(w.n_in);
  dot_bytes<ROWS>(in.q + row * in.stride, in.stride, w.packed + (size_t)column * depth, depth, sums);
  const int offset = in.zero - (SIGNED ? 128 : 0);
  _Pragma("GCC unroll 4") for (int c = 0; c < TILE_BLOCKS; c++) {
    const int at = column + c * 16;
    const Ints off = load(w.sums + at) * ints(offset);
    const Floats scale = load(w.scale + at), bias = load(w.bias + at);
    _Pragma("GCC unroll 16") for (int r = 0; r < ROWS; r++)
      finish<AFTER>(sums[r][c] - off, scale, floats(in.scale[row + r]), bias, out + (row + r) * stride + at);
  }
}

template <int ROWS, After AFTER>
struct Tiles {
  static void run(int n, const Linear &w, const Rounded &in, int row, int column, float *out,
                  size_t stride) {
    if (n == ROWS)
      tile<ROWS, AFTER>(w, in, row, column, out, stride);
    else
      Tiles<ROWS - 1, AFTER>::run(n, w, in, row, column, out, stride);
  }
};
template <After AFTER>
struct Tiles<0, AFTER> {
  static void run(int, const Linear &, const Rounded &, int, int, float *, size_t) {}
};

template <After AFTER>
void multiply(const Linear &w, const Rounded &in, int rows, float *out, size_t stride) {
  // Tiles of nearly equal height: one row left over would cost as much as half a tile.
  const int n_tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
  for (int column = 0; column < padded(w.n_out); column += TILE_BLOCKS * 16)
    for (int i = 0, row = 0; i < n_tiles; i++) {
      const int end = (int)((int64_t)rows * (i + 1) / n_tiles);
      Tiles<TILE_ROWS, AFTER>::run(end - row, w, in, row, column, out, stride);
      row = end;
    }
}
#endif

template <After AFTER>
void multiply(const Linear &w, const Rounded &in, int rows, float *out, size_t stride);

void linear(const Linear &w, const Rounded &in, int rows, float *out, size_t stride, After after) {
  if (after == After::NOTHING) multiply<After::NOTHING>(w, in, rows, out, stride);
  if (after == After::GELU) multiply<After::GELU>(w, in, rows, out, stride);
  if (after == After::RELU) multiply<After::RELU>(w, in, rows, out, stride);
  if (after == After::ADD) multiply<After::ADD>(w, in, rows, out, stride);
}

}  // namespace

#define POTSTILL_KERNEL(symbol, name)                                                                \
  extern const Kernel symbol;                                                                        \
  const Kernel symbol = {name,      HEAD_UNIT,      KEY_UNIT, KEY_BYTES,   packed_size, pack,         \
                         linear,    round,          round_from, norm,      embed,       round_queries, \
                         maxima,    pack_keys,      pack_values, attend_scratch, attend, activate,    \
                         float_linear, decode};
