import { native } from '../native/addon.js';
import { record } from '../tensor/recorder.js';
import { Tensor } from '../tensor/tensor.js';
import { cast } from './cast.js';
import { multiply } from './multiply.js';
import { sumColumns } from './sum-columns.js';
import { sumRows } from './sum-rows.js';

/** Which side of a matrix has a factor each. */
export interface ScaleOptions {
  /** `'rows'`: one factor for each row of the flattened matrix; `'columns'`: one for each column. */
  axis: 'rows' | 'columns';
}

/**
 * Multiplies every row, or every column, by its own factor.
 *
 * @param x f32, f64, bf16 or f16 `[..., C]`, seen as a matrix of C columns
 * @param factors f32 or f64 `[rows]` or `[C]`
 * @returns like `x`; computed in f64 when either is f64, otherwise in f32
 * @throws EspalierError `DTYPE`, `SHAPE`, `DEVICE_MISMATCH`
 */
export function scale(x: Tensor, factors: Tensor, { axis }: ScaleOptions): Tensor {
  const output = new Tensor(native().scale(x.handle, factors.handle, axis === 'columns'));
  record({
    op: 'scale',
    inputs: [x, factors],
    outputs: [output],
    saved: [x, factors],
    backward: ([gradient], saved, [wantX, wantFactors]) => {
      const [input, f] = saved as [Tensor, Tensor];
      const sum = axis === 'columns' ? sumRows : sumColumns;
      return [
        wantX ? scale(gradient as Tensor, f, { axis }) : undefined,
        wantFactors
          ? cast(sum(multiply(gradient as Tensor, cast(input, 'f32'))), 'f32')
          : undefined,
      ];
    },
  });
  return output;
}
