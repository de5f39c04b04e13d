import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runChild } from '../child.js';
import { withDirectory } from '../data.js';
import { check, formatFigure, formatSeconds, type Suite } from '../harness.js';
import { demoDirectory, SHAPES, writeSyntheticCheckpoint } from '../synthetic-checkpoint.js';
import type { PruneChildRequest, PruneChildResult } from './comp-7b-child.js';

/** Peak memory and time of pruning a model of a real shape. */
export const suite: Suite = {
  claim:
    'COMP prunes a model of the shape of LLaMA-2-7B with at most 3 GB resident, mapped pages included.',
  options: {
    shape: { type: 'string' },
    layers: { type: 'string' },
    ratio: { type: 'string' },
    samples: { type: 'string' },
    'layer-share': { type: 'string' },
    directory: { type: 'string' },
  },
  async run({ options, quick, report, say, threads }) {
    const shape = (options.shape as string | undefined) ?? (quick ? 'qwen2.5-0.5b' : 'llama-2-7b');
    const whole = Number(SHAPES[shape]?.num_hidden_layers);
    const layers = Number(options.layers ?? (quick ? 4 : whole));
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
          samples: Number(options.samples ?? (quick ? 16 : 128)),
          window: 128,
          ...(share === undefined || share === 'auto' ? {} : { layerShare: Number(share) }),
        },
      };
      const result = await runChild<PruneChildResult>('suites/comp-7b-child.ts', request);
      check(result.ratio >= request.options.ratio!, 'fewer parameters were removed than asked for');
      const gigabytes = result.peakBytes / 1e9;
      report.data('result', result);
      report.target(`${shape}, ${layers} layers: peak resident GB`, gigabytes, 'at most', 3);
      report.table(
        `${shape}, ${layers} of ${whole} layers, ${formatFigure(bytes / 1e9)} GB in bf16`,
        ['what', 'figure'],
        [
          ['removed', `${(100 * result.ratio).toFixed(2)} %`],
          ['calibration', `${request.options.samples} windows of 128`],
          ['whole run', formatSeconds(result.seconds)],
          ['per layer of the model', formatSeconds(result.seconds / layers)],
          ['peak resident memory (VmHWM)', `${gigabytes.toFixed(2)} GB`],
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
