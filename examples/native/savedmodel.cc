// Runs a model's SavedModel through TensorFlow's C API.
//
//   savedmodel FOLDER/savedmodel 101 2040 2180 1029 102 2198 102
//
// prints the start and end logit of each token id, one token a line. docs/native.md says how to
// build it, and how to find the names below for a model of another task.

#include <tensorflow/c/c_api.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

static const char* kSignature = "dynamic";             // rows of any length
static const char* kResult = "StatefulPartitionedCall";  // what that signature ends in

static void check(TF_Status* status, const char* what) {
  if (TF_GetCode(status) == TF_OK) return;
  std::fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  std::exit(1);
}

static TF_Tensor* row(const std::vector<int32_t>& values) {
  int64_t dims[2] = {1, static_cast<int64_t>(values.size())};
  size_t bytes = values.size() * sizeof(int32_t);
  TF_Tensor* tensor = TF_AllocateTensor(TF_INT32, dims, 2, bytes);
  std::memcpy(TF_TensorData(tensor), values.data(), bytes);
  return tensor;
}

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s SAVEDMODEL ID...\n", argv[0]);
    return 2;
  }
  std::vector<int32_t> ids;
  for (int i = 2; i < argc; i++) ids.push_back(std::atoi(argv[i]));
  std::vector<int32_t> ones(ids.size(), 1), zeros(ids.size(), 0);

  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, nullptr, argv[1], tags, 1, graph,
                                                     nullptr, status);
  check(status, argv[1]);

  const char* names[3] = {"input_ids", "attention_mask", "token_type_ids"};
  const std::vector<int32_t>* rows[3] = {&ids, &ones, &zeros};
  std::vector<TF_Output> inputs;
  std::vector<TF_Tensor*> values;
  for (int i = 0; i < 3; i++) {
    std::string name = std::string(kSignature) + "_" + names[i];
    TF_Operation* operation = TF_GraphOperationByName(graph, name.c_str());
    if (!operation) continue;  // token types only where the model has them
    inputs.push_back({operation, 0});
    values.push_back(row(*rows[i]));
  }
  TF_Operation* result = TF_GraphOperationByName(graph, kResult);
  if (!result || inputs.size() < 2) {
    std::fprintf(stderr, "%s has no signature %s\n", argv[1], kSignature);
    return 1;
  }
  TF_Output outputs[2] = {{result, 0}, {result, 1}};  // output_0, output_1
  TF_Tensor* found[2] = {nullptr, nullptr};
  TF_SessionRun(session, nullptr, inputs.data(), values.data(), static_cast<int>(inputs.size()),
                outputs, found, 2, nullptr, 0, nullptr, status);
  check(status, "the run");

  const float* starts = static_cast<const float*>(TF_TensorData(found[0]));
  const float* ends = static_cast<const float*>(TF_TensorData(found[1]));
  for (size_t i = 0; i < ids.size(); i++) std::printf("%f %f\n", starts[i], ends[i]);

  for (TF_Tensor* tensor : values) TF_DeleteTensor(tensor);
  for (TF_Tensor* tensor : found) TF_DeleteTensor(tensor);
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
