import { Random } from '../../ts/common/random.js';
import { cast } from '../../ts/ops/cast.js';
import { linear } from '../../ts/ops/linear.js';
import { type MaskedMatmulOptions, maskedMatmul } from '../../ts/ops/masked-matmul.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { normals, roundToBf16, withDirectory, writeRaw } from '../data.js';
import {
  checkClose,
  type Contender,
  finish,
  formatSeconds,
  interleave,
  ratio,
  type Suite,
  type SuiteContext,
} from '../harness.js';
import type { Peer } from '../peers/peer.js';

/** Tokens, outputs, inputs: a small block, a square layer, the two products of a LLaMA-2-7B MLP. */
const SHAPES = [
  [512, 1024, 1024],
  [128, 4096, 4096],
  [256, 2048, 5632],
  [64, 11008, 4096],
] as const;
const DENSITIES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1];
const TILE = 64;

type Kind = 'rows' | 'columns' | 'tiles' | 'scattered';
interface Case {
  kind: Kind;
  density: number;
  options: MaskedMatmulOptions;
  kept(n: number, k: number): boolean;
  lists: { rows?: number[]; columns?: number[] };
}

function listCase(kind: 'rows' | 'columns', density: number, size: number, seed: number): Case {
  const list = new Random(seed).sample(size, Math.round(size * density));
  const set = new Set(list);
  const lists = { [kind]: list };
  const indices = Tensor.from(Int32Array.from(list));
  const kept = kind === 'rows' ? (n: number) => set.has(n) : (_: number, k: number) => set.has(k);
  return { kind, density, options: { [kind]: indices }, kept, lists };
}

/** A 0/1 mask whose kept elements fill tiles of 64 x 64, or lie scattered over all of them. */
function maskCase(kind: 'tiles' | 'scattered', density: number, [n, k]: [number, number]): Case {
  const random = new Random(7);
  const across = Math.ceil(k / TILE);
  const tiles = Array.from({ length: Math.ceil(n / TILE) * across }, () => random.float());
  const mask = new Uint8Array(n * k);
  for (let i = 0; i < mask.length; i++) {
    const row = Math.floor(i / k);
    const tile = Math.floor(row / TILE) * across + Math.floor((i - row * k) / TILE);
    mask[i] = (kind === 'tiles' ? tiles[tile]! : random.float()) < density ? 1 : 0;
  }
  const kept = (row: number, column: number) => mask[row * k + column] === 1;
  return { kind, density, options: { mask: Tensor.from(mask, [n, k]) }, kept, lists: {} };
}

async function measureShape(
  { report, peer: startPeer, quick, say }: SuiteContext,
  [tokens, outputs, inputs]: readonly [number, number, number],
  dtype: 'f32' | 'bf16',
): Promise<void> {
  const title = `${tokens} x ${outputs} x ${inputs}, ${dtype}`;
  say(title);
  const a = normals(1, tokens * inputs);
  const b = roundToBf16(normals(2, outputs * inputs));
  const x = Tensor.from(a, [tokens, inputs]);
  const wide = Tensor.from(b, [outputs, inputs]);
  const w = dtype === 'f32' ? wide : cast(wide, dtype);
  const densities = quick ? [0.5, 1] : DENSITIES;
  const cases = densities.flatMap((density): Case[] => [
    listCase('rows', density, outputs, 3),
    listCase('columns', density, inputs, 4),
    maskCase('tiles', density, [outputs, inputs]),
    ...(density === 0.5 ? [maskCase('scattered', density, [outputs, inputs])] : []),
  ]);

  // Correctness first: sampled elements against sums in double precision.
  const random = new Random(5);
  const positions = Array.from({ length: 48 }, (): [number, number] => [
    random.integer(tokens),
    random.integer(outputs),
  ]);
  const expected = (one: Case, [t, n]: [number, number]) => {
    let sum = 0;
    for (let k = 0; k < inputs; k++) {
      if (one.kept(n, k)) sum += a[t * inputs + k]! * b[n * inputs + k]!;
    }
    return sum;
  };
  const scale = Math.sqrt(inputs);
  for (const one of cases) {
    const y = maskedMatmul(x, w, one.options);
    const got = y.readSync();
    y.dispose();
    for (const position of positions) {
      const value = got[position[0] * outputs + position[1]] as number;
      const what = `${title} ${one.kind} ${one.density} at ${position}`;
      checkClose(value, expected(one, position), 1e-5, what, scale);
    }
  }

  const peer = await startPeer();
  const dense: Contender = { name: 'dense', run: () => void finish(linear(x, w)) };
  const rows: string[][] = [];
  const rounds = quick ? 3 : 7;
  const least = quick ? 0.02 : 0.06;
  await withDirectory(async (directory) => {
    if (peer) await loadPeer(peer, directory, a, b, { tokens, outputs, inputs, dtype });
    for (const one of cases) {
      const contenders: Contender[] = [
        dense,
        { name: 'masked', run: () => void finish(maskedMatmul(x, w, one.options)) },
      ];
      const half = one.density === 0.5 && (one.kind === 'rows' || one.kind === 'columns');
      if (peer && half) {
        const values = await peer.call<number[]>('product_values', { positions, ...one.lists });
        for (const [i, value] of values.entries()) {
          const reference = expected(one, positions[i]!);
          checkClose(value, reference, dtype === 'f32' ? 1e-5 : 0.05, 'torch', scale);
        }
        const time = (p: object) => peer.call<number>('product_time', { repeats: 1, ...p });
        contenders.push({ name: 'torch dense', run: () => time({}) });
        contenders.push({ name: 'torch gathered', run: () => time(one.lists) });
      }
      const timings = await interleave(contenders, { rounds, least });
      const [plain, masked, torch, gathered] = timings;
      const share = ratio(masked!, plain!);
      rows.push([
        one.kind,
        String(one.density),
        formatSeconds(plain!.median),
        formatSeconds(masked!.median),
        share.toFixed(2),
        torch ? `${formatSeconds(torch.median)} (${ratio(masked!, torch).toFixed(2)})` : '',
        gathered
          ? `${formatSeconds(gathered.median)} (${ratio(masked!, gathered).toFixed(2)})`
          : '',
      ]);
      say(rows.at(-1)!.join('  '));
      const limit = half ? 0.55 : 1.05;
      report.target(`${title}: ${one.kind} ${one.density}`, share, 'at most', limit);
    }
  });
  report.table(
    `${title} (tokens x outputs x inputs)`,
    ['masked', 'kept', 'our dense', 'our masked', 'ratio', 'torch dense', 'torch index_select'],
    rows,
  );
  for (const { options } of cases) {
    for (const tensor of Object.values(options)) if (tensor instanceof Tensor) tensor.dispose();
  }
  for (const tensor of [x, w, wide]) tensor.dispose();
}

async function loadPeer(
  peer: Peer,
  directory: string,
  a: Float32Array,
  b: Float32Array,
  shape: { tokens: number; outputs: number; inputs: number; dtype: string },
): Promise<void> {
  const [x, w] = [writeRaw(directory, 'x', a), writeRaw(directory, 'w', b)];
  await peer.call('product_load', { x, w, ...shape });
}

/** The masked product against our dense product, and against torch. */
export const suite: Suite = {
  claim:
    'A product with half of the rows or columns masked takes at most 0.55 of the dense one, and at ' +
    'no density more than 1.05 of it.',
  // How many of the shapes are measured.
  options: { shapes: { type: 'string' } },
  async run(context) {
    const shapes = SHAPES.slice(
      0,
      Number(context.options.shapes ?? (context.quick ? 1 : SHAPES.length)),
    );
    for (const dtype of ['f32', 'bf16'] as const) {
      for (const shape of shapes) {
        await measureShape(context, shape, dtype);
      }
    }
    const { report } = context;
    report.note(
      'Ratios are medians over rounds of neighbouring measurements, ours in turns with the others. ' +
        'Rows and columns are drawn at random; `tiles` is a 0/1 mask whose kept elements fill tiles ' +
        'of 64 x 64, `scattered` one that leaves no tile empty.',
    );
    report.note(
      'Numbers in brackets: our masked time over that of torch. With bf16 weights torch also takes ' +
        'bf16 activations and returns bf16; ours keep f32 activations and results.',
    );
  },
};
