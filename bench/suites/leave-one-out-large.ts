// The child process of the leave-one-out suite: one large matrix, its peak memory and its accuracy.
import { native } from '../../ts/native/addon.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';
import { setThreads } from '../../ts/native/threads.js';
import { leaveOneOut } from '../../ts/ops/leave-one-out.js';
import { answerParent } from '../child.js';
import { KnownSpectrum } from '../known-spectrum.js';

/** What the child is asked for. */
export interface LargeRequest {
  n: number;
  condition: 'lanczos' | 'none';
  damping: number;
  threads: number;
  device: string;
}

/** What it found. */
export interface LargeResult {
  seconds: number;
  /** Largest relative errors over the columns looked at. */
  residualError: number;
  conditionError: number | undefined;
  /** The most memory that tensors took on the device. */
  tensorBytes: number;
  peakBytes: number;
}

await answerParent(async (request: LargeRequest) => {
  const { n, condition, damping, threads } = request;
  setThreads(threads);
  const { device } = resolveDevice(request.device);
  const known = new KnownSpectrum(n);
  const h = known.matrix(device);
  h.slice(0, 1).readSync();
  const start = performance.now();
  const result = leaveOneOut(h, { damping, condition });
  const residuals = (await result.residual.read()) as Float64Array;
  const conditions = (await result.condition?.read()) as Float64Array | undefined;
  const seconds = (performance.now() - start) / 1000;

  const trace = known.d.reduce((sum, value) => sum + value, 0);
  const lambda = (damping * trace) / n;
  let residualError = 0;
  let conditionError = conditions === undefined ? undefined : 0;
  for (let j = 0; j < n; j += Math.ceil(n / 64)) {
    const gap = Math.abs(residuals[j]! / known.residual(j, lambda) - 1);
    residualError = Math.max(residualError, gap);
    if (conditions === undefined) continue;
    const error = Math.abs(conditions[j]! / known.condition(j, lambda) - 1);
    conditionError = Math.max(conditionError ?? 0, error);
  }
  const tensorBytes = native().memory(device).peak;
  return { seconds, residualError, conditionError, tensorBytes };
});
