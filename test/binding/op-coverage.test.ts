import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert, test } from '../harness.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const ops = join(root, 'binding/ops');
const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
const namesOf = (folder: string, ending: string) =>
  readdirSync(folder).filter((name) => name.endsWith(ending));

/** Methods of Backend that compute something. */
const methods = [
  ...read(root, 'binding/core/backend.h').matchAll(/virtual Status (\w+)\(const \w+Arguments&/g),
].map((match) => match[1]!);

/** Ops by the backend's method that they end in: what headers beside the calling file declare. */
function opsOf(method: string): string[] {
  return namesOf(ops, '.cc')
    .filter((file) => new RegExp(`backend\\.${method}\\(`).test(read(ops, file)))
    .flatMap((file) => {
      const header = read(ops, file.replace('.cc', '.h'));
      return [...header.matchAll(/^[A-Z]\w*(?:<.*>)? (\w+)\(|^void (\w+)\(/gm)];
    })
    .map((match) => (match[1] ?? match[2]) as string)
    .filter((name) => !name.startsWith('check_'));
}

/** What the tests that run on every device call. */
const tested = new Set(
  namesOf(join(root, 'test/binding/ops'), '.test.cc')
    .map((file) => read(root, 'test/binding/ops', file))
    .filter((text) => text.includes('devices()'))
    .flatMap((text) => [...text.matchAll(/ops::(\w+)\(/g)].map((match) => match[1]!)),
);

test('every method of a backend stands behind an op', () => {
  assert.ok(methods.length > 45, `found ${methods.length} methods`);
  for (const method of methods) assert.ok(opsOf(method).length > 0, `no op calls ${method}`);
});

test('every op is tested on all devices', () => {
  const all = new Set(methods.flatMap(opsOf));
  assert.ok(all.size > methods.length, `found ${all.size} ops`);
  const missing = [...all].filter((op) => !tested.has(op));
  assert.equal(missing, []);
});
