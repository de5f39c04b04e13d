import type { ModelConfig } from '../../formats/model-config.js';
import { modelParameters } from './parameter-budget.js';

/** Calibration windows of a quick estimate. */
export const ESTIMATE_WINDOWS = 16;

/** What counts as affordable: parameters × tokens of one estimate. */
const LIMIT = 1e11;

/**
 * Whether a model is small enough to be pruned many times over in search of the best split, and to
 * write calibration windows itself.
 * @param window tokens in a calibration window
 */
export function isAffordable(config: ModelConfig, window: number): boolean {
  return modelParameters(config) * ESTIMATE_WINDOWS * window <= LIMIT;
}
