import { join } from 'node:path';
import { type Evaluation, evaluate } from '../../ts/training/evaluate.js';
import { withDirectory } from '../data.js';
import {
  checkClose,
  type Contender,
  formatFigure,
  interleave,
  ratio,
  type Suite,
  type SuiteContext,
  type Timing,
} from '../harness.js';
import { inputOptions, modelDirectory, textFile } from '../inputs.js';
import type { Peer } from '../peers/peer.js';
import { demoDirectory, writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';

/** One checkpoint to evaluate on both sides. */
interface Case {
  name: string;
  directory: string;
  text: string;
  window: number;
  windows: number;
  batches: number[];
  dtypes: ('f32' | 'bf16')[];
  target: number;
}

interface PeerEvaluation {
  perplexity: number;
  seconds: number;
  tokens: number;
}

async function measure(
  { report, quick, say }: SuiteContext,
  one: Case,
  peer: Peer | undefined,
): Promise<void> {
  const rows: string[][] = [];
  for (const dtype of one.dtypes) {
    const options = {
      text: one.text,
      window: one.window,
      maxWindows: one.windows,
      dtype,
    };
    say(`${one.name}, ${dtype}: checking`);
    const first = await evaluate(one.directory, options);
    if (peer) await peer.call('decoder_load', { directory: one.directory, dtype });
    const theirs = (batch: number) =>
      peer!.call<PeerEvaluation>('decoder_perplexity', {
        directory: one.directory,
        text: one.text,
        window: one.window,
        windows: one.windows,
        batch,
      });
    let gap = 0;
    if (peer) {
      const { perplexity } = await theirs(one.batches[0]!);
      gap = Math.abs(Math.log(perplexity / first.perplexity)) / Math.log(perplexity);
      // In bf16 torch keeps activations rounded; ours are rounded where they are multiplied.
      checkClose(first.perplexity, perplexity, dtype === 'f32' ? 1e-4 : 2e-2, one.name);
    }
    const ours = (extra: { batch?: number }) => async (): Promise<number> =>
      (await evaluate(one.directory, { ...options, ...extra })).seconds;
    const contenders: Contender[] = [{ name: 'espalier', run: ours({}) }];
    for (const batch of one.batches) {
      if (!peer) continue;
      const name = `transformers, batch ${batch}`;
      contenders.push({ name, run: async () => (await theirs(batch)).seconds });
    }
    say(`${one.name}, ${dtype}: timing`);
    const timings = await interleave(contenders, { rounds: quick ? 2 : 5, least: 0.2 });
    const tokens = first.windows * one.window;
    const [own, ...others] = timings as [Timing, ...Timing[]];
    for (const timing of timings) {
      rows.push([
        dtype,
        timing.name,
        formatFigure(tokens / timing.median),
        ratio(timing, own).toFixed(2),
        timing === own ? formatPerplexity(first) : `relative difference ${formatFigure(gap)}`,
      ]);
    }
    if (others.length > 0) {
      const best = others.reduce((a, b) => (b.median < a.median ? b : a));
      const what = `${one.name}, ${dtype}: tokens/s over transformers at its best batch`;
      report.target(what, ratio(best, own), 'at least', one.target);
    }
  }
  report.table(
    `${one.name}: ${one.windows} windows of ${one.window} at most`,
    ['dtype', 'who', 'tokens/s', 'espalier is faster by', 'perplexity'],
    rows,
  );
}

function formatPerplexity({ perplexity, dtype }: Evaluation): string {
  return `${perplexity.toPrecision(6)} (weights held in ${dtype})`;
}

async function measureSynthetic(context: SuiteContext, peer: Peer | undefined): Promise<void> {
  await withDirectory(async (parent) => {
    const directory = join(parent, 'tinyllama');
    const layers = Number(context.options.layers ?? (context.quick ? 1 : 22));
    context.say(`writing a TinyLlama-1.1B shape with ${layers} layers`);
    await writeSyntheticCheckpoint(directory, 'tinyllama-1.1b', { layers });
    await measure(
      context,
      {
        name: `TinyLlama-1.1B shape, ${layers} layers, random weights`,
        directory,
        text: join(demoDirectory(), 'text', 'stories.txt'),
        window: 128,
        windows: context.quick ? 4 : 8,
        batches: context.quick ? [4] : [1, 8],
        dtypes: ['f32', 'bf16'],
        target: 1.1,
      },
      peer,
    );
  });
}

/** Evaluation speed beside stock transformers. */
export const suite: Suite = {
  claim:
    'Evaluation gives the perplexity of stock transformers and is at least 1.5 times as fast on ' +
    'small models, 1.1 times on a TinyLlama-shaped one.',
  options: { ...inputOptions, layers: { type: 'string' } },
  async run(context) {
    const { options, quick, report, say } = context;
    const peer = await context.peer();
    const texts = { 'babyllama-tok105': 'stories.txt', 'demo-3m': 'pd_valid.txt' };
    for (const [name, file] of Object.entries(texts)) {
      const directory = modelDirectory(name, options);
      const text = textFile(file, options);
      if (directory === undefined || text === undefined) {
        say(`${name} left out: give --models and --texts`);
        continue;
      }
      await measure(
        context,
        {
          name,
          directory,
          text,
          window: 128,
          windows: quick ? 32 : 256,
          batches: [1, 8, 32],
          dtypes: ['f32', 'bf16'],
          target: 1.5,
        },
        peer,
      );
    }
    await measureSynthetic(context, peer);
    report.note(
      'Neither tokenizing nor loading weights is timed. transformers runs with `use_cache=False` under ' +
        '`inference_mode`, at several batch sizes; ours picks its own.',
    );
    report.note(
      '`bf16`: torch computes in bf16 throughout; ours multiplies bf16 with sums in f32 and keeps ' +
        'activations in f32.',
    );
  },
};
