// AVX-512 with VNNI.
#include "avx512.h"

namespace {

constexpr int TILE_ROWS = 6;
constexpr int TILE_BLOCKS = 4;
constexpr bool SIGNED = false;

template <int ROWS>
INLINE void dot_bytes(const uint8_t *a, size_t stride, const int8_t *b, int depth,
                      Ints (&sums)[ROWS][TILE_BLOCKS]) {
  dot_vnni<ROWS, TILE_BLOCKS>(a, stride, b, 64, 256, depth, sums);
}

}  // namespace

#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_avx512vnni, "avx512vnni")
