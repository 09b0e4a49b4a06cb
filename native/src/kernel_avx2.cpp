// AVX2.
#include "avx2.h"
#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_avx2, "avx2")
