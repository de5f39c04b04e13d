import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { assert, test } from '../harness.js';
import { finish, start } from './spawn-cli.js';

test('the second Ctrl-C ends at once, one that npm passes on twice is one', async () => {
  const child = start([], { file: 'test/cli/fixtures/stubborn.ts' });
  const finished = finish(child);
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  child.kill('SIGINT');
  child.kill('SIGINT');
  await wait(300);
  assert.is(child.exitCode, null, 'still working after one press');
  const before = performance.now();
  child.kill('SIGINT');
  const { code, stderr } = await finished;
  assert.is(code, 130);
  assert.ok(performance.now() - before < 2000);
  assert.match(stderr, 'stopping; press Ctrl-C again');
});
