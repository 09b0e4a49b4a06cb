// 64-bit Arm, any of them.
#include "neon_bytes.h"
#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_neon, "neon")
