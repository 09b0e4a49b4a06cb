// Opening a model: every tensor is checked against the others before any of it is used.
#include "model.h"

#include <string.h>

namespace {

constexpr int64_t MOST_WIDTH = 1 << 15;
constexpr int64_t MOST_ROWS = 1 << 24;
constexpr int MOST_LAYERS = 256;
constexpr int PAIR_LIMIT = 128;
constexpr int DISTANCES = 32;

// Takes the parameters of one model out of its file.
class Reader {
 public:
  Reader(const OnnxFile &file, potstill_model &model, Report &report)
      : file_(file), model_(model), report_(report) {}

  int status() const { return status_; }
  bool ok() const { return status_ == POTSTILL_OK; }
  void fail(int status) {
    if (ok()) status_ = status;
  }

  bool has(const char *module, const char *suffix) { return file_.find(name(module, suffix)) != nullptr; }

  // A tensor of a type and shape; -1 for any extent within bounds. Null, and a status, where not.
  const Tensor *tensor(const char *module, const char *suffix, Type type, int n_dims, int64_t first,
                       int64_t second = 1) {
    if (!ok()) return nullptr;
    const char *full = name(module, suffix);
    const Tensor *t = file_.find(full);
    if (!t) {
      fail(report_.say(POTSTILL_BAD_FILE, "the file has no %s", full));
      return nullptr;
    }
    const int64_t bytes = type == Type::FLOAT ? 4 : 1;
    const int64_t a = t->dims[0], b = t->n_dims == 2 ? t->dims[1] : 1;
    const bool fits = t->type == (int64_t)type && t->n_dims == n_dims && t->data && a > 0 && b > 0 &&
                      a <= MOST_ROWS && b <= MOST_ROWS && (first < 0 || a == first) &&
                      (second < 0 || b == second) && t->size == (uint64_t)(a * b * bytes);
    if (!fits) {
      fail(report_.say(POTSTILL_BAD_FILE, "%s has not the type and shape that the model needs", full));
      return nullptr;
    }
    return t;
  }

  // Rows of floats, each padded; [padded n] for one row.
  float *floats(const char *module, const char *suffix, int rows, int width, int n_dims) {
    const Tensor *t = tensor(module, suffix, Type::FLOAT, n_dims, n_dims == 1 ? width : rows,
                             n_dims == 1 ? 1 : width);
    float *out = take<float>((uint64_t)rows * padded(width));
    if (!t || !out) return nullptr;
    for (int r = 0; r < rows; r++)
      memcpy(out + (size_t)r * padded(width), t->data + (size_t)r * width * 4, (size_t)width * 4);
    return finite(out, (size_t)rows * padded(width), name(module, suffix)) ? out : nullptr;
  }

  Norm norm(const char *module, int width) {
    Norm n;
    n.weight = floats(module, "weight", 1, width, 1);
    n.bias = floats(module, "bias", 1, width, 1);
    return n;
  }

  // Linear layers with one input, side by side.
  Linear linear(const char *const *modules, int n_modules, int n_in, int n_each) {
    Linear w;
    w.n_in = n_in;
    w.n_out = n_modules * n_each;
    const int stride = padded(w.n_out);
    w.scale = take<float>(stride);
    w.bias = take<float>(stride);
    w.sums = take<int32_t>(stride);
    w.packed = take<int8_t>(ok() ? model_.kernel->packed_size(n_in, w.n_out) : 0);
    Memory scratch;
    int8_t *both = n_modules > 1 ? scratch.take<int8_t>((uint64_t)n_in * w.n_out) : nullptr;
    if (ok() && n_modules > 1 && !both) fail(report_.no_memory());
    const int8_t *weight = both;
    for (int m = 0; m < n_modules && ok(); m++) {
      const Tensor *q = tensor(modules[m], "weight.int8", Type::INT8, 2, n_in, n_each);
      add_floats(modules[m], "weight.scale", n_each, w.scale + m * n_each);
      add_floats(modules[m], "bias", n_each, w.bias + m * n_each);
      if (has(modules[m], "shift")) add_floats(modules[m], "shift", n_each, w.bias + m * n_each);
      if (has(modules[m], "weight.smooth"))
        fail(report_.say(POTSTILL_UNFIT, "the engine runs int8 with a scale for each token, not int8-static"));
      if (!ok()) break;
      if (!both) {
        weight = (const int8_t *)q->data;
      } else {
        for (int k = 0; k < n_in; k++)
          memcpy(both + (size_t)k * w.n_out + m * n_each, q->data + (size_t)k * n_each, (size_t)n_each);
      }
    }
    if (!ok()) return w;
    if (!within_pairs(weight, n_in, w.n_out, w.sums)) {
      fail(report_.say(POTSTILL_UNFIT, "%s: weights beyond the pair limit", modules[0]));
      return w;
    }
    model_.kernel->pack(weight, n_in, w.n_out, w.packed);
    model_.products += (uint64_t)n_in * (uint64_t)w.n_out;
    return w;
  }
  Linear linear(const char *module, int n_in, int n_out) { return linear(&module, 1, n_in, n_out); }

  // Stored [in][out].
  FloatLinear float_linear(const char *module, int n_in, int n_out) {
    FloatLinear w;
    w.n_in = n_in;
    w.n_out = n_out;
    w.weight = take<float>((uint64_t)n_out * padded(n_in));
    w.bias = floats(module, "bias", 1, n_out, 1);
    const Tensor *t = tensor(module, "weight", Type::FLOAT, 2, n_in, n_out);
    if (!ok()) return w;
    for (int o = 0; o < n_out; o++)
      for (int k = 0; k < n_in; k++)
        memcpy(w.weight + (size_t)o * padded(n_in) + k, t->data + ((size_t)k * n_out + o) * 4, 4);
    finite(w.weight, (size_t)n_out * padded(n_in), name(module, "weight"));
    return w;
  }

  // The second extent of an int8 matrix, or the only one of a vector.
  int extent(const char *module, const char *suffix, Type type, int n_dims, int64_t first) {
    const Tensor *t = tensor(module, suffix, type, n_dims, n_dims == 1 ? -1 : first, -1);
    if (!t) return 0;
    const int64_t n = n_dims == 1 ? t->dims[0] : t->dims[1];
    if (n > MOST_WIDTH) {
      fail(report_.say(POTSTILL_UNFIT, "%s is wider than %d", name(module, suffix), (int)MOST_WIDTH));
      return 0;
    }
    return (int)n;
  }

  template <class T>
  T *take(uint64_t n) {
    if (!ok()) return nullptr;
    T *p = model_.memory.take<T>(n);
    if (!p) fail(report_.no_memory());
    return p;
  }

  bool finite(const float *x, size_t n, const char *what) {
    uint32_t most = 0;
    for (size_t i = 0; i < n; i++) {
      uint32_t bits;
      memcpy(&bits, x + i, 4);
      bits &= 0x7fffffff;
      most = bits > most ? bits : most;
    }
    // Nothing of a model is near 1e15; more would leave the range of the integers in between.
    if (most > 0x58635fa9) fail(report_.say(POTSTILL_BAD_FILE, "%s holds values beyond 1e15", what));
    return ok();
  }

 private:
  const char *name(const char *module, const char *suffix) {
    snprintf(name_, sizeof name_, "%s%s%s", module, *suffix ? "." : "", suffix);
    return name_;
  }

  void add_floats(const char *module, const char *suffix, int n, float *out) {
    const Tensor *t = tensor(module, suffix, Type::FLOAT, 1, n);
    if (!t || !out) return;
    for (int i = 0; i < n; i++) {
      float x;
      memcpy(&x, t->data + (size_t)i * 4, 4);
      out[i] = out[i] + x;
    }
    finite(out, (size_t)n, name(module, suffix));
  }

  // Whether two products of bytes always fit 16 bits (decision 6); sums each column on the way.
  static bool within_pairs(const int8_t *w, int n_in, int n_out, int32_t *sums) {
    int most = 0;
    for (int k = 0; k < n_in; k += 2) {
      const int8_t *a = w + (size_t)k * n_out, *b = k + 1 < n_in ? a + n_out : nullptr;
      for (int c = 0; c < n_out; c++) {
        const int x = a[c], y = b ? b[c] : 0;
        const int size = (x < 0 ? -x : x) + (y < 0 ? -y : y);
        most = size > most ? size : most;
        sums[c] += x + y;
      }
    }
    return most <= PAIR_LIMIT;
  }

  const OnnxFile &file_;
  potstill_model &model_;
  Report &report_;
  int status_ = POTSTILL_OK;
  char name_[96];
};

void read_embeddings(Reader &r, potstill_model &m) {
  const Tensor *words = r.tensor("embeddings.word", "weight.int8", Type::INT8, 2, -1, -1);
  if (!words) return;
  m.n_words = (int)words->dims[0];
  m.words = (const int8_t *)words->data;
  m.word_width = r.extent("embeddings.word", "weight.int8", Type::INT8, 2, -1);
  const Tensor *scale = r.tensor("embeddings.word", "weight.scale", Type::FLOAT, 2, m.n_words, 1);
  m.word_scale = r.take<float>((uint64_t)m.n_words);
  if (!r.ok()) return;
  memcpy(m.word_scale, scale->data, (size_t)m.n_words * 4);
  r.finite(m.word_scale, (size_t)m.n_words, "embeddings.word.weight.scale");
  const Tensor *positions = r.tensor("embeddings.position", "weight", Type::FLOAT, 2, -1, m.word_width);
  if (!positions) return;
  m.n_positions = (int)positions->dims[0];
  m.positions = r.floats("embeddings.position", "weight", m.n_positions, m.word_width, 2);
  if (r.has("embeddings.token_type", "weight")) {
    const Tensor *types = r.tensor("embeddings.token_type", "weight", Type::FLOAT, 2, -1, m.word_width);
    if (!types) return;
    m.n_types = (int)types->dims[0];
    m.types = r.floats("embeddings.token_type", "weight", m.n_types, m.word_width, 2);
  }
  m.embedding_norm = r.norm("embeddings.norm", m.word_width);
  m.width = m.word_width;
  m.projects = r.has("embedding_projection", "weight.int8");
  if (m.projects) {
    m.width = r.extent("embedding_projection", "weight.int8", Type::INT8, 2, m.word_width);
    m.projection = r.linear("embedding_projection", m.word_width, m.width);
  }
}

// The row of MPNet's table (T5's) for a distance, positive to the right: those of fewer than 8 tokens have
// one each, longer ones share the rest.
int bucket(int distance) {
  constexpr int FROM[] = {8, 12, 16, 23, 32, 46, 64, 91};
  const int away = distance < 0 ? -distance : distance;
  int found = away < 8 ? away : 7;
  for (const int from : FROM) found += away >= from;
  return found + (distance > 0 ? DISTANCES / 2 : 0);
}

void read_distances(Reader &r, potstill_model &m) {
  const Tensor *table = r.tensor("embeddings.distance", "weight", Type::FLOAT, 2, DISTANCES, -1);
  const int longest = m.longest();
  if (!table || longest < 1) return;
  m.distance_heads = r.extent("embeddings.distance", "weight", Type::FLOAT, 2, DISTANCES);
  m.distances_stride = (size_t)padded(2 * longest + PAD);  // whole registers are read of the last
  m.distances = r.take<float>((uint64_t)m.distance_heads * m.distances_stride);
  for (int h = 0; h < m.distance_heads && r.ok(); h++)
    for (int i = 0; i < 2 * longest - 1; i++) {
      float x;
      memcpy(&x, table->data + (size_t)(bucket(i - (longest - 1)) * m.distance_heads + h) * 4, 4);
      m.distances[h * m.distances_stride + i] = x * SHARE_UNIT;
    }
  if (r.ok())
    r.finite(m.distances, m.distance_heads * m.distances_stride, "embeddings.distance.weight");
}

void read_layer(Reader &r, potstill_model &m, int i, Report &report) {
  Layer &layer = m.layers[i];
  char names[8][48];
  const char *const parts[8] = {"attention.query", "attention.key", "attention.value",
                                "attention.output", "ffn.up",       "ffn.down",
                                "attention_norm",  "ffn_norm"};
  for (int p = 0; p < 8; p++) snprintf(names[p], sizeof names[p], "layers.%d.%s", i, parts[p]);
  const int width = r.extent(names[0], "weight.int8", Type::INT8, 2, m.width);
  const int ffn = r.extent(names[4], "weight.int8", Type::INT8, 2, m.width);
  if (!r.ok()) return;
  const int head_width = (int)m.config.head_width;
  if (width % head_width) {
    r.fail(report.say(POTSTILL_BAD_FILE, "%s is %d wide, which is not a multiple of its heads' width %d",
                      names[0], width, head_width));
    return;
  }
  if (m.distances && width / head_width != m.distance_heads) {
    r.fail(report.say(POTSTILL_BAD_FILE, "%s has %d heads, and embeddings.distance %d", names[0],
                      width / head_width, m.distance_heads));
    return;
  }
  const int unit = m.kernel->head_unit;
  layer.heads = {width / head_width, head_width, (head_width + unit - 1) / unit * unit};
  const char *const qkv[3] = {names[0], names[1], names[2]};
  layer.qkv = r.linear(qkv, 3, m.width, width);
  layer.output = r.linear(names[3], width, m.width);
  layer.up = r.linear(names[4], m.width, ffn);
  layer.down = r.linear(names[5], ffn, m.width);
  layer.attention_norm = r.norm(names[6], m.width);
  layer.ffn_norm = r.norm(names[7], m.width);
}

void read_head(Reader &r, potstill_model &m, Report &report) {
  switch (m.config.head) {
    case POTSTILL_QA:
      m.n_labels = 2;
      m.classifier = r.float_linear("qa_head", m.width, 2);
      return;
    case POTSTILL_POOLED:
      m.pooler = r.float_linear("pooler", m.width, m.width);
      [[fallthrough]];
    case POTSTILL_TAGGING:
      m.n_labels = r.extent("classifier", "bias", Type::FLOAT, 1, -1);
      m.classifier = r.float_linear("classifier", m.width, m.n_labels);
      return;
    default:
      if (m.word_width != m.width) {
        r.fail(report.say(POTSTILL_UNFIT, "a masked-LM head on words narrower than the layers"));
        return;
      }
      m.n_labels = m.n_words;
      m.lm_dense = r.linear("lm_head.dense", m.width, m.width);
      m.lm_norm = r.norm("lm_head.norm", m.width);
      m.lm_bias = r.floats("lm_head", "bias", 1, m.n_words, 1);
  }
}

int check(const potstill_config &config, Report &report) {
  const bool fits = config.size == sizeof(potstill_config) && config.head <= POTSTILL_MLM &&
                    config.head_width >= 1 && config.head_width <= MAX_HEAD_WIDTH &&
                    config.activation <= POTSTILL_RELU && config.head_activation <= POTSTILL_TANH &&
                    config.pad_id >= -1 && config.norm_eps >= 0.0f && config.norm_eps <= 1.0f;
  return fits ? POTSTILL_OK
              : report.say(POTSTILL_BAD_CALL, "a field of potstill_config is out of range");
}

}  // namespace

int potstill_model::longest() const {
  const int64_t n = (int64_t)n_positions - (config.pad_id < 0 ? 0 : config.pad_id + 1);
  return (int)(n < MAX_TOKENS ? n : MAX_TOKENS);
}

size_t potstill_model::outputs(size_t rows, size_t tokens) const {
  return (config.head == POTSTILL_POOLED ? rows : tokens) * (size_t)n_labels;
}

int potstill_model::open(const void *file, size_t size, const potstill_config &given, Report &report) {
  int status = check(given, report);
  if (status != POTSTILL_OK) return status;
  config = given;
  OnnxFile onnx;
  status = onnx.read(file, size, report);
  if (status != POTSTILL_OK) return status;
  Reader r(onnx, *this, report);
  if (!onnx.is_ours() || !r.has("embeddings.word", "weight.int8"))
    return report.say(POTSTILL_UNFIT, "the engine runs int8 files that Potstill wrote, not this one");
  read_embeddings(r, *this);
  if (r.has("embeddings.distance", "weight")) read_distances(r, *this);
  char first[48];
  do {
    snprintf(first, sizeof first, "layers.%d.attention.query", n_layers);
  } while (r.has(first, "weight.int8") && ++n_layers <= MOST_LAYERS);
  if (n_layers < 1 || n_layers > MOST_LAYERS)
    return report.say(POTSTILL_BAD_FILE, "the file has not 1 to %d layers", MOST_LAYERS);
  layers = r.take<Layer>((uint64_t)n_layers);
  if (!r.ok()) return r.status();
  for (int i = 0; i < n_layers; i++) layers[i] = Layer();
  if (config.activation != POTSTILL_RELU) {
    const Tensor *least = onnx.find("floor");
    if (!least || least->type != (int64_t)Type::FLOAT || least->size != 4 || !least->data)
      return report.say(POTSTILL_BAD_FILE, "the file has no floor of its activation function");
    memcpy(&floor, least->data, 4);
    if (!(floor >= -1.0f && floor <= 0.0f))
      return report.say(POTSTILL_BAD_FILE, "the floor of the activation function is out of range");
  }
  for (int i = 0; i < n_layers && r.ok(); i++) read_layer(r, *this, i, report);
  if (r.ok()) read_head(r, *this, report);
  if (r.ok() && longest() < 1)
    return report.say(POTSTILL_BAD_FILE, "the file has no positions for tokens");
  return r.status();
}
