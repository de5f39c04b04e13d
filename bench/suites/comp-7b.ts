import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { watchCardMemory } from '../card-memory.js';
import { runChild } from '../child.js';
import { withDirectory } from '../data.js';
import { check, formatFigure, formatSeconds, type Suite } from '../harness.js';
import { demoDirectory, SHAPES, writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';
import type { PruneChildRequest, PruneChildResult } from './comp-7b-child.js';

const gigabytesOf = (bytes: number) => `${(bytes / 1e9).toFixed(2)} GB`;

/** Peak memory and time of pruning a model of a real shape. */
export const suite: Suite = {
  claim:
    'COMP prunes a model of the shape of LLaMA-2-7B with at most 3 GB resident, mapped pages included; ' +
    'on an H200 in 3 minutes, with at most 6 GB of the card.',
  options: {
    shape: { type: 'string' },
    layers: { type: 'string' },
    ratio: { type: 'string' },
    samples: { type: 'string' },
    'layer-share': { type: 'string' },
    directory: { type: 'string' },
  },
  async run({ options, quick, report, say, threads, device }) {
    const onGpu = device !== 'cpu';
    const small = onGpu ? 'tiny' : 'qwen2.5-0.5b';
    const shape = (options.shape as string | undefined) ?? (quick ? small : 'llama-2-7b');
    const whole = Number(SHAPES[shape]?.num_hidden_layers);
    const layers = Number(options.layers ?? (quick ? Math.min(2, whole) : whole));
    const extrapolated = layers < whole;
    const body = async (parent: string): Promise<void> => {
      const model = join(parent, 'model');
      const start = performance.now();
      const bytes = await writeSyntheticCheckpoint(model, shape, { layers });
      const written = (performance.now() - start) / 1000;
      say(`wrote ${formatFigure(bytes / 1e9)} GB in ${formatSeconds(written)}`);
      const share = options['layer-share'] as string | undefined;
      const request: PruneChildRequest = {
        model,
        threads,
        options: {
          output: join(parent, 'pruned'),
          calibration: join(demoDirectory(), 'text', 'calibration.txt'),
          ratio: Number(options.ratio ?? 0.2),
          samples: Number(options.samples ?? (quick ? 8 : 128)),
          window: quick ? 32 : 128,
          device,
          ...(share === undefined || share === 'auto' ? {} : { layerShare: Number(share) }),
        },
      };
      const run = () => runChild<PruneChildResult>('suites/comp-7b-child.ts', request);
      const { result, bytes: card } = onGpu
        ? await watchCardMemory(run)
        : { result: await run(), bytes: undefined };
      check(result.ratio >= request.options.ratio!, 'fewer parameters were removed than asked for');
      const gigabytes = result.peakBytes / 1e9;
      report.data('result', result);
      const title = `${shape}, ${layers} layers`;
      const entire = (result.seconds * whole) / layers;
      const scaled = extrapolated ? `, ${layers} layers' time times ${whole / layers}` : '';
      const onCard = (card ?? result.tensorBytes) / 1e9;
      if (onGpu) {
        report.target(`${title}: peak GB of the card`, onCard, 'at most', 6);
        report.target(`all ${whole} layers: minutes${scaled}`, entire / 60, 'at most', 3);
      } else {
        report.target(`${title}: peak resident GB`, gigabytes, 'at most', 3);
      }
      report.table(
        `${shape}, ${layers} of ${whole} layers, ${formatFigure(bytes / 1e9)} GB in bf16`,
        ['what', 'figure'],
        [
          ['removed', `${(100 * result.ratio).toFixed(2)} %`],
          ['calibration', `${request.options.samples} windows of ${request.options.window}`],
          ['whole run', formatSeconds(result.seconds)],
          ['per layer of the model', formatSeconds(result.seconds / layers)],
          ...(extrapolated ? [[`extrapolated to ${whole} layers`, formatSeconds(entire)]] : []),
          ...(card === undefined ? [] : [['peak of the card (nvidia-smi)', gigabytesOf(card)]]),
          ['peak of tensors on the device', gigabytesOf(result.tensorBytes)],
          ['peak resident memory (VmHWM)', gigabytesOf(result.peakBytes)],
          ['longest delay of the event loop', `${result.longestDelay.toFixed(1)} ms`],
        ],
      );
      report.table(
        'Where the time goes',
        ['phase', 'time', 'share'],
        Object.entries(result.phases)
          .sort(([, a], [, b]) => b - a)
          .map(([phase, seconds]) => [
            phase,
            formatSeconds(seconds),
            `${((100 * seconds) / result.seconds).toFixed(0)} %`,
          ]),
      );
    };
    const own = options.directory as string | undefined;
    if (own === undefined) await withDirectory(body);
    else {
      const parent = join(own, 'espalier-comp-7b');
      await body(parent).finally(() => rm(parent, { recursive: true, force: true }));
    }
    report.note(
      'Random weights of the shape, calibrated on the demo text with the demo tokenizer.',
    );
  },
};
