import type { Random } from '../../ts/common/random.js';

/** Values that have broken parsers before. */
const NASTY: readonly unknown[] = [
  0,
  -1,
  1,
  2,
  0.5,
  1e9,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 53,
  1e308,
  null,
  true,
  '',
  'F32',
  'BF16',
  'I64',
  'F8_E4M3',
  'BOOL',
  'constructor',
  '__proto__',
  '../model.safetensors',
  '/dev/zero',
  '..',
  'llama',
  'yarn',
  [],
  {},
  [0, 4],
  [2 ** 52, 2 ** 52],
  { a: { b: {} } },
];

/** Pieces of text that are put into JSON as they are. */
const FRAGMENTS = [
  '1e400',
  '-0',
  '99999999999999999999',
  '"\\ud800"',
  '\u0000',
  '"a":1,',
  '{',
  '}',
  '[',
  ']',
  ',',
  '[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[',
  'NaN',
  'é',
  '\ufeff',
  '//',
];

function pick<T>(random: Random, items: readonly T[]): T {
  return items[random.integer(items.length)] as T;
}

/** Every object and array inside a JSON value, itself included. */
function containers(value: unknown, found: object[] = []): object[] {
  if (typeof value === 'object' && value !== null) {
    found.push(value);
    for (const item of Object.values(value)) containers(item, found);
  }
  return found;
}

/** Changes one place of a JSON value: replaces, deletes, adds, renames, copies or nudges. */
function mutateValue(random: Random, value: unknown): void {
  const target = pick(random, containers(value)) as Record<string, unknown>;
  const keys = Object.keys(target);
  const key = keys.length === 0 ? 'x' : pick(random, keys);
  const current = target[key];
  const set = (name: string, item: unknown) =>
    Object.defineProperty(target, name, {
      value: structuredClone(item),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  switch (random.integer(6)) {
    case 0:
      set(key, pick(random, NASTY));
      break;
    case 1:
      delete target[key];
      break;
    case 2:
      set(
        Array.isArray(target) ? String(keys.length) : pick(random, ['__proto__', 'x', '', 'shape']),
        pick(random, NASTY),
      );
      break;
    case 3:
      if (Array.isArray(target)) target.reverse();
      else {
        delete target[key];
        set(pick(random, ['', 'toString', '__metadata__', `${key} `, 'k'.repeat(5000)]), current);
      }
      break;
    case 4:
      set(key, target[pick(random, [key, ...keys])]);
      break;
    default:
      set(key, typeof current === 'number' ? current + pick(random, [-4, -1, 1, 4, 1e6]) : current);
  }
}

/** Changes the text of JSON: a fragment in, a stretch out, a stretch twice, a key twice. */
function mutateText(random: Random, text: string): string {
  const at = random.integer(text.length + 1);
  const end = Math.min(text.length, at + 1 + random.integer(40));
  switch (random.integer(5)) {
    case 0:
      return text.slice(0, at) + pick(random, FRAGMENTS) + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(end);
    case 2:
      return text.slice(0, end) + text.slice(at);
    case 3:
      return text.slice(0, at);
    default: {
      const members = [...text.matchAll(/"[^"]*":(?:"[^"]*"|[\d.]+|\[[^\]]*\])/g)];
      if (members.length === 0) return `${text}${text}`;
      const member = pick(random, members);
      return text.replace(member[0], `${member[0]},${member[0]}`);
    }
  }
}

/** A JSON text with one to three changes. */
export function mutateJson(random: Random, text: string): string {
  const value: unknown = JSON.parse(text);
  let mutated = text;
  if (random.integer(3) > 0) {
    for (let i = random.integer(3); i >= 0; i--) mutateValue(random, value);
    mutated = JSON.stringify(value);
  }
  return mutated === text || random.integer(4) === 0 ? mutateText(random, mutated) : mutated;
}

/** A safetensors file with a changed header, length, data or size. */
export function mutateSafetensors(random: Random, file: Buffer): Buffer {
  const length = Number(file.readBigUInt64LE());
  const header = file.subarray(8, 8 + length);
  const data = file.subarray(8 + length);
  const choice = random.integer(8);
  if (choice < 4) {
    const changed = Buffer.from(mutateJson(random, header.toString()));
    const prefix = Buffer.alloc(8);
    prefix.writeBigUInt64LE(BigInt(changed.length));
    return Buffer.concat([prefix, changed, data]);
  }
  const copy = Buffer.from(file);
  switch (choice) {
    case 4: {
      const lengths = [0n, 1n, 7n, BigInt(length) - 1n, BigInt(length) + 1n, BigInt(file.length)];
      lengths.push(100_000_000n, 100_000_001n, 2n ** 31n, 2n ** 63n, 2n ** 64n - 1n);
      copy.writeBigUInt64LE(pick(random, lengths));
      return copy;
    }
    case 5:
      for (let i = random.integer(4); i >= 0; i--) {
        copy[random.integer(8 + length)] = random.integer(256);
      }
      return copy;
    case 6:
      return copy.subarray(0, random.integer(copy.length));
    default:
      return Buffer.concat([copy, Buffer.alloc(1 + random.integer(64))]);
  }
}
