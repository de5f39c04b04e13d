import { highest } from '../../pruning/select-units.js';
import type { Split } from './split.js';

/** Which units stay, by layer; ascending. */
export interface UnitPlan {
  groups: number[][];
  channels: number[][];
}

/** Scores of the units of one layer; the largest are the most important. */
export interface LayerUnitScores {
  attention: Float64Array;
  mlp: Float64Array;
}

/** The units with the highest scores, as many in each layer as a split leaves there. */
export function bestUnits(split: Split, scores: readonly LayerUnitScores[]): UnitPlan {
  return {
    groups: scores.map(({ attention }, i) => highest(attention, split.groups[i] as number)),
    channels: scores.map(({ mlp }, i) => highest(mlp, split.channels[i] as number)),
  };
}
