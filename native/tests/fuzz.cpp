// Opens and runs damaged models for a while; built with sanitizers, it must find nothing.
//
//     fuzz golden.bin SECONDS [SEED]
//
// Bytes, lengths and numbers of golden.bin's models are changed, cut out and put elsewhere; rows have
// wild ids and lengths. What still opens is run with every kernel, which must agree in their bits.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "potstill.h"

namespace {

uint64_t state = 1;
uint64_t random_below(uint64_t n) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return n ? state % n : 0;
}

struct Case {
  potstill_config config;
  uint32_t bytes, rows, tokens, has_types, outputs, nothing;
};

long opened = 0, refused = 0, ran = 0, differed = 0;

uint32_t mutate(uint8_t *model, uint32_t size) {
  for (uint64_t changes = random_below(4); changes-- && size > 8;) {
    const uint64_t at = random_below(random_below(2) ? size : size < 4096 ? size : 4096);
    switch (random_below(6)) {
      case 0:
        model[at] = (uint8_t)random_below(256);
        break;
      case 1:
        model[at] ^= (uint8_t)(1u << random_below(8));
        break;
      case 2:
        size = (uint32_t)at;
        break;
      case 3: {  // a piece moves
        const uint64_t to = random_below(size), n = random_below(64);
        if (at + n < size && to + n < size) memmove(model + to, model + at, n);
        break;
      }
      case 4:  // a number becomes large
        for (uint64_t i = at; i < size && i < at + 5; i++) model[i] = 0xff;
        break;
      default: {  // a float becomes wild
        static const uint32_t wild[] = {0x7f800000, 0x7fc00000, 0xff800000, 0x58635fa8, 0x00000001, 0};
        if (at + 4 < size) memcpy(model + at, wild + random_below(6), 4);
      }
    }
  }
  return size;
}

void try_one(const Case &c, const uint8_t *bytes) {
  uint8_t *model_bytes = (uint8_t *)malloc(c.bytes + 1);
  memcpy(model_bytes, bytes, c.bytes);
  const uint32_t size = mutate(model_bytes, c.bytes);
  uint8_t *exact = (uint8_t *)malloc(size ? size : 1);  // as long as it is, for the sanitizer
  memcpy(exact, model_bytes, size);
  free(model_bytes);
  potstill_config config = c.config;
  if (!random_below(8)) {
    uint8_t *field = (uint8_t *)&config + random_below(sizeof config);
    *field = (uint8_t)random_below(256);
  }
  constexpr uint32_t MOST = 160;
  uint32_t lengths[3];
  int32_t ids[3 * MOST], types[3 * MOST];
  const uint32_t rows = (uint32_t)random_below(4);
  uint32_t tokens = 0;
  for (uint32_t i = 0; i < rows; i++) {
    lengths[i] = (uint32_t)random_below(random_below(4) ? 40 : MOST);
    tokens += lengths[i];
  }
  const bool wild = !random_below(6);
  for (uint32_t i = 0; i < tokens; i++) {
    ids[i] = wild && !random_below(20) ? (int32_t)random_below(UINT32_MAX) : (int32_t)random_below(100);
    types[i] = wild ? (int32_t)random_below(UINT32_MAX) : 0;
  }
  char kernels[128], message[128];
  snprintf(kernels, sizeof kernels, "%s", potstill_kernels());
  float *first = nullptr;
  for (char *kernel = strtok(kernels, ","); kernel; kernel = strtok(nullptr, ",")) {
    potstill_model *model = nullptr;
    if (potstill_open(exact, size, &config, kernel, &model, message, sizeof message)) {
      refused++;
      if (!*message || strchr(message, '\n')) abort();
      break;
    }
    opened++;
    const size_t n = potstill_outputs(model, rows, tokens);
    float *out = (float *)calloc(n + 1, sizeof(float));
    const int status = potstill_run(model, ids, random_below(2) ? types : nullptr, lengths, rows,
                                    1 + (uint32_t)random_below(3), out, n, message, sizeof message);
    ran += !status;
    potstill_close(model);
    if (status || (first && wild)) {
      free(out);
      break;
    }
    if (first) {
      differed += memcmp(first, out, n * sizeof(float)) != 0;
      free(out);
    } else {
      first = out;
    }
  }
  free(first);
  free(exact);
}

}  // namespace

int main(int n, char **arguments) {
  FILE *file = n > 2 ? fopen(arguments[1], "rb") : nullptr;
  if (!file) {
    puts("usage: fuzz golden.bin SECONDS [SEED]");
    return 2;
  }
  fseek(file, 0, SEEK_END);
  const size_t size = (size_t)ftell(file);
  rewind(file);
  uint8_t *all = (uint8_t *)malloc(size);
  if (fread(all, 1, size, file) != size) return 2;
  fclose(file);
  state = n > 3 ? strtoull(arguments[3], nullptr, 10) + 1 : 1;
  const time_t until = time(nullptr) + atoi(arguments[2]);
  while (time(nullptr) < until)
    for (size_t at = 0; at < size;) {
      Case c;
      memcpy(&c, all + at, sizeof c);
      at += sizeof c;
      for (int i = 0; i < 20; i++) try_one(c, all + at);
      at += (c.bytes + 3) / 4 * 4 + ((size_t)c.rows + 2 * (size_t)c.tokens + c.outputs) * 4;
    }
  free(all);
  printf("%ld opened, %ld refused, %ld ran, %ld with other bits\n", opened, refused, ran, differed);
  return 0;
}
