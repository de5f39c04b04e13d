import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES, EspalierError } from '../../ts/common/errors.js';
import { native, type NativeTensor } from '../../ts/native/addon.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, fails, test } from '../harness.js';

/** Small linear congruential generator: the same garbage in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** What a careless or hostile caller might pass; small, so that a valid call stays cheap. */
function garbage(next: () => number, tensors: NativeTensor[]): unknown {
  const choices: unknown[] = [
    undefined,
    null,
    true,
    NaN,
    Infinity,
    -1,
    0,
    1,
    2,
    1.5,
    2 ** 53,
    -(2 ** 63),
    '',
    'f32',
    'cpu',
    'exact',
    'lanczos',
    'svd',
    '\u0000',
    Symbol('x'),
    10n,
    () => 1,
    {},
    [],
    [2, 3],
    [2 ** 40, 2 ** 40],
    [-1],
    ['a'],
    new Array(9).fill(1),
    new Float32Array(6),
    new BigInt64Array(2),
    new ArrayBuffer(8),
    Object.create(tensors[0] as object),
    new Proxy(tensors[0] as object, {}),
  ];
  const pick = Math.floor(next() * (choices.length + 40));
  return pick < choices.length ? choices[pick] : tensors[pick % tensors.length];
}

test('no function of the addon crashes on garbage, and every refusal has a code', async () => {
  const addon = native() as unknown as Record<string, (...args: unknown[]) => unknown>;
  // Threads would change the process for the tests to come; sizes here must stay small.
  const skipped = new Set(['setThreads', 'setCacheLimit', 'tensorDispose']);
  const names = Object.keys(addon).filter((name) => !skipped.has(name));
  const next = random(7);
  const made = [
    Tensor.from([1, 2, 3, 4, 5, 6], [2, 3]),
    Tensor.from([1, 2, 3, 4], [2, 2]),
    Tensor.from([4, 1, 1, 3], [2, 2], { dtype: 'f64' }),
    Tensor.from([0, 1], [2], { dtype: 'i32' }),
    Tensor.from(new BigInt64Array([1n, 99n])),
    Tensor.from(new Uint16Array([1, 2]), [2], { dtype: 'bf16' }),
    Tensor.from([], [0]),
    Tensor.from([1], []),
    Tensor.from([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 2, 2]),
    Tensor.from([0, 1, 1, 0], [2, 2], { dtype: 'u8' }),
  ];
  const disposed = Tensor.from([1]);
  disposed.dispose();
  const tensors = [...made, disposed].map((tensor) => tensor.handle);
  let refused = 0;
  let accepted = 0;
  for (let i = 0; i < 20_000; i++) {
    const name = names[Math.floor(next() * names.length)] as string;
    const call = addon[name] as (...args: unknown[]) => unknown;
    const args = Array.from({ length: Math.floor(next() * 8) }, () => garbage(next, tensors));
    try {
      const result = call(...args);
      accepted++;
      if (result instanceof Promise) await result.catch(() => {});
    } catch (error) {
      refused++;
      assert.ok(
        error instanceof EspalierError && ERROR_CODES.includes(error.code),
        `${name} threw ${String(error)}`,
      );
    }
  }
  assert.ok(accepted > 100 && refused > 1000, `${accepted} accepted, ${refused} refused`);
  const check = await Tensor.from([1, 2]).read();
  assert.equal(check, Float32Array.of(1, 2));
});

test('nothing that is made of a handle passes for one', async () => {
  const tensor = Tensor.from([1]);
  const handle = tensor.handle as NativeTensor & { constructor: new () => unknown };
  const imitations = {
    'of the same class': new handle.constructor(),
    'with the same prototype': Object.create(Object.getPrototypeOf(handle)),
    'with the handle as prototype': Object.create(handle),
    proxy: new Proxy(handle, {}),
    copy: { ...handle },
    'all its properties': Object.defineProperties({}, Object.getOwnPropertyDescriptors(handle)),
    clone: structuredClone(handle),
  };
  for (const [how, imitation] of Object.entries(imitations)) {
    const error = await fails(() => native().tensorRead(imitation as NativeTensor), 'CONFIG');
    assert.match(error.message, 'expected a tensor', how);
    await fails(() => native().tensorDispose(imitation as NativeTensor), 'CONFIG');
  }
  assert.equal(await tensor.read(), Float32Array.of(1));
  tensor.dispose();
});

test('a disposed tensor is refused, and disposing twice is harmless', async () => {
  const tensor = Tensor.from([1, 2, 3]);
  const reading = tensor.read();
  tensor.dispose();
  tensor.dispose();
  assert.equal(await reading, Float32Array.of(1, 2, 3));
  const error = await fails(() => tensor.read(), 'CONFIG');
  assert.match(error.message, 'disposed');
});

test('a tensor that does not fit fails its reads and what depends on it, and nothing else', async () => {
  const huge = Tensor.zeros([2 ** 45]);
  const slice = huge.slice(0, 4);
  const error = await fails(() => slice.read(), 'OUT_OF_MEMORY');
  assert.match(error.message, 'tensorZeros');
  const small = Tensor.from([1, 2]);
  assert.equal(await small.read(), Float32Array.of(1, 2));
});

test('running out of address space fails the read and leaves the process usable', () => {
  // The bare addon: a TypeScript loader would reserve tens of gigabytes of address space itself.
  const program = `
    const addon = require('node-gyp-build')(process.cwd());
    (async () => {
      const tensors = [];
      const first = (tensor) => addon.tensorRead(addon.tensorSlice(tensor, 0, 1));
      let failure;
      for (let i = 0; i < 64 && failure === undefined; i++) {
        tensors.push(addon.tensorZeros([2 ** 26], 'f32', 'cpu'));
        await first(tensors[i]).catch((error) => { failure = error; });
      }
      for (const tensor of tensors) addon.tensorDispose(tensor);
      const again = await first(addon.tensorZeros([2 ** 20], 'f32', 'cpu'));
      console.log(failure?.code, failure?.op, again[0]);
    })();`;
  const child = spawnSync(
    'bash',
    ['-c', 'ulimit -v 4000000; exec "$0" -e "$1"', process.execPath, program],
    { cwd: fileURLToPath(new URL('../..', import.meta.url)), encoding: 'utf8', timeout: 120_000 },
  );
  assert.is(child.stdout.trim(), 'OUT_OF_MEMORY tensorZeros 0', child.stderr);
});
