import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { assert, test } from './harness.js';
import { temporaryDirectory } from './temporary-directory.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const readme = readFileSync(join(root, 'README.md'), 'utf8');

test("the README's example runs as it stands", async () => {
  const [, example] = /```js\n([\s\S]*?)```/.exec(readme) ?? [];
  assert.ok(example?.includes("from 'espalier'"));
  const directory = temporaryDirectory();
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules', 'espalier'));
  symlinkSync(join(root, 'demo'), join(directory, 'demo'));
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '-e', example as string],
    { cwd: directory },
  );
  const [ratio, perplexity] = stdout.trim().split(' ').map(Number) as [number, number];
  assert.ok(ratio >= 0.2 && ratio <= 0.215, stdout);
  assert.ok(perplexity > 2 && perplexity < 2.7, stdout);
  assert.ok(existsSync(join(directory, 'pruned', 'model.safetensors')));
});

test('links in the documentation lead somewhere', () => {
  const pages = [
    'README.md',
    'demo/README.md',
    ...['README', 'getting-started', 'cli', 'comp', 'cuda', 'finetuning'].map(
      (page) => `docs/${page}.md`,
    ),
  ];
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8');
    for (const [, target] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target as string)) continue;
      assert.ok(existsSync(join(root, page, '..', target as string)), `${page}: ${target}`);
    }
  }
});
