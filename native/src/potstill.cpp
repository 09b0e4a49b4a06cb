// The C border.
#include "potstill.h"

#include <new>

#include "model.h"

extern "C" {

uint32_t potstill_abi(void) { return POTSTILL_ABI; }

const char *potstill_kernels(void) { return kernel_names(); }

int potstill_open(const void *file, size_t size, const potstill_config *config, const char *kernel,
                  potstill_model **model, char *message, size_t room) {
  Report report(message, room);
  if (!file || !config || !model) return report.say(POTSTILL_BAD_CALL, "an argument is null");
  *model = nullptr;
  const Kernel *chosen = find_kernel(kernel, report);
  if (!chosen) return POTSTILL_BAD_CALL;
  potstill_model *made = new (std::nothrow) potstill_model;
  if (!made) return report.no_memory();
  made->kernel = chosen;
  const int status = made->open(file, size, *config, report);
  if (status == POTSTILL_OK)
    *model = made;
  else
    delete made;
  return status;
}

const char *potstill_kernel(const potstill_model *model) { return model->kernel->name; }

size_t potstill_outputs(const potstill_model *model, size_t rows, size_t tokens) {
  return model->outputs(rows, tokens);
}

int potstill_run(const potstill_model *model, const int32_t *ids, const int32_t *types,
                 const uint32_t *lengths, size_t rows, uint32_t threads, float *out, size_t n_out,
                 char *message, size_t room) {
  Report report(message, room);
  if (!model || (rows && (!ids || !lengths || !out)) || threads < 1)
    return report.say(POTSTILL_BAD_CALL, "an argument is null, or threads is 0");
  size_t tokens = 0;
  for (size_t i = 0; i < rows; i++) tokens += lengths[i];
  if (n_out != model->outputs(rows, tokens))
    return report.say(POTSTILL_BAD_CALL, "the outputs take %zu floats, not %zu",
                      model->outputs(rows, tokens), n_out);
  return run_rows(*model, ids, types, lengths, rows, threads, out, report);
}

void potstill_close(potstill_model *model) {
  if (!model) return;
  free_workspaces(*model);
  delete model;
}

}  // extern "C"
