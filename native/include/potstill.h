/* The engine's border: small BERT models in int8, answered on the CPU.
 *
 * A model is opened from the bytes of an int8 ONNX file that Potstill wrote (docs/decisions/0006) and
 * from what the file does not say of itself. Rows go in as token ids, logits come out. The same file
 * and rows give the same bits on every processor, with every kernel and any number of threads.
 *
 * Every function may be called from any number of threads at once, but for potstill_close. None
 * throws, prints or ends the process.
 */
#ifndef POTSTILL_H
#define POTSTILL_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define POTSTILL_API __declspec(dllexport)
#else
#define POTSTILL_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Raised where a caller of an older header would go wrong. */
#define POTSTILL_ABI 1

typedef enum potstill_status {
  POTSTILL_OK = 0,
  POTSTILL_BAD_FILE = 1,  /* the file is damaged, or does not fit its config */
  POTSTILL_UNFIT = 2,     /* a sound file that this engine does not run: use another runtime */
  POTSTILL_BAD_INPUT = 3, /* a row is empty or too long, or an id is out of range */
  POTSTILL_BAD_CALL = 4,  /* an argument is out of range, or there is no such kernel here */
  POTSTILL_NO_MEMORY = 5
} potstill_status;

typedef enum potstill_head {
  POTSTILL_QA = 0,      /* out: start logits of all tokens, then end logits of all tokens */
  POTSTILL_POOLED = 1,  /* classification and choice; out: [rows, labels] */
  POTSTILL_TAGGING = 2, /* out: [tokens, labels] */
  POTSTILL_MLM = 3      /* out: [tokens, vocabulary] */
} potstill_head;

typedef enum potstill_activation {
  POTSTILL_GELU = 0,
  POTSTILL_GELU_NEW = 1,
  POTSTILL_RELU = 2,
  POTSTILL_TANH = 3
} potstill_activation;

typedef struct potstill_config {
  uint32_t size;            /* sizeof(potstill_config) */
  uint32_t head;            /* a potstill_head */
  uint32_t head_width;      /* of attention */
  uint32_t activation;      /* of the feed-forward layers */
  uint32_t head_activation; /* of the pooler or of the LM head; 0 where there is neither */
  int32_t pad_id;           /* -1; RoBERTa's padding token, whose positions count from it */
  float norm_eps;
} potstill_config;

typedef struct potstill_model potstill_model;

/* POTSTILL_ABI of the library. */
POTSTILL_API uint32_t potstill_abi(void);

/* Kernels that this processor can run, the quickest first, with commas between; never freed. */
POTSTILL_API const char *potstill_kernels(void);

/* Opens a model.
 *
 * file:    bytes of the ONNX file; they must stay as they are until the model is closed.
 * kernel:  one of potstill_kernels(); NULL for what POTSTILL_KERNEL names, or the quickest.
 * model:   where the model is put.
 * message: where one line is put if the call fails; `room` bytes, or NULL.
 */
POTSTILL_API int potstill_open(const void *file, size_t size, const potstill_config *config,
                               const char *kernel, potstill_model **model, char *message,
                               size_t room);

/* The kernel that a model runs with; lives as long as the library. */
POTSTILL_API const char *potstill_kernel(const potstill_model *model);

/* Floats that the outputs of so many rows, of so many tokens together, take. */
POTSTILL_API size_t potstill_outputs(const potstill_model *model, size_t rows, size_t tokens);

/* Runs rows of any lengths; each is computed as if it were alone.
 *
 * ids:     of all rows, one behind the other, without padding.
 * types:   token types, as long as ids; NULL for all 0.
 * lengths: tokens of each row.
 * threads: most threads to use, the caller's among them; at least 1. Fewer are used where other
 *          calls keep the pool busy, or where more would not pay.
 * out:     n_out floats, which is what potstill_outputs gives.
 */
POTSTILL_API int potstill_run(const potstill_model *model, const int32_t *ids, const int32_t *types,
                              const uint32_t *lengths, size_t rows, uint32_t threads, float *out,
                              size_t n_out, char *message, size_t room);

/* Frees a model that no thread runs any more; NULL is let pass. */
POTSTILL_API void potstill_close(potstill_model *model);

#ifdef __cplusplus
}
#endif
#endif
