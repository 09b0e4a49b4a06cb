// The initialisers of an ONNX file, where they lie in it: of protobuf no more than that takes.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "memory.h"
#include "report.h"

enum class Type { FLOAT = 1, INT8 = 3 };  // of TensorProto.DataType

struct Tensor {
  const char *name = nullptr;  // not ended by a 0
  size_t name_length = 0;
  int64_t type = 0;
  int n_dims = 0;
  int64_t dims[3] = {0, 0, 0};
  const uint8_t *data = nullptr;  // raw, little-endian, not aligned; null where it is stored otherwise
  size_t size = 0;
};

class OnnxFile {
 public:
  // POTSTILL_BAD_FILE where the bytes are no protobuf, or hold more than any model has.
  int read(const void *file, size_t size, Report &report);
  bool is_ours() const { return is_ours_; }
  const Tensor *find(const char *name) const;

 private:
  Memory memory_;
  Tensor *tensors_ = nullptr;
  int n_tensors_ = 0;
  bool is_ours_ = false;
};
