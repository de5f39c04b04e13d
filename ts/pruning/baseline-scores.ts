import { cast } from '../ops/cast.js';
import { multiply } from '../ops/multiply.js';
import { sumColumns } from '../ops/sum-columns.js';
import { sumRows } from '../ops/sum-rows.js';
import { scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import { settle } from '../tensor/settle.js';
import type { ScoreInputs } from './score-inputs.js';
import { sumGroups } from './sum-groups.js';

/** `magnitude`: L2 norm of all weights that a unit owns, in the producers and the consumer. */
export async function magnitudeScores(inputs: ScoreInputs): Promise<Float64Array> {
  const { weights, rowsPerUnit, columnsPerUnit, signal } = inputs;
  const scores = sumGroups(await columnSquares(weights.consumer.weight, signal), columnsPerUnit);
  for (const [i, { weight }] of weights.producers.entries()) {
    const rows = scope(() => sumColumns(squares(weight)));
    const sums = sumGroups((await settle(rows, signal)) as Float64Array, rowsPerUnit[i] as number);
    rows.dispose();
    for (let unit = 0; unit < scores.length; unit++) {
      scores[unit] = (scores[unit] as number) + (sums[unit] as number);
    }
  }
  return scores.map(Math.sqrt);
}

/** `wanda-sp`: Σ_i |W_ij| · ‖x_j‖₂ over a unit's columns. Source: Wanda 2306.11695, as in FLAP. */
export async function wandaScores(inputs: ScoreInputs): Promise<Float64Array> {
  const { weights, columnsPerUnit, moments, signal } = inputs;
  const { mean, spread } = (await moments?.read(signal)) ?? NOTHING;
  const absolute = await columnAbsoluteSums(weights.consumer.weight, signal);
  const count = moments?.count ?? 0;
  return sumGroups(
    absolute.map((sum, j) => {
      const norm = Math.sqrt((spread[j] as number) + count * (mean[j] as number) ** 2);
      return sum * norm;
    }),
    columnsPerUnit,
  );
}

/** `flap`: sample variance of x_j times Σ_i W_ij², over a unit's columns. Source: FLAP 2312.11983. */
export async function fluctuationScores(inputs: ScoreInputs): Promise<Float64Array> {
  const { weights, columnsPerUnit, moments, signal } = inputs;
  const { spread } = (await moments?.read(signal)) ?? NOTHING;
  const norms = await columnSquares(weights.consumer.weight, signal);
  const degrees = Math.max(1, (moments?.count ?? 0) - 1);
  return sumGroups(
    norms.map((norm, j) => (norm * (spread[j] as number)) / degrees),
    columnsPerUnit,
  );
}

const NOTHING = { mean: new Float64Array(), spread: new Float64Array() };

/** As many elements are summed in JavaScript before the event loop gets its turn. */
const ELEMENTS_PER_TURN = 1 << 19;

async function columnSquares(weight: Tensor, signal?: AbortSignal): Promise<Float64Array> {
  const sums = scope(() => sumRows(squares(weight)));
  try {
    return (await settle(sums, signal)) as Float64Array;
  } finally {
    sums.dispose();
  }
}

async function columnAbsoluteSums(weight: Tensor, signal?: AbortSignal): Promise<Float64Array> {
  const [rows = 0, columns = 0] = weight.shape;
  const sums = new Float64Array(columns);
  const step = Math.max(1, Math.floor(ELEMENTS_PER_TURN / Math.max(1, columns)));
  for (let first = 0; first < rows; first += step) {
    const part = scope(() => inF32(weight.slice(first, Math.min(rows, first + step))));
    const values = await settle(part, signal);
    part.dispose();
    for (let i = 0; i < values.length; i++) {
      const column = i % columns;
      sums[column] = (sums[column] as number) + Math.abs(values[i] as number);
    }
  }
  return sums;
}

function squares(weight: Tensor): Tensor {
  const exact = inF32(weight);
  return multiply(exact, exact);
}

function inF32(weight: Tensor): Tensor {
  return weight.dtype === 'f32' ? weight : cast(weight, 'f32');
}
