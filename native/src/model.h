// A model that is open: weights as the kernel wants them, and where the rest lies in the file.
#pragma once

#include "kernel.h"
#include "memory.h"
#include "onnx.h"
#include "potstill.h"
#include "report.h"

struct Layer {
  Heads heads = {0, 0, 0};
  Linear qkv;  // query, key and value side by side
  Linear output;
  Norm attention_norm;
  Linear up;
  Linear down;
  Norm ffn_norm;
};

struct Workspace;

struct potstill_model {
  potstill_config config = {};
  const Kernel *kernel = nullptr;
  Memory memory;

  int n_words = 0;
  int word_width = 0;
  int width = 0;
  int n_types = 0;
  int n_positions = 0;
  const int8_t *words = nullptr;  // in the file
  float *word_scale = nullptr;
  float *types = nullptr;      // [n_types][padded word_width]
  float *positions = nullptr;  // [n_positions][padded word_width]
  Norm embedding_norm;
  // [heads][distances_stride]: of keys from the furthest left of a query to the furthest right.
  float *distances = nullptr;
  size_t distances_stride = 0;
  int distance_heads = 0;
  bool projects = false;
  Linear projection;

  int n_layers = 0;
  Layer *layers = nullptr;
  float floor = 0.0f;  // least that the activation function gives
  uint64_t products = 0;  // multiplications of one token in all linear layers

  int n_labels = 0;
  FloatLinear pooler;
  FloatLinear classifier;  // of every head but the masked language model
  Linear lm_dense;
  Norm lm_norm;
  float *lm_bias = nullptr;

  Workspace *free_workspaces = nullptr;  // guarded by the pool's lock

  // The longest row.
  int longest() const;
  size_t outputs(size_t rows, size_t tokens) const;
  int open(const void *file, size_t size, const potstill_config &config, Report &report);
};

// forward.cpp
int run_rows(const potstill_model &model, const int32_t *ids, const int32_t *types,
             const uint32_t *lengths, size_t rows, uint32_t threads, float *out, Report &report);
void free_workspaces(potstill_model &model);

// dispatch.cpp
const char *kernel_names();
const Kernel *find_kernel(const char *name, Report &report);
