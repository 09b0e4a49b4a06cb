// The engine as a Node addon: open, run and close for JavaScript, by Node-API.
//
// Node-API is a C border that stays: one build serves every Node from 12 on, and Electron and Bun too.
// Its functions are looked up in the running program, so that nothing of Node is needed to build this,
// on any system. Whoever calls checks the arguments' kinds (clients/js/src/runtime/addon.js).
#include <new>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#else
#include <dlfcn.h>
#endif

#include "potstill.h"

// What of Node-API is used, as https://nodejs.org/api/n-api.html has it; all return 0 for success.
typedef struct napi_env__ *Env;
typedef struct napi_value__ *Value;
typedef struct napi_callback_info__ *CallInfo;
typedef Value (*Callback)(Env, CallInfo);
typedef void (*Finalize)(Env, void *data, void *hint);

namespace {

constexpr int FLOAT32_ARRAY = 7;
constexpr size_t AUTO_LENGTH = (size_t)-1;

struct Node {
  int (*create_function)(Env, const char *name, size_t length, Callback, void *data, Value *);
  int (*set_named_property)(Env, Value object, const char *name, Value);
  int (*get_cb_info)(Env, CallInfo, size_t *n, Value *arguments, Value *self, void **data);
  int (*get_typedarray_info)(Env, Value, int *kind, size_t *length, void **data, Value *buffer,
                             size_t *offset);
  int (*create_external)(Env, void *data, Finalize, void *hint, Value *);
  int (*get_value_external)(Env, Value, void **data);
  int (*get_value_uint32)(Env, Value, uint32_t *);
  int (*create_arraybuffer)(Env, size_t size, void **data, Value *);
  int (*create_typedarray)(Env, int kind, size_t length, Value buffer, size_t offset, Value *);
  int (*create_string_utf8)(Env, const char *, size_t length, Value *);
  int (*throw_error)(Env, const char *code, const char *message);
};
Node node;

void *named(const char *name) {
#if defined(_WIN32)
  return (void *)GetProcAddress(GetModuleHandleW(nullptr), name);
#else
  return dlsym(RTLD_DEFAULT, name);
#endif
}

template <class Function>
bool look_up(Function &function, const char *name) {
  void *const found = named(name);
  memcpy(&function, &found, sizeof found);
  return found != nullptr;
}

// The engine's threads outlive the worker that loaded it, so its code must stay where it is.
void stay_loaded() {
#if defined(_WIN32)
  HMODULE self;
  GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                     (LPCWSTR)(void *)&stay_loaded, &self);
#else
  Dl_info self;
  if (dladdr((void *)&stay_loaded, &self)) dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
#endif
}

bool look_up_all() {
  return look_up(node.create_function, "napi_create_function") &&
         look_up(node.set_named_property, "napi_set_named_property") &&
         look_up(node.get_cb_info, "napi_get_cb_info") &&
         look_up(node.get_typedarray_info, "napi_get_typedarray_info") &&
         look_up(node.create_external, "napi_create_external") &&
         look_up(node.get_value_external, "napi_get_value_external") &&
         look_up(node.get_value_uint32, "napi_get_value_uint32") &&
         look_up(node.create_arraybuffer, "napi_create_arraybuffer") &&
         look_up(node.create_typedarray, "napi_create_typedarray") &&
         look_up(node.create_string_utf8, "napi_create_string_utf8") &&
         look_up(node.throw_error, "napi_throw_error");
}

// A model with the bytes that it reads its words from: JavaScript may move those it was given.
struct Open {
  potstill_model *model = nullptr;
  void *file = nullptr;
  ~Open() { close(); }
  void close() {
    potstill_close(model);
    free(file);
    model = nullptr;
    file = nullptr;
  }
};

Value refuse(Env env, int status, const char *message) {
  char code[16];
  snprintf(code, sizeof code, "%d", status);
  node.throw_error(env, code, message);
  return nullptr;
}

// A typed array's elements; false where the value is none of so many bytes each.
template <class T>
bool elements(Env env, Value value, T **data, size_t *n) {
  static const size_t SIZES[] = {1, 1, 1, 2, 2, 4, 4, 4, 8, 8, 8};
  int kind;
  void *found;
  if (node.get_typedarray_info(env, value, &kind, n, &found, nullptr, nullptr)) return false;
  if (kind < 0 || kind > 10 || SIZES[kind] != sizeof(T)) return false;
  *data = (T *)found;
  return true;
}

Open *opened(Env env, Value value) {
  void *found = nullptr;
  return node.get_value_external(env, value, &found) ? nullptr : (Open *)found;
}

// open(file, config) → model
Value open(Env env, CallInfo info) {
  Value given[2];
  size_t n = 2, size, n_config;
  uint8_t *file, *config;
  if (node.get_cb_info(env, info, &n, given, nullptr, nullptr) || n < 2 ||
      !elements(env, given[0], &file, &size) || !elements(env, given[1], &config, &n_config) ||
      n_config != sizeof(potstill_config))
    return refuse(env, POTSTILL_BAD_CALL, "open takes the bytes of a file and of a potstill_config");
  Open *const made = new (std::nothrow) Open;
  if (made) made->file = malloc(size ? size : 1);
  if (!made || !made->file) {
    delete made;
    return refuse(env, POTSTILL_NO_MEMORY, "there is not enough memory");
  }
  if (size) memcpy(made->file, file, size);
  potstill_config described;
  memcpy(&described, config, sizeof described);
  char message[512];
  const int status =
      potstill_open(made->file, size, &described, nullptr, &made->model, message, sizeof message);
  const auto forget = [](Env, void *data, void *) { delete (Open *)data; };
  Value result = nullptr;
  if (status || node.create_external(env, made, forget, nullptr, &result)) {
    delete made;
    return status ? refuse(env, status, message) : nullptr;
  }
  return result;
}

// kernel(model) → its name
Value kernel(Env env, CallInfo info) {
  Value given[1], result = nullptr;
  size_t n = 1;
  Open *model = nullptr;
  if (!node.get_cb_info(env, info, &n, given, nullptr, nullptr) && n == 1) model = opened(env, given[0]);
  if (!model || !model->model) return refuse(env, POTSTILL_BAD_CALL, "the model is closed");
  node.create_string_utf8(env, potstill_kernel(model->model), AUTO_LENGTH, &result);
  return result;
}

// run(model, ids, types, lengths, threads) → outputs; types may be of no elements
Value run(Env env, CallInfo info) {
  Value given[5];
  size_t n = 5, n_ids, n_types, n_rows, tokens = 0;
  int32_t *ids, *types;
  uint32_t *lengths, threads;
  if (node.get_cb_info(env, info, &n, given, nullptr, nullptr) || n < 5 ||
      !elements(env, given[1], &ids, &n_ids) || !elements(env, given[2], &types, &n_types) ||
      !elements(env, given[3], &lengths, &n_rows) || node.get_value_uint32(env, given[4], &threads))
    return refuse(env, POTSTILL_BAD_CALL, "run takes a model, ids, types, lengths and a number of threads");
  Open *const model = opened(env, given[0]);
  if (!model || !model->model) return refuse(env, POTSTILL_BAD_CALL, "the model is closed");
  for (size_t i = 0; i < n_rows; i++) tokens += lengths[i];
  if (tokens != n_ids || (n_types && n_types != n_ids))
    return refuse(env, POTSTILL_BAD_CALL, "the lengths are not those of the ids");
  const size_t n_out = potstill_outputs(model->model, n_rows, n_ids);
  void *out = nullptr;
  Value buffer, result = nullptr;
  if (node.create_arraybuffer(env, n_out * sizeof(float), &out, &buffer))
    return refuse(env, POTSTILL_NO_MEMORY, "there is not enough memory");
  char message[512];
  const int status = potstill_run(model->model, ids, n_types ? types : nullptr, lengths, n_rows, threads,
                                  (float *)out, n_out, message, sizeof message);
  if (status) return refuse(env, status, message);
  node.create_typedarray(env, FLOAT32_ARRAY, n_out, buffer, 0, &result);
  return result;
}

// close(model)
Value close(Env env, CallInfo info) {
  Value given[1];
  size_t n = 1;
  Open *model = nullptr;
  if (!node.get_cb_info(env, info, &n, given, nullptr, nullptr) && n == 1) model = opened(env, given[0]);
  if (model) model->close();
  return nullptr;
}

}  // namespace

extern "C" POTSTILL_API Value napi_register_module_v1(Env env, Value exports) {
  static const struct {
    const char *name;
    Callback function;
  } GIVEN[] = {{"open", open}, {"kernel", kernel}, {"run", run}, {"close", close}};
  stay_loaded();
  if (!look_up_all()) return exports;  // it gives nothing, and whoever loaded it sees that
  for (const auto &one : GIVEN) {
    Value function;
    if (node.create_function(env, one.name, AUTO_LENGTH, one.function, nullptr, &function) == 0)
      node.set_named_property(env, exports, one.name, function);
  }
  return exports;
}
