// Runs a model's SavedModel through TensorFlow's C API, by cgo.
//
//	savedmodel FOLDER/savedmodel 101 2040 2180 1029 102 2198 102
//
// prints the start and end logit of each token id, one token a line. docs/native.md says how to
// build it, and how to find the names below for a model of another task.
package main

/*
#include <stdlib.h>
#include <tensorflow/c/c_api.h>
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"unsafe"
)

const (
	signature = "dynamic"                 // rows of any length
	result    = "StatefulPartitionedCall" // what that signature ends in
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintf(os.Stderr, "usage: %s SAVEDMODEL ID...\n", os.Args[0])
		os.Exit(2)
	}
	ids := make([]int32, 0, len(os.Args)-2)
	for _, word := range os.Args[2:] {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			fail(err.Error())
		}
		ids = append(ids, int32(id))
	}
	starts, ends := run(os.Args[1], ids)
	for i := range ids {
		fmt.Printf("%f %f\n", starts[i], ends[i])
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

func run(folder string, ids []int32) ([]float32, []float32) {
	status := C.TF_NewStatus()
	defer C.TF_DeleteStatus(status)
	check := func(what string) {
		if C.TF_GetCode(status) != C.TF_OK {
			fail(what + ": " + C.GoString(C.TF_Message(status)))
		}
	}
	graph := C.TF_NewGraph()
	defer C.TF_DeleteGraph(graph)
	options := C.TF_NewSessionOptions()
	defer C.TF_DeleteSessionOptions(options)
	path, tag := C.CString(folder), C.CString("serve")
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(tag))
	session := C.TF_LoadSessionFromSavedModel(options, nil, path, &tag, 1, graph, nil, status)
	check(folder)
	defer C.TF_DeleteSession(session, status)

	ones, zeros := make([]int32, len(ids)), make([]int32, len(ids))
	for i := range ones {
		ones[i] = 1
	}
	var inputs []C.TF_Output
	var values []*C.TF_Tensor
	rows := [][]int32{ids, ones, zeros}
	for i, name := range []string{"input_ids", "attention_mask", "token_type_ids"} {
		if operation := find(graph, signature+"_"+name); operation != nil {
			inputs = append(inputs, C.TF_Output{oper: operation, index: 0})
			values = append(values, tensor(rows[i]))
		} // token types only where the model has them
	}
	called := find(graph, result)
	if called == nil || len(inputs) < 2 {
		fail(folder + " has no signature " + signature)
	}
	outputs := []C.TF_Output{{oper: called, index: 0}, {oper: called, index: 1}}
	found := make([]*C.TF_Tensor, 2) // output_0, output_1
	C.TF_SessionRun(session, nil, &inputs[0], &values[0], C.int(len(inputs)),
		&outputs[0], &found[0], 2, nil, 0, nil, status)
	check("the run")
	for _, value := range values {
		C.TF_DeleteTensor(value)
	}
	return floats(found[0], len(ids)), floats(found[1], len(ids))
}

func find(graph *C.TF_Graph, name string) *C.TF_Operation {
	text := C.CString(name)
	defer C.free(unsafe.Pointer(text))
	return C.TF_GraphOperationByName(graph, text)
}

func tensor(values []int32) *C.TF_Tensor {
	dims := []C.int64_t{1, C.int64_t(len(values))}
	made := C.TF_AllocateTensor(C.TF_INT32, &dims[0], 2, C.size_t(4*len(values)))
	copy(unsafe.Slice((*int32)(C.TF_TensorData(made)), len(values)), values)
	return made
}

func floats(value *C.TF_Tensor, n int) []float32 {
	defer C.TF_DeleteTensor(value)
	return append([]float32(nil), unsafe.Slice((*float32)(C.TF_TensorData(value)), n)...)
}
