/** What logits say, in double precision. */

/**
 * Probabilities: they sum to 1 however many there are.
 *
 * @param {number[]} scores
 * @returns {number[]}
 */
export function softmax(scores) {
  const most = Math.max(...scores);
  const mass = scores.map((score) => Math.exp(score - most));
  const total = mass.reduce((sum, one) => sum + one, 0);
  return mass.map((one) => one / total);
}

/** @param {number} logit @returns {number} its probability */
export function sigmoid(logit) {
  return 1 / (1 + Math.exp(-logit));
}

/** The place of the largest, the first of equals. @param {number[]} scores */
export function best(scores) {
  return scores.indexOf(Math.max(...scores));
}
