import { join } from 'node:path';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { writeAdapter } from '../../ts/formats/peft-adapter.js';
import { adapterFileOf, createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadModel } from '../../ts/models/load-model.js';
import { watchCardMemory } from '../card-memory.js';
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
import { Peer } from '../peers/peer.js';
import { writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';
import type { TrainingChildRequest, TrainingChildResult } from './lora-training-child.js';

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

const megabytes = (bytes: number) => (Number.isNaN(bytes) ? '' : formatFigure(bytes / 1e6));

/** The most memory of one side: of its tensors, and of the whole process or its share of the card. */
interface Peaks {
  tensors: number;
  whole: number;
}

/** What our three steps take at most, in a process that does nothing else. */
async function ownPeaks(request: TrainingChildRequest): Promise<Peaks> {
  const run = () => runChild<TrainingChildResult>('suites/lora-training-child.ts', request);
  if (request.device === 'cpu') {
    const { tensorBytes, peakBytes } = await run();
    return { tensors: tensorBytes, whole: peakBytes };
  }
  const { result, bytes } = await watchCardMemory(run);
  return { tensors: result.tensorBytes, whole: bytes ?? Number.NaN };
}

/** The same of PEFT on a GPU. */
async function peerPeaks(context: SuiteContext, load: object, ids: number[][]): Promise<Peaks> {
  const { result, bytes } = await watchCardMemory(async () => {
    const peer = await Peer.start(context.threads, context.peerDevice);
    let last: PeerStep | undefined;
    await peer?.call('training_load', { ...load });
    for (let i = 0; i < 3; i++) last = await peer?.call<PeerStep>('training_step', { ids });
    peer?.close();
    return last?.peakBytes;
  });
  return { tensors: result ?? Number.NaN, whole: bytes ?? Number.NaN };
}

/** An adapter on every linear layer, written for both sides. */
async function makeAdapter(directory: string, target: string): Promise<number> {
  const model = await loadModel(directory, { device: 'cpu' });
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

async function measure(context: SuiteContext, one: Case): Promise<void> {
  const { report, quick, say, threads, device } = context;
  const rows: string[][] = [];
  report.table(
    `${one.name}: steps of ${one.batch} sequences of ${one.sequence} tokens, r = 8 on every linear layer`,
    [
      ...['dtype', 'who', 'step', 'tokens/s', 'espalier is faster by'],
      ...['peak MB', 'peak MB of tensors'],
    ],
    rows,
  );
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
        device,
      };
      const peaks = [await ownPeaks(request)];
      const peer = await context.peer();
      const load = { directory: one.directory, adapter, dtype, lr: LR };
      // On a CPU the peer's peak only grows; on a GPU it is taken from a process of its own.
      if (peer && device !== 'cpu') peaks.push(await peerPeaks(context, load, ids));
      const ours = await openTraining(one.directory, adapter, dtype, LR, device);
      let last: PeerStep | undefined;
      const theirs = async () => {
        last = await (peer as NonNullable<typeof peer>).call<PeerStep>('training_step', { ids });
        return last;
      };
      if (peer) {
        await peer.call('training_load', load);
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
      if (peer && device === 'cpu') {
        const whole = last?.peakBytes ?? Number.NaN;
        peaks.push({ tensors: Number.NaN, whole });
      }
      for (const [i, timing] of timings.entries()) {
        rows.push([
          dtype,
          timing.name,
          formatSeconds(timing.median),
          formatFigure(tokens / timing.median),
          ratio(timing, own).toFixed(2),
          megabytes(peaks[i]!.whole),
          megabytes(peaks[i]!.tensors),
        ]);
        say(rows.at(-1)!.join('  '));
      }
      if (other === undefined) continue;
      const what = `${one.name}, ${dtype}`;
      report.target(`${what}: tokens/s over PEFT`, ratio(other, own), 'at least', one.target);
      const [we, they] = peaks as [Peaks, Peaks];
      const memory = we.whole / they.whole;
      if (Number.isFinite(memory)) {
        report.target(`${what}: peak memory over PEFT`, memory, 'at most', 0.8);
      } else {
        const share = we.tensors / they.tensors;
        report.target(`${what}: peak memory of tensors over PEFT`, share, 'at most', 0.8);
      }
    }
  });
}

/** LoRA training speed and memory beside PEFT. */
export const suite: Suite = {
  claim:
    'LoRA training takes the steps of PEFT on PyTorch, at least 1.3 times as fast on small models and ' +
    'on a GPU, 1.1 times on a TinyLlama-shaped stack on a CPU, in at most 0.8 times the memory.',
  options: inputOptions,
  async run(context) {
    for (const one of context.device === 'cpu' ? cpuCases(context) : gpuCases(context)) {
      await withDirectory(async (parent) => {
        const { shape, layers, ...rest } = one;
        const directory = rest.directory ?? join(parent, 'model');
        if (shape !== undefined) await writeSyntheticCheckpoint(directory, shape, { layers });
        await measure(context, { ...rest, directory });
      });
    }
    context.report.note(
      'A step is forward, backward, clipping and AdamW over the adapters, by the wall clock. Peak ' +
        'memory on a CPU is VmHWM of a process that does nothing else (PEFT: nothing but these cases), ' +
        'mapped weights and libraries included; on a GPU what nvidia-smi shows beyond what was in use ' +
        'before, contexts and libraries included, and beside it what tensors took.',
    );
  },
};

/** A case whose model may have to be written first: random weights of a real shape. */
type Planned = Omit<Case, 'directory'> & { directory?: string; shape?: string; layers: number };

/** The peer is one process, whose peak only grows: cases go from small to large. */
function cpuCases({ options, say, quick }: SuiteContext): Planned[] {
  const small = (['babyllama-tok105', 'demo-3m'] as const).flatMap((name): Planned[] => {
    const directory = modelDirectory(name, options);
    if (directory === undefined) say(`${name} left out: give --models`);
    if (directory === undefined || (quick && name === 'demo-3m')) return [];
    const sizes = { batch: 8, sequence: 128, dtypes: ['bf16', 'f32'] as Case['dtypes'] };
    return [{ name, directory, ...sizes, target: 1.3, layers: 0 }];
  });
  const layers = quick ? 1 : 4;
  const wide: Planned = {
    name: `TinyLlama-1.1B shape, ${layers} layers, random weights`,
    shape: 'tinyllama-1.1b',
    layers,
    batch: 4,
    sequence: 128,
    dtypes: quick ? ['bf16'] : ['bf16', 'f32'],
    target: 1.1,
  };
  return [...small, wide];
}

/** Four layers of LLaMA-2-7B with 2048 tokens, then a model that is all launches. */
function gpuCases({ options, quick }: SuiteContext): Planned[] {
  const small = modelDirectory('babyllama-tok105', options)!;
  const common = { target: 1.3, dtypes: ['bf16'] as Case['dtypes'], layers: 4 };
  if (quick) {
    return [{ ...common, name: 'babyllama-tok105', directory: small, batch: 1, sequence: 8 }];
  }
  const name = 'LLaMA-2-7B shape, 4 layers, random weights';
  return [
    { ...common, name, shape: 'llama-2-7b', batch: 4, sequence: 512 },
    { ...common, name: 'babyllama-tok105', directory: small, batch: 8, sequence: 128 },
  ];
}
