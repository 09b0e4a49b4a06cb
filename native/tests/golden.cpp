// Runs golden.bin with every kernel that this processor has: other bits are a failure.
//
//     golden FILE
//
// The file is made by scripts/write_golden.py and read by Python's and JavaScript's tests too: for each
// case a potstill_config, then six uint32 (bytes of the model, rows, tokens, whether there are types,
// outputs, 0), then the model's bytes padded to 4, lengths, ids, types, and the outputs, all
// little-endian 32-bit.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <thread>

#include "potstill.h"

namespace {

struct Case {
  potstill_config config;
  uint32_t bytes, rows, tokens, has_types, outputs, nothing;
};

int failures = 0;

void run(const Case &c, const uint8_t *model_bytes, const uint32_t *lengths, const int32_t *ids,
         const int32_t *types, const float *wanted, const char *kernel, int number) {
  char message[256];
  potstill_model *model = nullptr;
  if (potstill_open(model_bytes, c.bytes, &c.config, kernel, &model, message, sizeof message)) {
    printf("case %d, %s: %s\n", number, kernel, message);
    failures++;
    return;
  }
  const auto wrong = [&](uint32_t threads) {
    float *out = (float *)calloc(c.outputs, sizeof(float));
    char said[256];
    const int status = potstill_run(model, ids, c.has_types ? types : nullptr, lengths, c.rows, threads,
                                    out, c.outputs, said, sizeof said);
    uint32_t n = status ? c.outputs : 0;
    for (uint32_t i = 0; i < c.outputs; i++) n += memcmp(out + i, wanted + i, 4) != 0;
    free(out);
    return n;
  };
  for (uint32_t threads = 1; threads <= 4; threads++)
    if (const uint32_t n = wrong(threads)) {
      printf("case %d, %s, %u threads: %u of %u outputs have other bits\n", number, kernel, threads, n,
             c.outputs);
      failures++;
    }
#if !defined(__wasm__)
  // Many callers on one model, each of whom would like three threads; once is enough for all kernels.
  if (strncmp(potstill_kernels(), kernel, strlen(kernel))) {
    potstill_close(model);
    return;
  }
  std::atomic<uint32_t> all{0};
  std::thread crowd[64];
  for (std::thread &one : crowd) one = std::thread([&] { all += wrong(3); });
  for (std::thread &one : crowd) one.join();
  if (all) {
    printf("case %d, %s, 64 callers: %u outputs have other bits\n", number, kernel, all.load());
    failures++;
  }
#endif
  potstill_close(model);
}

}  // namespace

int main(int n, char **arguments) {
  FILE *file = n > 1 ? fopen(arguments[1], "rb") : nullptr;
  if (!file) {
    puts("usage: golden FILE");
    return 2;
  }
  fseek(file, 0, SEEK_END);
  const size_t size = (size_t)ftell(file);
  rewind(file);
  uint8_t *all = (uint8_t *)malloc(size);
  if (fread(all, 1, size, file) != size) return 2;
  fclose(file);
  int number = 0;
  for (size_t at = 0; at < size; number++) {
    Case c;
    memcpy(&c, all + at, sizeof c);
    at += sizeof c;
    // Copied, so that a sanitizer sees where they end.
    uint8_t *model = (uint8_t *)malloc(c.bytes);
    memcpy(model, all + at, c.bytes);
    at += (c.bytes + 3) / 4 * 4;
    const uint32_t *lengths = (const uint32_t *)(all + at);
    const int32_t *ids = (const int32_t *)(lengths + c.rows);
    const int32_t *types = ids + c.tokens;
    const float *wanted = (const float *)(types + c.tokens);
    at += ((size_t)c.rows + 2 * (size_t)c.tokens + c.outputs) * 4;
    char kernels[128];
    snprintf(kernels, sizeof kernels, "%s", potstill_kernels());
    for (char *kernel = strtok(kernels, ","); kernel; kernel = strtok(nullptr, ","))
      run(c, model, lengths, ids, types, wanted, kernel, number);
    free(model);
  }
  free(all);
  printf("%d cases, kernels %s: %d failures\n", number, potstill_kernels(), failures);
  return failures ? 1 : 0;
}
