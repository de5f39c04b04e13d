import { thinCalibration } from '../../pruning/calibration.js';
import { calibrationChunks, disposeChunks } from '../../pruning/calibration-chunks.js';
import { balanceGuarded } from './balance-guarded.js';
import { isAffordable } from './affordable.js';
import { blockMethod } from './block-method.js';
import { chooseSplit, type SplitChoice } from './choose-split.js';
import { distributeChannels } from './distribute-channels.js';
import { flapPlan } from './flap-plan.js';
import type { RunPlan } from './layer-plans.js';
import { type Split, splitRatio, untouched } from './split.js';
import type { SplitTrial } from './split-search.js';
import { droppableLayers, type Survey, survey } from './survey.js';
import { taylorSurvey } from './taylor-survey.js';
import { bestUnits, type LayerUnitScores } from './unit-plan.js';

/** What a run decides before its first layer, as an interrupted run leaves it. */
export interface Decisions {
  plan: RunPlan;
  survey: Survey;
  /** Splits that were considered, the chosen one first. */
  trials: SplitTrial[];
}

/** What {@link decide} works on. */
export type DecideSetup = Omit<SplitChoice, 'method' | 'influence' | 'droppable'> & {
  /** Called after each pass that looks where the variance guard stops. */
  onPass?: (done: number, total: number) => void;
};

/**
 * Decides what shall stay of every layer.
 * @throws EspalierError `CONFIG` when the model can't lose that much
 */
export async function decide({ onPass, ...setup }: DecideSetup): Promise<Decisions> {
  const { options } = setup;
  const { config } = setup.bench;
  const surveyed = await survey(setup.bench);
  if (options.method === 'flap' && options.shape === 'per-layer') {
    const units = await flapPlan(setup.bench, options.ratio);
    const split = {
      dropped: [],
      groups: units.groups.map((kept) => kept.length),
      channels: units.channels.map((kept) => kept.length),
    };
    const whole = { ...split, ratio: splitRatio(config, split) };
    const plan = { split: whole, align: 1, units };
    return { plan, survey: surveyed, trials: [{ split: whole }] };
  }
  const bench = { ...setup.bench, onLayer: () => {} };
  const method = blockMethod(options);
  const { influence } = surveyed;
  const scores = options.method === 'taylor' ? await gradientScores(setup) : undefined;
  const units = scores && ((split: Split) => bestUnits(split, scores));
  const { trials, align } = await chooseSplit({
    ...setup,
    bench,
    method,
    influence,
    ...(units && { units }),
    droppable: droppableLayers(config.layers.length, options.protectFirst, options.protectLast),
  });
  const split = trials[0]?.split ?? untouched(config);
  const decided = (plan: RunPlan): Decisions => ({ plan, survey: surveyed, trials });
  if (units !== undefined) return decided({ split, align, units: units(split) });
  if (options.shape !== 'per-layer' || options.method === 'shortgpt') {
    return decided({ split, align });
  }
  const { ratio, seed } = options;
  const spread = distributeChannels(config, split, influence, ratio, align);
  if (method.maxMaskVariance === undefined || !isAffordable(config, options.window)) {
    return decided({ split: spread, align });
  }
  const passes = onPass === undefined ? {} : { onPass };
  const balance = { method, seed, ratio, align, ...passes };
  const balanced = await balanceGuarded(bench, spread, balance);
  return decided({ ...balanced, align, balanced: true });
}

/** Scores by gradient, from the first few calibration windows that equations may see. */
async function gradientScores({
  bench,
  calibration,
  options,
  widest,
  chunkBytes,
}: DecideSetup): Promise<LayerUnitScores[]> {
  const few = { ...thinCalibration(calibration, options.gradientSamples), heldOut: [] };
  const chunks = calibrationChunks(few, widest, chunkBytes, bench.checkpoint.device);
  try {
    return await taylorSurvey({ ...bench, chunks });
  } finally {
    disposeChunks(chunks);
  }
}
