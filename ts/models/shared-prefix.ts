import { attention } from '../ops/attention.js';
import { gatherRows } from '../ops/gather-rows.js';
import { rope } from '../ops/rope.js';
import { Tensor } from '../tensor/tensor.js';
import type { Attend } from './attention-block.js';

/**
 * How sequences that begin alike lie in one batch of rows: first the prefixes, `prefixes` of
 * `prefixLength` tokens, then the endings, `prefixOf.length` of `endingLength` tokens each.
 */
export interface SharedPrefixLayout {
  prefixes: number;
  /** In tokens; 0: nothing is shared. */
  prefixLength: number;
  /** In tokens. */
  endingLength: number;
  /** Which prefix stands before each ending. */
  prefixOf: readonly number[];
}

/** How many rows a layout has. */
export function layoutRows(layout: SharedPrefixLayout): number {
  return layout.prefixes * layout.prefixLength + layout.prefixOf.length * layout.endingLength;
}

/**
 * Causal attention for sequences that share prefixes: a prefix goes through the model once, and its
 * keys and values stand before those of each of its endings.
 *
 * The layer's sequences are of one token each, [rows, 1, …], in the order of the layout. Keep the
 * function while layers are computed with it; `dispose` frees what it holds.
 */
export class SharedPrefixAttention {
  readonly #layout: SharedPrefixLayout;
  readonly #frequencies: Tensor;
  /** The rows of keys that each ending sees: those of its prefix, then its own. */
  readonly #keyRows: Tensor | undefined;

  constructor(layout: SharedPrefixLayout, frequencies: Tensor) {
    this.#layout = layout;
    this.#frequencies = frequencies;
    this.#keyRows = layout.prefixLength === 0 ? undefined : keyRows(layout, frequencies.device);
  }

  /** For `layerForward`. */
  readonly attend: Attend = ({ query, key, value }, options) => {
    const { prefixes, prefixLength, endingLength, prefixOf } = this.#layout;
    const endings = prefixOf.length;
    const shared = prefixes * prefixLength;
    const width = (x: Tensor) => x.shape.slice(-2);
    const prefix = (x: Tensor) => x.slice(0, shared).reshape([prefixes, prefixLength, ...width(x)]);
    const ending = (x: Tensor) =>
      x.slice(shared, x.shape[0] as number).reshape([endings, endingLength, ...width(x)]);
    const rotated = (x: Tensor) => rope(x, this.#frequencies, { offset: prefixLength });
    if (this.#keyRows === undefined) {
      return attention(rotated(ending(query)), rotated(ending(key)), ending(value), options);
    }
    const prefixKey = rope(prefix(key), this.#frequencies);
    const visible = (x: Tensor) =>
      gatherRows(x, this.#keyRows as Tensor).reshape([
        endings,
        prefixLength + endingLength,
        ...width(x),
      ]);
    const allKeys = joined(key.shape, prefixKey, rotated(ending(key)));
    return joined(
      query.shape,
      attention(rope(prefix(query), this.#frequencies), prefixKey, prefix(value), options),
      attention(rotated(ending(query)), visible(allKeys), visible(value), options),
    );
  };

  /** Frees the memory. */
  dispose(): void {
    this.#keyRows?.dispose();
  }
}

function keyRows(layout: SharedPrefixLayout, device: string): Tensor {
  const { prefixes, prefixLength, endingLength, prefixOf } = layout;
  const rows = new Int32Array(prefixOf.length * (prefixLength + endingLength));
  let at = 0;
  for (const [ending, prefix] of prefixOf.entries()) {
    for (let i = 0; i < prefixLength; i++) rows[at++] = prefix * prefixLength + i;
    const own = prefixes * prefixLength + ending * endingLength;
    for (let i = 0; i < endingLength; i++) rows[at++] = own + i;
  }
  return Tensor.from(rows, [rows.length], { device });
}

/** The rows of one tensor, then those of another. */
function joined(shape: readonly number[], first: Tensor, second: Tensor): Tensor {
  const whole = Tensor.zeros([...shape], 'f32', first.device);
  const [rows = 0] = shape;
  const split = first.size / (whole.size / rows);
  whole.slice(0, split).copyFrom(first);
  whole.slice(split, rows).copyFrom(second);
  return whole;
}
