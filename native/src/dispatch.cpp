// Which kernels this processor can run, and which of them is meant.
#include <stdlib.h>
#include <string.h>

#include "model.h"

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

extern const Kernel kernel_reference;
#if defined(__x86_64__)
extern const Kernel kernel_avx2;
extern const Kernel kernel_avxvnni;
extern const Kernel kernel_amx;
extern const Kernel kernel_avx512vnni;
#elif defined(__aarch64__)
extern const Kernel kernel_neon;
extern const Kernel kernel_dotprod;
extern const Kernel kernel_i8mm;
#elif defined(__wasm_simd128__)
extern const Kernel kernel_wasm;
extern bool wasm_runs();
#endif

namespace {

bool always() { return true; }

#if defined(__x86_64__)
struct Leaf {
  unsigned a = 0, b = 0, c = 0, d = 0;
  Leaf(unsigned leaf, unsigned sub) {
    if (__get_cpuid_max(0, nullptr) >= leaf) __cpuid_count(leaf, sub, a, b, c, d);
  }
};

// Registers that the system saves when it changes threads: XCR0's bits.
bool saves(uint64_t bits) {
  if (!(Leaf(1, 0).c & (1u << 27))) return false;
  unsigned low, high;
  __asm__ __volatile__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return ((((uint64_t)high << 32) | low) & bits) == bits;
}

bool has_avx2() { return saves(0x6) && (Leaf(7, 0).b & (1u << 5)); }
bool has_avx512vnni() {
  const Leaf seven(7, 0);
  constexpr unsigned F = 1u << 16, DQ = 1u << 17, BW = 1u << 30, VL = 1u << 31, VNNI = 1u << 11;
  return has_avx2() && saves(0xe6) && (seven.b & (F | DQ | BW | VL)) == (F | DQ | BW | VL) &&
         (seven.c & VNNI);
}
bool has_avxvnni() { return has_avx2() && (Leaf(7, 1).a & (1u << 4)); }
bool has_amx() {
#if defined(POTSTILL_EMULATE_AMX)
  return has_avx512vnni();
#elif defined(__linux__)
  constexpr unsigned TILE = 1u << 24, INT8 = 1u << 25;
  constexpr int REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM: for all threads to come
  return has_avx512vnni() && saves(0x60000) && (Leaf(7, 0).d & (TILE | INT8)) == (TILE | INT8) &&
         !syscall(SYS_arch_prctl, REQUEST, TILE_DATA);
#else
  return false;
#endif
}
#elif defined(__aarch64__)
#if defined(__linux__)
// Bits of AT_HWCAP and AT_HWCAP2, asm/hwcap.h.
bool has_dotprod() { return getauxval(AT_HWCAP) & (1ul << 20); }
bool has_i8mm() { return getauxval(AT_HWCAP2) & (1ul << 13); }
#elif defined(__APPLE__)
bool told(const char *name) {
  int value = 0;
  size_t size = sizeof value;
  return !sysctlbyname(name, &value, &size, nullptr, 0) && value;
}
bool has_dotprod() { return told("hw.optional.arm.FEAT_DotProd"); }
bool has_i8mm() { return told("hw.optional.arm.FEAT_I8MM"); }
#else
bool has_dotprod() { return false; }
bool has_i8mm() { return false; }
#endif
#endif

struct Known {
  const Kernel *kernel;
  bool (*runs_here)();
};

// The quickest first.
const Known KNOWN[] = {
#if defined(__x86_64__)
    {&kernel_amx, has_amx},
    {&kernel_avx512vnni, has_avx512vnni},
    {&kernel_avxvnni, has_avxvnni},
    {&kernel_avx2, has_avx2},
#elif defined(__aarch64__)
    {&kernel_i8mm, has_i8mm},
    {&kernel_dotprod, has_dotprod},
    {&kernel_neon, always},
#elif defined(__wasm_simd128__)
    {&kernel_wasm, wasm_runs},
#endif
    {&kernel_reference, always},
};

struct Names {
  char text[128] = "";
  Names() {
    for (const Known &known : KNOWN)
      if (known.runs_here()) {
        if (*text) strcat(text, ",");
        strcat(text, known.kernel->name);
      }
  }
};

}  // namespace

const char *kernel_names() {
  static const Names names;
  return names.text;
}

const Kernel *find_kernel(const char *name, Report &report) {
#if !defined(__wasm__)
  if (!name) name = getenv("POTSTILL_KERNEL");
#endif
  for (const Known &known : KNOWN)
    if ((!name || !*name || !strcmp(name, known.kernel->name)) && known.runs_here()) return known.kernel;
  report.say(POTSTILL_BAD_CALL, "kernel '%.40s' is none of those that run here: %s", name, kernel_names());
  return nullptr;
}
