// AVX-VNNI: AVX2 with the products of VNNI, in processors without AVX-512.
#include "avx2.h"
#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_avxvnni, "avxvnni")
