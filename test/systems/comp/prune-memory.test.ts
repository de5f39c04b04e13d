import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../../../ts/native/addon.js';
import { prune } from '../../../ts/systems/comp/prune.js';
import { assert, test } from '../../harness.js';
import { temporaryDirectory } from '../../temporary-directory.js';
import { calibrationText, smallModel } from './small-model.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

test('twenty runs in one process take no more memory than a few', async () => {
  const model = smallModel('llama-mha-tied');
  const output = join(temporaryDirectory(), 'result');
  const after = async (runs: number) => {
    for (let i = 0; i < runs; i++) {
      await prune(model, {
        output,
        calibration: calibrationText,
        samples: 8,
        window: 32,
        ratio: 0.3,
        force: true,
      });
    }
    collect();
    const { inUse, tensors } = native().memory();
    return {
      resident: process.memoryUsage().rss,
      inUse,
      tensors,
      files: readdirSync('/proc/self/fd').length,
    };
  };
  const first = await after(5);
  const last = await after(20);
  assert.is(last.inUse, first.inUse);
  assert.is(last.tensors, first.tensors);
  assert.is(last.files, first.files);
  const growth = (last.resident - first.resident) / 2 ** 20;
  assert.ok(growth < 24, `${growth} MiB`);
});
