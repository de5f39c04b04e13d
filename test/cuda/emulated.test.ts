// Everything from the API down to the kernels on an emulated GPU: whole test files run again in a
// process for which `auto` is the CUDA backend.
import { spawn } from 'node:child_process';
import { buildEmulatedGpu } from '../../scripts/native-tests.mjs';
import { assert, test } from '../harness.js';

const FILES = ['test/models/conformance.test.ts', 'test/models/training-conformance.test.ts'];

const library = buildEmulatedGpu();

function run(file: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      env: { ...process.env, ESPALIER_CUDA_LIB: library },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

for (const file of FILES) {
  test(`on the emulated GPU: ${file}`, async () => {
    const { code, output } = await run(file);
    assert.is(code, 0, output);
  });
}
