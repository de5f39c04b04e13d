import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Random } from '../../ts/common/random.js';
import { makeAdapterConfig } from '../../ts/formats/adapter-config.js';
import { moduleRanks } from '../../ts/formats/adapter-modules.js';
import {
  type AdapterFile,
  type AdapterModule,
  writeAdapter,
} from '../../ts/formats/peft-adapter.js';
import { readWeightsIndex } from '../../ts/formats/weights-index.js';
import { mergeAdapter } from '../../ts/training/merge-adapter.js';
import { withDirectory } from '../data.js';
import { formatFigure, type Suite } from '../harness.js';
import { inputOptions, modelDirectory } from '../inputs.js';

const fixtures = join(dirname(fileURLToPath(import.meta.url)), '../../test/fixtures/conformance');

/** Conformance checkpoints, and classes where they are classifiers. */
const BASES: readonly (readonly [name: string, classes: number])[] = [
  ['llama-gqa', 0],
  ['llama-bf16', 0],
  ['llama-f16-sharded', 0],
  ['qwen2', 0],
  ['qwen3', 0],
  ['bert-classifier', 3],
  ['distilbert-classifier', 3],
];

/** Configurations as users write them. */
const VARIANTS: Readonly<Record<string, Partial<AdapterFile['config']>>> = {
  'all-linear': {},
  'ranks and alphas by pattern': {
    rankPattern: { '.*\\.0\\..*': 2, 'q_proj|query|q_lin': 6 },
    alphaPattern: { '.*\\.1\\..*': 5 },
  },
  'rsLoRA, two layers': { useRslora: true, layersToTransform: [0, 2] },
};

/** Modules of a layer, in the spelling of each family. */
const LINEAR = /\.(\d+)\..*(_proj|query|key|value|dense|_lin|lin1|lin2)$/;

async function randomAdapter(
  base: string,
  classes: number,
  fields: Partial<AdapterFile['config']>,
): Promise<AdapterFile> {
  const { entries } = await readWeightsIndex(base);
  const random = new Random(8);
  const numbers = (length: number, size: number) =>
    Float32Array.from({ length }, () => size * random.normal());
  const layers = fields.layersToTransform as number[] | undefined;
  const found = [...entries.values()].filter(({ name, shape }) => {
    const layer = LINEAR.exec(name.replace(/\.weight$/, ''))?.[1];
    return shape.length === 2 && layer !== undefined && (layers?.includes(Number(layer)) ?? true);
  });
  const paths = found.map(({ name }) => name.replace(/\.weight$/, ''));
  const config = makeAdapterConfig({
    r: 4,
    loraAlpha: 8,
    // PEFT writes the names that all-linear stands for.
    targetModules: [...new Set(paths.map((path) => path.replace(/^.*\.\d+\./, '')))],
    taskType: classes > 0 ? 'SEQ_CLS' : 'CAUSAL_LM',
    modulesToSave: classes > 0 ? ['classifier', 'pre_classifier'] : null,
    ...fields,
  });
  const ranks = moduleRanks(config, paths);
  const modules = new Map<string, AdapterModule>();
  for (const [i, { shape }] of found.entries()) {
    const path = paths[i] as string;
    const [outFeatures, inFeatures] = shape as [number, number];
    const own = ranks.get(path)!;
    const a = numbers(own.rank * inFeatures, 0.2);
    const b = numbers(own.rank * outFeatures, 0.2);
    modules.set(path, { ...own, a, b, inFeatures, outFeatures });
  }
  const modulesToSave: AdapterFile['modulesToSave'] = new Map(
    [...entries.values()]
      .filter(({ name }) => classes > 0 && /^(pre_)?classifier\./.test(name))
      .map(({ name, shape }) => {
        const size = shape.reduce((x, y) => x * y, 1);
        return [name, { shape, data: numbers(size, 0.2) }];
      }),
  );
  return { config, modules, modulesToSave };
}

/** Adapters written here, in PEFT. */
export const suite: Suite = {
  claim:
    "PEFT loads the adapters that are written here, and the merged model is that of PEFT's merge_and_unload.",
  options: { ...inputOptions },
  async run(context) {
    const { options, quick, report, say } = context;
    const peer = await context.peer();
    if (peer === undefined) throw new Error('this suite needs the peer: npm run bench:peers');
    const rows: string[][] = [];
    const worst = { unplaced: 0, merged: 0, adapted: 0, differing: 0 };
    for (const [name, classes] of BASES) {
      const own = join(fixtures, name);
      const base = existsSync(own) ? own : modelDirectory(join('conformance', name), options);
      if (base === undefined) continue;
      const stored = JSON.parse(readFileSync(join(base, 'config.json'), 'utf8')).dtype;
      for (const [variant, fields] of Object.entries(VARIANTS)) {
        say(`${name}: ${variant}`);
        await withDirectory(async (directory) => {
          const [adapter, merged] = [join(directory, 'adapter'), join(directory, 'merged')];
          await writeAdapter(adapter, await randomAdapter(base, classes, fields));
          await mergeAdapter(base, adapter, { output: merged });
          const random = new Random(2);
          const ids = [0, 1].map(() => Array.from({ length: 24 }, () => random.integer(131)));
          const got = await peer.call<typeof worst & { elements: number }>('adapter_compare', {
            base,
            adapter,
            merged,
            classes,
            ids,
          });
          worst.unplaced = Math.max(worst.unplaced, got.unplaced);
          worst.merged = Math.max(worst.merged, got.merged);
          worst.differing = Math.max(worst.differing, got.differing / got.elements);
          // In half precision an adapter beside the weights rounds elsewhere than one inside them.
          if (stored === 'float32') worst.adapted = Math.max(worst.adapted, got.adapted);
          rows.push([
            name,
            stored,
            variant,
            String(got.unplaced),
            formatFigure(got.merged),
            formatFigure(got.adapted),
            `${got.differing} of ${got.elements}`,
          ]);
        });
        if (quick) break;
      }
      if (quick) break;
    }
    report.target('keys without a place or a value', worst.unplaced, 'at most', 0);
    report.target('share of merged weights that differ in a bit', worst.differing, 'at most', 1e-4);
    report.target('logits, merged here and by PEFT', worst.merged, 'at most', 1e-4);
    report.target('logits, merged here and unmerged in PEFT, f32', worst.adapted, 'at most', 1e-4);
    report.table(
      'Adapters written here, in PEFT',
      ['base', 'dtype', 'adapter', 'keys left over', 'merged', 'unmerged', 'weights that differ'],
      rows,
    );
    report.note(
      'Differences of logits are relative to the largest logit. Matrices are random, so B is not zero. ' +
        'In half precision the unmerged adapter rounds elsewhere than the merged one.',
    );
  },
};
