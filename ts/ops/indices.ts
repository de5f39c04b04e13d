import { EspalierError } from '../common/errors.js';
import { Tensor } from '../tensor/tensor.js';

/** Positions along one dimension: an i32 tensor, or plain numbers that are copied into one. */
export type Indices = Tensor | readonly number[];

/** What plain numbers are checked against before they are copied. */
export interface IndexRule {
  /** The op and its argument, for messages. */
  op: string;
  name: string;
  /** Every index is below this. */
  limit: number;
  /** Each must be larger than the one before it. */
  increasing?: boolean;
}

function checkNumbers(indices: readonly number[], rule: IndexRule): void {
  const { op, name, limit, increasing = false } = rule;
  let previous = -1;
  indices.forEach((index, at) => {
    if (!Number.isInteger(index) || index < 0 || index >= limit) {
      const message = `${name}: expected indices in [0, ${limit}), got ${index} at ${at}`;
      throw new EspalierError('SHAPE', message, { op });
    }
    if (increasing && index <= previous) {
      const message = `${name}: expected strictly increasing indices, got ${index} after ${previous}`;
      throw new EspalierError('SHAPE', message, { op });
    }
    previous = index;
  });
}

/**
 * Runs `body` with the indices as a tensor; one that was made from numbers is disposed afterwards.
 *
 * @throws EspalierError `SHAPE` when plain numbers break the rule; the values of a tensor are checked
 * by the op once they exist
 */
export function withIndices<R>(
  indices: Indices,
  rule: IndexRule,
  device: string,
  body: (tensor: Tensor) => R,
): R {
  if (indices instanceof Tensor) return body(indices);
  checkNumbers(indices, rule);
  const tensor = Tensor.from(indices, [indices.length], { dtype: 'i32', device });
  try {
    return body(tensor);
  } finally {
    tensor.dispose();
  }
}

/** {@link withIndices} for indices that may be left out. */
export function withOptionalIndices<R>(
  indices: Indices | undefined,
  rule: IndexRule,
  device: string,
  body: (tensor: Tensor | undefined) => R,
): R {
  return indices === undefined ? body(undefined) : withIndices(indices, rule, device, body);
}
