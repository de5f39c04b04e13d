import { EspalierError } from '../common/errors.js';

/**
 * The concrete device that an option asks for; `auto`, the default, is the CPU.
 * @throws EspalierError `DEVICE_UNAVAILABLE` for one that is not there.
 */
export function resolveDevice(device = 'auto'): string {
  if (device === 'auto' || device === 'cpu') return 'cpu';
  throw new EspalierError('DEVICE_UNAVAILABLE', `the device "${device}" is not available`, {
    remedy: 'use cpu',
  });
}
