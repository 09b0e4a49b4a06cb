// 64-bit Arm with the dot product of bytes.
#include "neon_bytes.h"
#include "pack.h"
#include "rows.h"

POTSTILL_KERNEL(kernel_dotprod, "dotprod")
