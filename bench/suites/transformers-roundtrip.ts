import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadModel } from '../../ts/models/load-model.js';
import { prune } from '../../ts/systems/comp/prune.js';
import type { PruneOptions } from '../../ts/systems/comp/prune-options.js';
import { evaluate } from '../../ts/training/evaluate.js';
import { Random } from '../../ts/common/random.js';
import { withDirectory } from '../data.js';
import { check, formatFigure, type Suite } from '../harness.js';
import { inputOptions, modelDirectory, textFile } from '../inputs.js';
import type { Peer } from '../peers/peer.js';

/** Uniform results in every way that a method changes a config. */
const VARIANTS: Readonly<Record<string, Partial<PruneOptions>>> = {
  'comp, refit': {},
  'comp, mask': { metric: 'residual', recover: 'mask' },
  'comp, half of it whole layers': { layerShare: 0.5, ratio: 0.4 },
  flap: { method: 'flap' },
  'wanda-sp': { method: 'wanda-sp' },
  shortgpt: { method: 'shortgpt', ratio: 0.15 },
};

/** Largest difference of logits over the largest logit, for `directory` on random tokens. */
async function logitGap(peer: Peer, directory: string, scratch: string): Promise<number> {
  const config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
  const random = new Random(3);
  const ids = Array.from({ length: 2 }, () =>
    Array.from({ length: 64 }, () => random.integer(config.vocab_size)),
  );
  const model = await loadModel(directory, { dtype: 'f32' });
  const logits = model.forward(ids);
  const ours = (await logits.read()) as Float32Array;
  logits.dispose();
  model.dispose();
  await peer.call('decoder_load', { directory, dtype: 'f32' });
  const path = join(scratch, 'logits');
  await peer.call('decoder_logits', { ids, path });
  const bytes = readFileSync(path);
  const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  check(theirs.length === ours.length, `${ours.length} logits, transformers has ${theirs.length}`);
  let largest = 0;
  let gap = 0;
  for (let i = 0; i < ours.length; i++) {
    largest = Math.max(largest, Math.abs(theirs[i]!));
    gap = Math.max(gap, Math.abs(ours[i]! - theirs[i]!));
  }
  return gap / largest;
}

/** Pruned models in stock transformers. */
export const suite: Suite = {
  claim:
    'A uniformly pruned model loads in stock transformers and gives the logits and the perplexity ' +
    'that it gives here.',
  options: { ...inputOptions },
  async run(context) {
    const { options, quick, report, say } = context;
    const peer = await context.peer();
    if (peer === undefined) throw new Error('this suite needs the peer: npm run bench:peers');
    const rows: string[][] = [];
    let worstLogits = 0;
    let worstPerplexity = 0;
    for (const [name, file, other] of [
      ['babyllama-tok105', 'stories.txt', 'calibration.txt'],
      ['demo-3m', 'pd_valid.txt', 'pd_calibration.txt'],
      ['stories260K', 'stories.txt', 'calibration.txt'],
    ] as const) {
      const model = modelDirectory(name, options);
      const [text, calibration] = [textFile(file, options), textFile(other, options)];
      if (model === undefined || text === undefined || calibration === undefined) continue;
      for (const [variant, settings] of Object.entries(VARIANTS)) {
        say(`${name}: ${variant}`);
        await withDirectory(async (directory) => {
          const output = join(directory, 'pruned');
          const { ratio } = await prune(model, { output, calibration, samples: 32, ...settings });
          const gap = await logitGap(peer, output, directory);
          const limits = { text, window: 128, maxWindows: 32 };
          const { perplexity } = await evaluate(output, { ...limits, dtype: 'f32' });
          const theirs = await peer.call<{ perplexity: number }>('decoder_perplexity', {
            directory: output,
            text,
            window: 128,
            windows: 32,
            batch: 8,
          });
          const drift = Math.abs(perplexity / theirs.perplexity - 1);
          worstLogits = Math.max(worstLogits, gap);
          worstPerplexity = Math.max(worstPerplexity, drift);
          rows.push([
            name,
            variant,
            `${(100 * ratio).toFixed(1)} %`,
            perplexity.toPrecision(6),
            theirs.perplexity.toPrecision(6),
            formatFigure(drift),
            formatFigure(gap),
          ]);
        });
        if (quick) break;
      }
      if (quick) break;
    }
    report.target('logits, largest relative difference', worstLogits, 'at most', 1e-4);
    report.target('perplexity, largest relative difference', worstPerplexity, 'at most', 1e-4);
    report.table(
      'The same directory here and in transformers, f32',
      ['model', 'pruned by', 'removed', 'perplexity here', 'there', 'difference', 'of logits'],
      rows,
    );
    report.note(
      'Differences of logits are relative to the largest logit. Tokens for logits are random, ' +
        'perplexity is that of 32 windows of 128 tokens, tokenized by each side itself.',
    );
  },
};
