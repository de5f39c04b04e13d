import { EspalierError } from '../common/errors.js';

/** How a learning rate goes on after its warm-up. */
export type LrScheduleKind = 'constant' | 'linear' | 'cosine';

/** What {@link lrSchedule} needs to know. */
export interface LrScheduleOptions {
  /** Default `constant`. */
  kind?: LrScheduleKind;
  /** The learning rate at its highest. */
  lr: number;
  /** Steps over which it rises from 0; default 0. */
  warmupSteps?: number;
  /** Steps of the whole training, after which `linear` and `cosine` are at 0. */
  totalSteps: number;
}

/**
 * The learning rate of every optimiser step, counted from 0, with the numbers of
 * `get_constant_schedule_with_warmup`, `get_linear_schedule_with_warmup` and
 * `get_cosine_schedule_with_warmup` of transformers.
 *
 * @throws EspalierError `CONFIG` for numbers out of range
 */
export function lrSchedule(options: LrScheduleOptions): (step: number) => number {
  const { kind = 'constant', lr, warmupSteps = 0, totalSteps } = options;
  expect('lr', lr, Number.isFinite(lr) && lr >= 0);
  expect('warmupSteps', warmupSteps, Number.isSafeInteger(warmupSteps) && warmupSteps >= 0);
  expect('totalSteps', totalSteps, Number.isSafeInteger(totalSteps) && totalSteps >= 0);
  expect('kind', kind, ['constant', 'linear', 'cosine'].includes(kind));
  const rest = Math.max(1, totalSteps - warmupSteps);
  return (step) => {
    if (step < warmupSteps) return lr * (step / Math.max(1, warmupSteps));
    if (kind === 'constant') return lr;
    if (kind === 'linear') return lr * Math.max(0, (totalSteps - step) / rest);
    const progress = (step - warmupSteps) / rest;
    return lr * Math.max(0, 0.5 * (1 + Math.cos(Math.PI * 0.5 * 2 * progress)));
  };
}

function expect(name: string, value: unknown, valid: boolean): void {
  if (valid) return;
  throw new EspalierError('CONFIG', `lrSchedule: ${name}: ${String(value)} is out of range`, {
    op: 'lrSchedule',
    details: { [name]: value },
  });
}
