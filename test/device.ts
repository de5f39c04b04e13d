import { resolveDevice } from '../ts/native/resolve-device.js';

/** Where tests run that can run on any device: the CPU, or what ESPALIER_TEST_DEVICE names. */
export const device = resolveDevice(process.env.ESPALIER_TEST_DEVICE ?? 'cpu').device;
