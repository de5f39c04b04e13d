import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { writeAdapter } from '../../ts/formats/peft-adapter.js';
import { adapterFileOf, createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadModel } from '../../ts/models/load-model.js';
import { runChild } from '../child.js';
import { withDirectory } from '../data.js';
import {
  checkClose,
  formatFigure,
  formatSeconds,
  interleave,
  ratio,
  type Suite,
  type SuiteContext,
  type Timing,
} from '../harness.js';
import { inputOptions, modelDirectory } from '../inputs.js';
import { openTraining } from '../lora-training-step.js';
import { writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';
import type { TrainingChildRequest } from './lora-training-child.js';

/** One model to train on both sides. */
interface Case {
  name: string;
  directory: string;
  batch: number;
  sequence: number;
  dtypes: ('f32' | 'bf16')[];
  target: number;
}

interface PeerStep {
  loss: number;
  seconds: number;
  peakBytes: number;
}

const LR = 1e-4;

/** An adapter on every linear layer, written for both sides. */
async function makeAdapter(directory: string, target: string): Promise<number> {
  const model = await loadModel(directory);
  const ends = new Set([...model.linears.keys()].map((path) => path.split('.').at(-1) as string));
  const config = makeAdapterConfig({
    r: 8,
    loraAlpha: 16,
    targetModules: [...ends],
    taskType: 'CAUSAL_LM',
  });
  const set = createAdapterSet(model, config, 1);
  await writeAdapter(target, await adapterFileOf(set, config));
  set.dispose();
  const { vocabSize } = model.config;
  model.dispose();
  return vocabSize;
}

async function measure(
  { report, peer: startPeer, quick, say, threads }: SuiteContext,
  one: Case,
): Promise<void> {
  const rows: string[][] = [];
  await withDirectory(async (parent) => {
    const adapter = join(parent, 'adapter');
    const vocabulary = await makeAdapter(one.directory, adapter);
    const random = new Random(7);
    const ids = Array.from({ length: one.batch }, () =>
      Array.from({ length: one.sequence }, () => 3 + random.integer(vocabulary - 3)),
    );
    const tokens = one.batch * one.sequence;
    for (const dtype of one.dtypes) {
      say(`${one.name}, ${dtype}`);
      const request: TrainingChildRequest = {
        directory: one.directory,
        adapter,
        dtype,
        ids,
        threads,
      };
      const { peakBytes } = await runChild<{ peakBytes: number }>(
        'suites/lora-training-child.ts',
        request,
      );
      const peer = await startPeer();
      const ours = await openTraining(one.directory, adapter, dtype, LR);
      let last: PeerStep | undefined;
      const theirs = async () => {
        last = await (peer as NonNullable<typeof peer>).call<PeerStep>('training_step', { ids });
        return last;
      };
      if (peer) {
        await peer.call('training_load', { directory: one.directory, adapter, dtype, lr: LR });
        for (let step = 0; step < 3; step++) {
          const [own, other] = [await ours.step(ids), await theirs()];
          checkClose(own.loss, other.loss, dtype === 'f32' ? 1e-4 : 2e-2, `loss of step ${step}`);
        }
      }
      const timings = await interleave(
        [
          { name: 'espalier', run: async () => (await ours.step(ids)).seconds },
          ...(peer ? [{ name: 'PEFT', run: async () => (await theirs()).seconds }] : []),
        ],
        { rounds: quick ? 3 : 9, least: quick ? 0.2 : 1 },
      );
      ours.dispose();
      const [own, other] = timings as [Timing, Timing | undefined];
      const peaks = [peakBytes, last?.peakBytes ?? Number.NaN];
      for (const [i, timing] of timings.entries()) {
        rows.push([
          dtype,
          timing.name,
          formatSeconds(timing.median),
          formatFigure(tokens / timing.median),
          ratio(timing, own).toFixed(2),
          formatFigure((peaks[i] as number) / 1e6),
        ]);
      }
      if (other === undefined) continue;
      const what = `${one.name}, ${dtype}`;
      report.target(`${what}: tokens/s over PEFT`, ratio(other, own), 'at least', one.target);
      const memory = peakBytes / (peaks[1] as number);
      report.target(`${what}: peak memory over PEFT`, memory, 'at most', 0.8);
    }
  });
  report.table(
    `${one.name}: steps of ${one.batch} sequences of ${one.sequence} tokens, r = 8 on every linear layer`,
    ['dtype', 'who', 'step', 'tokens/s', 'espalier is faster by', 'peak MB'],
    rows,
  );
}

/** LoRA training speed and memory beside PEFT. */
export const suite: Suite = {
  claim:
    'LoRA training takes the steps of PEFT on PyTorch, at least 1.3 times as fast on small models and ' +
    '1.1 times on a TinyLlama-shaped stack, in at most 0.8 times the memory.',
  options: inputOptions,
  async run(context) {
    const { options, say } = context;
    // The peer is one process, whose peak only grows: cases go from small to large.
    for (const [name, sequence] of [
      ['babyllama-tok105', 128],
      ['demo-3m', 128],
    ] as const) {
      const directory = modelDirectory(name, options);
      if (directory === undefined) {
        say(`${name} left out: give --models`);
        continue;
      }
      await measure(context, {
        name,
        directory,
        batch: 8,
        sequence,
        dtypes: ['bf16', 'f32'],
        target: 1.3,
      });
    }
    await withDirectory(async (parent) => {
      const directory = join(parent, 'tinyllama');
      await writeSyntheticCheckpoint(directory, 'tinyllama-1.1b', { layers: 4 });
      await measure(context, {
        name: 'TinyLlama-1.1B shape, 4 layers, random weights',
        directory,
        batch: 4,
        sequence: 128,
        dtypes: ['bf16', 'f32'],
        target: 1.1,
      });
    });
    context.report.note(
      'A step is forward, backward, clipping and AdamW over the adapters. Peak memory is VmHWM of a ' +
        'process that does nothing else (PEFT: nothing but these cases), mapped weights and libraries included.',
    );
  },
};
