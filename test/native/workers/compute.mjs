// Computes one small result with the bare addon and leaves by itself.
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';

const load = createRequire(import.meta.url)('node-gyp-build');
const addon = load(fileURLToPath(new URL('../../..', import.meta.url)));
const { input, device } = workerData;
const { length } = input;
const x = addon.tensorFrom(input, [1, length], 'f32', device);
const weight = addon.tensorFrom(new Float32Array(length).fill(1), [length], 'f32', device);
const [y] = addon.rmsNorm(x, weight, 0, undefined);
parentPort.postMessage(await addon.tensorRead(y));
