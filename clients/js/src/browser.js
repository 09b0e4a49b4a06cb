/** The package in a page: as src/index.js, without what writes files. */

export { Classifier } from "./classification.js";
export * from "./errors.js";
export { Model, RuntimeType, initModel } from "./model.js";
export { PreparedContext, QAClient } from "./qa.js";
export { Tagger } from "./tagging.js";
export { BertWordPieceTokenizer } from "./text/bert.js";
export { Tokenizer } from "./text/tokenizer.js";
