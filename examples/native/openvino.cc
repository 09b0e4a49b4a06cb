// Runs a model's OpenVINO IR (or its ONNX file) through OpenVINO's C API.
//
//   openvino FOLDER/openvino/model.xml 101 2040 2180 1029 102 2198 102
//
// prints the start and end logit of each token id, one token a line. docs/native.md says how to
// build it.

#include <openvino/c/openvino.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

static void check(ov_status_e status, const char* what) {
  if (status == OK) return;
  std::fprintf(stderr, "%s: %s (%s)\n", what, ov_get_error_info(status), ov_get_last_err_msg());
  std::exit(1);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s MODEL.xml ID...\n", argv[0]);
    return 2;
  }
  std::vector<int64_t> ids;
  for (int i = 2; i < argc; i++) ids.push_back(std::atoll(argv[i]));
  std::vector<int64_t> ones(ids.size(), 1), zeros(ids.size(), 0);

  ov_core_t* core = nullptr;
  ov_compiled_model_t* model = nullptr;
  ov_infer_request_t* request = nullptr;
  check(ov_core_create(&core), "OpenVINO");
  check(ov_core_compile_model_from_file(core, argv[1], "CPU", 2, &model,
                                        "INFERENCE_PRECISION_HINT", "f32"), argv[1]);
  check(ov_compiled_model_create_infer_request(model, &request), "a request");

  int64_t dims[2] = {1, static_cast<int64_t>(ids.size())};
  ov_shape_t shape;
  check(ov_shape_create(2, dims, &shape), "the shape");
  size_t n_inputs = 0;
  check(ov_compiled_model_inputs_size(model, &n_inputs), "the inputs");
  const char* names[3] = {"input_ids", "attention_mask", "token_type_ids"};
  int64_t* rows[3] = {ids.data(), ones.data(), zeros.data()};
  for (size_t i = 0; i < n_inputs; i++) {  // token types only where the model has them
    ov_tensor_t* tensor = nullptr;
    check(ov_tensor_create_from_host_ptr(I64, shape, rows[i], &tensor), names[i]);
    check(ov_infer_request_set_tensor(request, names[i], tensor), names[i]);
    ov_tensor_free(tensor);
  }
  check(ov_infer_request_infer(request), "the run");

  std::vector<float> logits[2];
  const char* outputs[2] = {"start_logits", "end_logits"};
  for (int i = 0; i < 2; i++) {
    ov_tensor_t* tensor = nullptr;
    void* data = nullptr;
    check(ov_infer_request_get_tensor(request, outputs[i], &tensor), outputs[i]);
    check(ov_tensor_data(tensor, &data), outputs[i]);
    logits[i].assign(static_cast<float*>(data), static_cast<float*>(data) + ids.size());
    ov_tensor_free(tensor);
  }
  for (size_t i = 0; i < ids.size(); i++) std::printf("%f %f\n", logits[0][i], logits[1][i]);

  ov_shape_free(&shape);
  ov_infer_request_free(request);
  ov_compiled_model_free(model);
  ov_core_free(core);
  return 0;
}
