// The GPU of the tests in this folder: the one whose CUDA library ESPALIER_TEST_GPU names (npm run
// test:gpu), or one that the host emulates. Sizes that a GPU takes in its stride are small there.
import { spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { buildEmulatedGpu, buildStandIns } from '../../scripts/native-tests.mjs';
import { probeCuda } from '../../ts/native/cuda-probe.js';
import { resolveDevice } from '../../ts/native/resolve-device.js';

process.env.ESPALIER_CUDA_LIB = process.env.ESPALIER_TEST_GPU ?? buildEmulatedGpu();
// Two cards are emulated, so that what needs several is tested everywhere.
process.env.ESPALIER_SHIM_DEVICES = '2';

const { gpu: card } = probeCuda();

/** The GPU under test, opened. */
export const gpu = resolveDevice('cuda').device;
/** Cards that can be used. */
export const cards = card?.count ?? 0;
/** Bytes of the first. */
export const cardMemory = card?.memory ?? 0;
/** Whether it multiplies bf16 on tensor cores. */
export const roundsBf16 = Number(card?.computeCapability ?? 0) >= 8;
/** True when the host emulates it. */
export const emulated = card?.name === 'emulated GPU';

/** `small` on the emulated GPU, which takes a thousand times as long, `large` on a real one. */
export function sized<T>(small: T, large: T): T {
  return emulated ? small : large;
}

/**
 * Lets the emulated GPU factorise and multiply by what stands in for NVIDIA's libraries, where it is
 * built; a real one takes what is there. Before the first op.
 */
export function useStandIns(): void {
  if (process.env.ESPALIER_TEST_GPU === undefined) {
    process.env.ESPALIER_CUDA_LIBRARY_PATH = buildStandIns();
  }
}

/** Bytes of all cards that any process uses, or undefined where nvidia-smi does not say. */
export function cardMemoryUsed(): number | undefined {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  const { status, stdout } = spawnSync('nvidia-smi', query, { encoding: 'utf8' });
  if (emulated || status !== 0) return undefined;
  return stdout.split('\n').reduce((sum, line) => sum + Number(line), 0) * 2 ** 20;
}

/** The root of the checkout. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Runs a test file on the GPU, in a process for which `auto` is one. */
export function runOnGpu(file: string): Promise<{ code: number | null; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', file], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ESPALIER_TEST_DEVICE: 'cuda' },
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
