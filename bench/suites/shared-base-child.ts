import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { createAdapterSet } from '../../ts/models/create-adapter-set.js';
import type { Decoder } from '../../ts/models/decoder.js';
import { loadModel } from '../../ts/models/load-model.js';
import { native } from '../../ts/native/addon.js';
import { setThreads } from '../../ts/native/threads.js';
import { AdamW } from '../../ts/nn/adamw.js';
import type { AdapterSet } from '../../ts/nn/adapter-set.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { Trainer } from '../../ts/training/trainer.js';
import { answerParent, peakBytes } from '../child.js';
import { check, finish } from '../harness.js';

/** Adapter sets on one base, added and trained one after the other. */
export interface SharedBaseRequest {
  directory: string;
  sets: number;
  /** Steps of all sets together. */
  steps: number;
  batch: number;
  sequence: number;
  threads: number;
}

/** Memory with so many sets that have taken a step. */
export interface SharedBaseState {
  sets: number;
  /** Native memory of all tensors between steps. */
  resident: number;
  /** The most native memory so far. */
  peak: number;
  /** VmHWM so far. */
  process: number;
}

/** What the child measured. */
export interface SharedBaseResult {
  /** Native memory of the base alone. */
  base: number;
  /** Trained elements of one set. */
  elements: number;
  states: SharedBaseState[];
  /** After all steps, taken in turn. */
  final: SharedBaseState;
  /** Seconds of putting another set in force. */
  switching: number;
  peakBytes: number;
}

/** One client: a set with its optimiser. */
interface Client {
  set: AdapterSet;
  step(): Promise<string>;
  dispose(): void;
}

function openClient(model: Decoder, number: number, request: SharedBaseRequest): Client {
  const ends = new Set([...model.linears.keys()].map((path) => path.split('.').at(-1) as string));
  const config = makeAdapterConfig({ r: 8, loraAlpha: 16, targetModules: [...ends] });
  const set = createAdapterSet(model, config, number);
  model.adapter = set;
  const optimizer = new AdamW(model.trainableParameters(), { weightDecay: 0 });
  const trainer = new Trainer(model, { optimizer, schedule: () => 1e-3 });
  const { batch, sequence } = request;
  const random = new Random(number);
  const inputIds = Int32Array.from(
    { length: batch * sequence },
    () => 3 + random.integer(model.config.vocabSize - 3),
  );
  return {
    set,
    async step() {
      model.adapter = set;
      const { loss, gradNorm } = await trainer.step([{ inputIds, batch, sequence }]);
      return `${loss} ${gradNorm}`;
    },
    dispose() {
      optimizer.dispose();
      set.dispose();
    },
  };
}

function stateOf(sets: number): SharedBaseState {
  finish(Tensor.zeros([1]));
  const { inUse, peak } = native().memory();
  return { sets, resident: inUse, peak, process: peakBytes() };
}

await answerParent(
  async (request: SharedBaseRequest): Promise<Omit<SharedBaseResult, 'peakBytes'>> => {
    setThreads(request.threads);
    const model = await loadModel(request.directory, { trainable: true });
    const base = stateOf(0).resident;
    native().resetPeakMemory();
    const clients: Client[] = [];
    const steps: string[][] = [];
    const states: SharedBaseState[] = [];
    for (let number = 0; number < request.sets; number++) {
      const client = openClient(model, number, request);
      clients.push(client);
      steps.push([await client.step()]);
      states.push(stateOf(number + 1));
    }
    for (let taken = request.sets; taken < request.steps; taken++) {
      const number = taken % request.sets;
      (steps[number] as string[]).push(await (clients[number] as Client).step());
    }
    const final = stateOf(request.sets);
    const switches = 100;
    const start = performance.now();
    for (let i = 0; i < switches; i++) {
      for (const { set } of clients) model.adapter = set;
    }
    const switching = (performance.now() - start) / 1000 / (switches * clients.length);
    const elements = (clients[0] as Client).set.size;
    for (const client of clients) client.dispose();
    // What a set learns does not depend on the others.
    for (const number of [0, request.sets - 1]) {
      const alone = openClient(model, number, request);
      const expected: string[] = [];
      for (const _ of steps[number] as string[]) expected.push(await alone.step());
      check(
        expected.join() === (steps[number] as string[]).join(),
        `set ${number} learns as if alone`,
      );
      alone.dispose();
    }
    model.dispose();
    return { base, elements, states, final, switching };
  },
);
