import { conditionNumber } from '../ops/condition-number.js';
import { gatherRows } from '../ops/gather-rows.js';
import { leaveOneOut } from '../ops/leave-one-out.js';
import { scale } from '../ops/scale.js';
import { sumColumns } from '../ops/sum-columns.js';
import { sumRows } from '../ops/sum-rows.js';
import { transpose } from '../ops/transpose.js';
import { keep, scope } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { maskGram } from './mask-tuning.js';
import type { ScoreInputs } from './score-inputs.js';
import type { ConditionMetric } from './score-metrics.js';
import { settle } from '../tensor/settle.js';

/** Condition numbers beyond this many columns come from Lanczos iterations. */
const EXACT_LIMIT = 2048;

/**
 * The condition-based scores [reconstructed], all on H = (XᵀX) ∘ (WᵀW), summed over the columns of
 * each unit: `sensitivity` √H_jj / √(1ᵀH1) · `residual` 1 / [(H + λI)⁻¹]_jj · `spectral`
 * |log cond(H_{-j}) − log cond(H)|, H normalised to unit columns · `blend` residual^γ ·
 * sensitivity^(2(1−γ)).
 */
export async function conditionScores(
  metric: ConditionMetric,
  inputs: ScoreInputs,
): Promise<Float64Array> {
  const { signal, damping } = inputs;
  const h = scope(() =>
    unitGram(
      maskGram(inputs.statistics.requireGram(), inputs.weights.consumer.weight),
      inputs.columnsPerUnit,
    ),
  );
  try {
    if (metric === 'sensitivity') return await sensitivities(h, signal);
    // Removing one of two columns leaves nothing whose condition could be compared.
    if (metric === 'spectral' && (h.shape[0] ?? 0) > 2)
      return await spectralShifts(h, damping, signal);
    const { residual } = leaveOneOut(h, { damping, condition: 'none' });
    const residuals = (await settle(residual, signal)) as Float64Array;
    residual.dispose();
    if (metric !== 'blend') return residuals;
    const kappa = await sensitivities(h, signal);
    const { blend } = inputs;
    return residuals.map((e, j) => e ** blend * (kappa[j] as number) ** (2 * (1 - blend)));
  } finally {
    h.dispose();
  }
}

/** Sums the blocks of H that belong to one pair of units: f64 [units, units]. */
function unitGram(h: Tensor, width: number): Tensor {
  if (width === 1) return h;
  const n = h.shape[0] ?? 0;
  const units = n / width;
  const halfway = transpose(sumColumns(h.reshape([n * units, width])).reshape([n, units]));
  return sumColumns(halfway.reshape([units * units, width])).reshape([units, units]);
}

function diagonal(h: Tensor): Tensor {
  const n = h.shape[0] ?? 0;
  const indices = Array.from({ length: n }, (_, j) => j * (n + 1));
  return gatherRows(h.reshape([n * n, 1]), indices).reshape([n]);
}

async function sensitivities(h: Tensor, signal?: AbortSignal): Promise<Float64Array> {
  const own = scope(() => diagonal(h));
  const rows = scope(() => sumRows(h));
  const [squares, sums] = [await settle(own, signal), await settle(rows, signal)];
  own.dispose();
  rows.dispose();
  const total = (sums as Float64Array).reduce((sum, value) => sum + value, 0);
  const norm = total > 0 ? Math.sqrt(total) : 1;
  return (squares as Float64Array).map((square) => Math.sqrt(Math.max(0, square)) / norm);
}

async function spectralShifts(
  h: Tensor,
  damping: number,
  signal?: AbortSignal,
): Promise<Float64Array> {
  const n = h.shape[0] ?? 0;
  const own = scope(() => diagonal(h));
  const squares = (await settle(own, signal)) as Float64Array;
  own.dispose();
  const normalised = scope(() => {
    // A column that is zero, a dead neuron, stays zero.
    const factors = Tensor.from(
      squares.map((square) => (square > 0 ? 1 / Math.sqrt(square) : 0)),
      [n],
      { device: h.device },
    );
    return keep(scale(scale(h, factors, { axis: 'rows' }), factors, { axis: 'columns' }));
  });
  const exact = n <= EXACT_LIMIT;
  const whole = conditionNumber(normalised, { method: exact ? 'svd' : 'lanczos' });
  const { residual, condition } = leaveOneOut(normalised, {
    damping,
    condition: exact ? 'exact' : 'lanczos',
  });
  try {
    const before = Math.log(Number((await settle(whole, signal))[0]));
    const after = (await settle(condition as Tensor, signal)) as Float64Array;
    return after.map((value) => Math.abs(Math.log(value) - before));
  } finally {
    for (const tensor of [normalised, whole, residual, condition]) tensor?.dispose();
  }
}
