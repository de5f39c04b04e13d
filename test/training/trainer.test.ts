import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assert, test } from '../harness.js';

test('whatever op of a step memory runs out in, nothing has changed and training goes on', () => {
  const file = fileURLToPath(new URL('./children/short-of-memory.ts', import.meta.url));
  const child = spawnSync(process.execPath, ['--import', 'tsx', file], { encoding: 'utf8' });
  assert.is(child.status, 0, child.stderr);
  const { ops, changed, grown, same } = JSON.parse(child.stdout);
  assert.ok(ops.length >= 3, `only in ${ops}`);
  assert.is(changed, 0);
  assert.is(grown, 0);
  assert.ok(same, 'the step that went through gave other bits than one without failures before it');
});
