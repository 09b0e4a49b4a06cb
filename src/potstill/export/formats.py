"""Names of the formats, apart from their writers: a light start needs no more."""

ONNX_PRECISIONS = {"onnx": "fp32", "fp16": "fp16", "int8": "int8"}
"""Format that is an ONNX file → its precision."""

FORMATS = (
    "hf", *ONNX_PRECISIONS, "savedmodel", "tfjs", "tfjs-fp16", "tfjs-uint8", "litert",
    "litert-fp16", "litert-int8", "openvino", "openvino-fp16", "coreml",
)  # fmt: skip
"""What ``--format`` takes, beside ``all``: every one whose libraries are installed."""
