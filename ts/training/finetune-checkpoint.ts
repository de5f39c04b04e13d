import { tensorSource } from '../models/tensor-source.js';
import type { AdamW } from '../nn/adamw.js';
import type { Parameter } from '../nn/parameter.js';
import { Tensor } from '../tensor/tensor.js';
import {
  readTrainingState,
  type TrainingProgress,
  type TrainingState,
  writeTrainingState,
} from './training-state.js';

/** What a checkpoint keeps beside its progress. */
export interface FinetuneTensors {
  parameters: ReadonlyMap<string, Parameter>;
  optimizer: AdamW;
  /** The weights of the best evaluation, by name of their parameter. */
  best: Map<string, Tensor>;
}

/**
 * Saves parameters, optimiser and best weights.
 * @throws EspalierError `CONFIG`, `ABORTED`
 */
export async function saveFinetune(
  directory: string,
  progress: TrainingProgress,
  { parameters, optimizer, best }: FinetuneTensors,
  signal?: AbortSignal,
): Promise<void> {
  const sources = [
    ...[...parameters].map(([name, { value }]) => tensorSource(`parameter:${name}`, value, signal)),
    ...[...optimizer.state()].map(([name, tensor]) =>
      tensorSource(`state:${name}`, tensor, signal),
    ),
    ...[...best].map(([name, tensor]) => tensorSource(`best:${name}`, tensor, signal)),
  ];
  await writeTrainingState(directory, progress, sources);
}

/**
 * Puts the last checkpoint of a directory back in place.
 * @returns its progress, or undefined when there is none
 * @throws EspalierError `FORMAT`, `CONFIG`, `SHAPE` when it does not fit
 */
export async function restoreFinetune(
  directory: string,
  { parameters, optimizer, best }: FinetuneTensors,
): Promise<TrainingProgress | undefined> {
  const state = await readTrainingState(directory);
  if (state === undefined) return undefined;
  for (const [name, { value }] of parameters) {
    const stored = await tensorOf(state, `parameter:${name}`);
    value.copyFrom(stored);
    stored.dispose();
  }
  const optimizerState = new Map<string, Tensor>();
  for (const name of state.entries.keys()) {
    if (name.startsWith('state:')) {
      optimizerState.set(name.slice('state:'.length), await tensorOf(state, name));
    } else if (name.startsWith('best:')) {
      best.set(name.slice('best:'.length), await tensorOf(state, name));
    }
  }
  optimizer.loadState(optimizerState);
  for (const tensor of optimizerState.values()) tensor.dispose();
  return state.progress;
}

async function tensorOf(state: TrainingState, name: string): Promise<Tensor> {
  const data = await state.floats(name);
  return Tensor.from(data, state.entries.get(name)?.shape ?? [data.length]);
}
