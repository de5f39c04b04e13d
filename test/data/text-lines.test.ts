import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { textLines } from '../../ts/data/text-lines.js';
import { assert, fails, test } from '../harness.js';
import { temporaryDirectory } from '../temporary-directory.js';

const directory = temporaryDirectory();

async function linesOf(content: string | Buffer, maxBytes?: number): Promise<string[]> {
  const path = join(directory, 'lines.txt');
  writeFileSync(path, content);
  const found: string[] = [];
  for await (const { line, bytes } of textLines(path, maxBytes === undefined ? {} : { maxBytes })) {
    assert.is(line, found.length + 1);
    found.push(bytes.toString());
  }
  return found;
}

test('lines are what lies between line breaks, wherever the pieces of the file end', async () => {
  assert.equal(await linesOf(''), []);
  assert.equal(await linesOf('a'), ['a']);
  assert.equal(await linesOf('a\n\nb\r\nc\n'), ['a', '', 'b', 'c']);
  assert.equal(await linesOf('\ufeffa\n\ufeffb'), ['a', '\ufeffb']);
  const long = Array.from({ length: 3000 }, (_, i) => 'ä'.repeat(i % 97) + i);
  assert.equal(await linesOf(long.join('\n')), long);
});

test('a line that is too long is refused by its number', async () => {
  assert.equal(await linesOf('1234\n1234', 4), ['1234', '1234']);
  assert.match((await fails(() => linesOf('1\n12345\n', 4), 'FORMAT')).message, /lines\.txt:2: /);
});

test('missing files and aborts are errors', async () => {
  const read = async (path: string, signal?: AbortSignal) => {
    for await (const _ of textLines(path, { signal })) assert.unreachable();
  };
  await fails(() => read(join(directory, 'none')), 'CONFIG');
  await fails(() => read(directory), 'CONFIG');
  writeFileSync(join(directory, 'one'), 'x');
  await fails(() => read(join(directory, 'one'), AbortSignal.abort()), 'ABORTED');
});
