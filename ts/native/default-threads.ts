import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { EspalierError } from '../common/errors.js';

/** More threads than this rarely help one model on one machine, and hurt its neighbours. */
const MOST_BY_DEFAULT = 32;

/** The most that the addon takes. */
export const MAX_THREADS = 1024;

/** A number of threads and where it came from. */
export interface ThreadChoice {
  threads: number;
  /** `option`, `ESPALIER_THREADS`, `OMP_NUM_THREADS`, `container limit` or `processors`. */
  source: string;
}

/**
 * How many threads to compute with when the caller does not say: `ESPALIER_THREADS`, else
 * `OMP_NUM_THREADS`, else one per processor that this process may use, within the container's
 * processor quota and at most 32.
 * @throws EspalierError `CONFIG` when `ESPALIER_THREADS` is not a whole number from 1 to 1024
 */
export function defaultThreads(variables: NodeJS.ProcessEnv = process.env): ThreadChoice {
  const ours = variables.ESPALIER_THREADS;
  if (ours !== undefined && ours !== '') {
    return {
      threads: checkThreads(Number(ours), 'ESPALIER_THREADS', ours),
      source: 'ESPALIER_THREADS',
    };
  }
  const openMp = Number.parseInt(variables.OMP_NUM_THREADS ?? '', 10);
  if (openMp >= 1 && openMp <= MAX_THREADS) return { threads: openMp, source: 'OMP_NUM_THREADS' };
  const processors = availableParallelism();
  const quota = processorQuota();
  if (quota !== undefined && quota < processors) {
    return { threads: Math.min(quota, MOST_BY_DEFAULT), source: 'container limit' };
  }
  return { threads: Math.min(processors, MOST_BY_DEFAULT), source: 'processors' };
}

/**
 * Passes a number of threads through, or refuses it by its name and as it was written.
 * @throws EspalierError `CONFIG` unless it is a whole number from 1 to 1024
 */
export function checkThreads(
  threads: number,
  name = 'threads',
  shown: number | string = threads,
): number {
  if (Number.isInteger(threads) && threads >= 1 && threads <= MAX_THREADS) return threads;
  throw new EspalierError(
    'CONFIG',
    `${name} must be a whole number from 1 to ${MAX_THREADS}, got ${shown}`,
    { details: { option: name, value: shown } },
  );
}

/** The control group's share of processor time in whole processors, rounded up. */
function processorQuota(): number | undefined {
  try {
    const [quota, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ');
    const share = Number(quota) / Number(period);
    return Number.isFinite(share) && share > 0 ? Math.max(1, Math.ceil(share)) : undefined;
  } catch {
    return undefined;
  }
}
