import { BASELINES, OURS, type VariantOptions } from '../quality/cells.js';

/** One pruned model to measure before and after fine-tuning. */
export interface RecoveryCell {
  model: string;
  /** 0 with the variant {@link DENSE}. */
  ratio: number;
  seed: number;
  variant: string;
}

/** What a cell measured. */
export interface RecoveryOutcome {
  /** Perplexity of the pruned model, and with the adapter trained on top. */
  before: number;
  after: number;
  /** True fraction of parameters removed. */
  removed: number;
  pruneSeconds: number;
  trainingSeconds: number;
}

/** The unpruned model, fine-tuned in the same way. */
export const DENSE = 'nothing removed';

/** Baselines, the strongest first; FLAP in the form that does better, LLM-Pruner in both. */
const OTHERS = [
  'wanda-sp',
  'flap (uniform)',
  'taylor (as published)',
  'taylor (uniform)',
  'magnitude',
  'random',
  'shortgpt',
] as const;

/** What is pruned by. */
export const PRUNERS: Readonly<Record<string, VariantOptions>> = {
  [OURS]: { method: 'comp' },
  ...Object.fromEntries(OTHERS.map((name) => [name, BASELINES[name] as VariantOptions])),
};

/** Ratios of the measurement. */
export const RECOVERY_RATIOS = [0.2, 0.5] as const;

/** All cells, the first seed first, the strongest methods first, so that a run cut short compares. */
export function recoveryCells(models: readonly string[], seeds: readonly number[]): RecoveryCell[] {
  return seeds.flatMap((seed) =>
    models.flatMap((model) => [
      { model, ratio: 0, seed, variant: DENSE },
      ...RECOVERY_RATIOS.flatMap((ratio) =>
        Object.keys(PRUNERS).map((variant) => ({ model, ratio, seed, variant })),
      ),
    ]),
  );
}

/** A cell as a key of the cache. */
export function recoveryKey({ model, ratio, seed, variant }: RecoveryCell): string {
  return [model, ratio, seed, variant].join(' | ');
}
