/**
 * Potstill in a page: questions answered from texts, and texts labelled. src/index.js adds what needs Node.
 */

export { Classifier } from "./classification.js";
export * from "./errors.js";
export { Model, RuntimeType, initModel } from "./model.js";
export { PreparedContext, QAClient } from "./qa.js";
export { Tagger } from "./tagging.js";
export { BertWordPieceTokenizer } from "./text/bert.js";
export { Tokenizer } from "./text/tokenizer.js";

/** @typedef {import("./reading.js").Answer} Answer */
/** @typedef {import("./classification.js").Classification} Classification */
/** @typedef {import("./classification.js").ClassifierOptions} ClassifierOptions */
/** @typedef {import("./classification.js").LabelScore} LabelScore */
/** @typedef {import("./entities.js").Aggregation} Aggregation */
/** @typedef {import("./entities.js").Entity} Entity */
/** @typedef {import("./tagging.js").TaggerOptions} TaggerOptions */
/** @typedef {import("./tagging.js").TagOptions} TagOptions */
/** @typedef {import("./highlighting.js").Sentence} Sentence */
/** @typedef {import("./highlighting.js").Support} Support */
/** @typedef {import("./qa.js").ClientOptions} ClientOptions */
/** @typedef {import("./qa.js").PredictOptions} PredictOptions */
/** @typedef {import("./model.js").ModelOptions} ModelOptions */
/** @typedef {import("./text/bert.js").Encoding} Encoding */
/** @typedef {import("./places.js").Progress} Progress */
