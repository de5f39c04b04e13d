import type { WeightDType } from '../ts/models/layer-weights.js';
import { loadModel } from '../ts/models/load-model.js';
import { AdamW } from '../ts/nn/adamw.js';
import { Trainer } from '../ts/training/trainer.js';

/** A model with an adapter that takes training steps. */
export interface TrainingSide {
  /** One optimiser step on equally long sequences. */
  step(ids: readonly (readonly number[])[]): Promise<{ loss: number; seconds: number }>;
  dispose(): void;
}

/** Loads a model and an adapter from disk and readies AdamW over the adapter. */
export async function openTraining(
  directory: string,
  adapter: string,
  dtype: WeightDType,
  lr: number,
  device = 'cpu',
): Promise<TrainingSide> {
  const model = await loadModel(directory, { adapter, dtype, device });
  const optimizer = new AdamW(model.trainableParameters(), { weightDecay: 0 });
  const trainer = new Trainer(model, { optimizer, schedule: () => lr });
  return {
    async step(ids) {
      const inputIds = Int32Array.from(ids.flat());
      const batch = { inputIds, batch: ids.length, sequence: ids[0]?.length ?? 0 };
      const start = performance.now();
      const { loss } = await trainer.step([batch]);
      return { loss, seconds: (performance.now() - start) / 1000 };
    },
    dispose() {
      optimizer.dispose();
      model.dispose();
    },
  };
}
