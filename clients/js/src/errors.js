/**
 * Every error a caller can meet, in one tree, the same as Python's.
 *
 *     PotstillError
 *     ├── InputError (INPUT)                       what was passed cannot be used
 *     │   ├── EmptyInputError (EMPTY_INPUT)        a question or context holds no text
 *     │   └── QuestionTooLongError (QUESTION_TOO_LONG)
 *     ├── ModelError (MODEL)                       a model cannot be used
 *     │   ├── ModelNotFoundError (MODEL_NOT_FOUND)
 *     │   ├── ConfigError (CONFIG)
 *     │   ├── UnfitError (UNFIT)               a sound file, but for another runtime
 *     │   └── TokenizerError (TOKENIZER)
 *     ├── HubError (HUB)                           the hub could not be reached or refused
 *     ├── RemoteError (REMOTE)                     the model's server could not be reached or refused
 *     ├── MissingPackageError (MISSING_PACKAGE)    an optional package is not installed
 *     ├── OutputError (OUTPUT)                     a file could not be written
 *     └── AbortedError (ABORTED)                   the caller's signal was set
 *
 * Each message is one line that names the offending value and the remedy.
 */

/** Base of all errors raised on purpose by this package. */
export class PotstillError extends Error {
  /**
   * @param {string} message one line
   * @param {string} [code] see the tree above
   */
  constructor(message, code = "POTSTILL") {
    super(message);
    this.name = new.target.name;
    this.code = code;
  }
}

/** What the caller passed cannot be used. */
export class InputError extends PotstillError {
  /** @param {string} message @param {string} [code] */
  constructor(message, code = "INPUT") {
    super(message, code);
  }
}

/** A question or a context holds no text. */
export class EmptyInputError extends InputError {
  /** @param {string} message */
  constructor(message) {
    super(message, "EMPTY_INPUT");
  }
}

/** The question leaves no room for any context in a window. */
export class QuestionTooLongError extends InputError {
  /** @param {string} message */
  constructor(message) {
    super(message, "QUESTION_TOO_LONG");
  }
}

/** A model cannot be used. */
export class ModelError extends PotstillError {
  /** @param {string} message @param {string} [code] */
  constructor(message, code = "MODEL") {
    super(message, code);
  }
}

/** There is no such folder, address or hub id. */
export class ModelNotFoundError extends ModelError {
  /** @param {string} message */
  constructor(message) {
    super(message, "MODEL_NOT_FOUND");
  }
}

/** `config.json` or `potstill.json` is missing or unreadable. */
export class ConfigError extends ModelError {
  /** @param {string} message */
  constructor(message) {
    super(message, "CONFIG");
  }
}

/** A runtime does not run this model; another one may. */
export class UnfitError extends ModelError {
  /** @param {string} message */
  constructor(message) {
    super(message, "UNFIT");
  }
}

/** Tokenizer files are missing, corrupt, or of a kind that this package does not read. */
export class TokenizerError extends ModelError {
  /** @param {string} message */
  constructor(message) {
    super(message, "TOKENIZER");
  }
}

/** The model hub could not be reached, or refused. */
export class HubError extends PotstillError {
  /** @param {string} message */
  constructor(message) {
    super(message, "HUB");
  }
}

/** The server that runs the model could not be reached, or refused. */
export class RemoteError extends PotstillError {
  /** @param {string} message */
  constructor(message) {
    super(message, "REMOTE");
  }
}

/** An optional package is not installed. */
export class MissingPackageError extends PotstillError {
  /** @param {string} message */
  constructor(message) {
    super(message, "MISSING_PACKAGE");
  }
}

/** A file could not be written; nothing half-written was left. */
export class OutputError extends PotstillError {
  /** @param {string} message */
  constructor(message) {
    super(message, "OUTPUT");
  }
}

/** The caller's `AbortSignal` was set before the answer was there. */
export class AbortedError extends PotstillError {
  constructor() {
    super("the call was aborted by its signal", "ABORTED");
  }
}

const KINDS = {
  POTSTILL: PotstillError,
  INPUT: InputError,
  MODEL: ModelError,
  MODEL_NOT_FOUND: ModelNotFoundError,
  CONFIG: ConfigError,
  UNFIT: UnfitError,
  MISSING_PACKAGE: MissingPackageError,
};

/**
 * The error that a worker reported, as one of this side.
 *
 * @param {string} code
 * @param {string} message
 * @returns {PotstillError}
 */
export function errorOf(code, message) {
  const Kind = KINDS[/** @type {keyof typeof KINDS} */ (code)] ?? ModelError;
  return new Kind(message);
}

/**
 * The first line of whatever was thrown.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function reason(error) {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const text = cause instanceof Error ? cause.message || cause.name : String(cause);
  return text.split("\n", 1)[0];
}

/**
 * What a value is, for messages.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function kindOf(value) {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** @param {AbortSignal | undefined} signal @throws {AbortedError} it is set */
export function checkSignal(signal) {
  if (signal?.aborted) throw new AbortedError();
}
