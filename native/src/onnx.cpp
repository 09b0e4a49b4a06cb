#include "onnx.h"

#include <string.h>

namespace {

constexpr int MOST_TENSORS = 16384;

struct Bytes {
  const uint8_t *at;
  const uint8_t *end;
};

// One field of a message: a number in `value`, or a message, string or packed numbers in `bytes`.
struct Field {
  uint64_t number;
  unsigned wire;
  uint64_t value;
  Bytes bytes;
};

bool varint(Bytes &from, uint64_t &value) {
  value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (from.at == from.end) return false;
    const uint8_t byte = *from.at++;
    value |= (uint64_t)(byte & 127) << shift;
    if (byte < 128) return true;
  }
  return false;
}

bool next(Bytes &from, Field &field) {
  uint64_t key;
  if (!varint(from, key)) return false;
  field.number = key >> 3;
  field.wire = key & 7;
  field.value = 0;
  field.bytes = {from.at, from.at};
  uint64_t length;
  switch (field.wire) {
    case 0:
      return varint(from, field.value);
    case 1:
      length = 8;
      break;
    case 2:
      if (!varint(from, length)) return false;
      break;
    case 5:
      length = 4;
      break;
    default:
      return false;
  }
  if (length > (uint64_t)(from.end - from.at)) return false;
  field.bytes = {from.at, from.at + length};
  from.at += length;
  return true;
}

bool add_dim(Tensor &tensor, uint64_t value) {
  if (tensor.n_dims == 3 || value > (uint64_t)1 << 32) return false;
  tensor.dims[tensor.n_dims++] = (int64_t)value;
  return true;
}

bool read_tensor(Bytes from, Tensor &tensor) {
  Field f;
  while (from.at != from.end) {
    if (!next(from, f)) return false;
    if (f.number == 1 && f.wire == 0) {
      if (!add_dim(tensor, f.value)) return false;
    } else if (f.number == 1 && f.wire == 2) {
      uint64_t value;
      while (f.bytes.at != f.bytes.end)
        if (!varint(f.bytes, value) || !add_dim(tensor, value)) return false;
    } else if (f.number == 2 && f.wire == 0) {
      tensor.type = (int64_t)(f.value & 0xffff);
    } else if (f.number == 8 && f.wire == 2) {
      tensor.name = (const char *)f.bytes.at;
      tensor.name_length = (size_t)(f.bytes.end - f.bytes.at);
    } else if (f.number == 9 && f.wire == 2) {
      tensor.data = f.bytes.at;
      tensor.size = (size_t)(f.bytes.end - f.bytes.at);
    }
  }
  return true;
}

// Calls use(tensor bytes) for each initialiser of a graph.
template <class Use>
bool each_tensor(Bytes graph, Use use) {
  Field f;
  while (graph.at != graph.end) {
    if (!next(graph, f)) return false;
    if (f.number == 5 && f.wire == 2 && !use(f.bytes)) return false;
  }
  return true;
}

}  // namespace

int OnnxFile::read(const void *file, size_t size, Report &report) {
  const auto damaged = [&] {
    return report.say(POTSTILL_BAD_FILE, "the file is truncated, or is not an ONNX file");
  };
  Bytes all = {(const uint8_t *)file, (const uint8_t *)file + size}, graph = {nullptr, nullptr};
  Field f;
  while (all.at != all.end) {
    if (!next(all, f)) return damaged();
    if (f.number == 7 && f.wire == 2) graph = f.bytes;
    if (f.number == 2 && f.wire == 2)
      is_ours_ = f.bytes.end - f.bytes.at == 8 && !memcmp(f.bytes.at, "potstill", 8);
  }
  if (!graph.at) return damaged();
  int n = 0;
  if (!each_tensor(graph, [&](Bytes) { return ++n <= MOST_TENSORS; })) return damaged();
  tensors_ = memory_.take<Tensor>((uint64_t)n);
  if (!tensors_) return report.no_memory();
  const auto keep = [&](Bytes bytes) {
    Tensor tensor;
    if (!read_tensor(bytes, tensor)) return false;
    tensors_[n_tensors_++] = tensor;
    return true;
  };
  return each_tensor(graph, keep) ? POTSTILL_OK : damaged();
}

const Tensor *OnnxFile::find(const char *name) const {
  const size_t length = strlen(name);
  for (int i = 0; i < n_tensors_; i++)
    if (tensors_[i].name_length == length && !memcmp(tensors_[i].name, name, length))
      return tensors_ + i;
  return nullptr;
}
