import { EspalierError } from '../common/errors.js';
import { probeCuda } from './cuda-probe.js';

/** What a caller may ask for. */
export type DeviceRequest = 'auto' | 'cpu' | 'cuda';

/** A concrete device and why it was chosen. */
export interface ResolvedDevice {
  device: 'cpu';
  reasons: readonly string[];
}

/**
 * Turns a request into the concrete device, once; nothing falls back later.
 *
 * @param request default `auto`
 * @throws EspalierError `DEVICE_UNAVAILABLE` with the reason for a device that can't be had,
 * `CONFIG` for one that does not exist
 */
export function resolveDevice(request: string = 'auto'): ResolvedDevice {
  if (request === 'cpu') return { device: 'cpu', reasons: ['asked for'] };
  const cuda = probeCuda();
  if (request === 'auto') return { device: 'cpu', reasons: cuda.reasons };
  if (request === 'cuda') {
    throw new EspalierError('DEVICE_UNAVAILABLE', `device cuda: ${cuda.reasons.join('; ')}`, {
      op: 'resolveDevice',
      remedy: cuda.remedy,
      details: { device: request, reasons: cuda.reasons },
    });
  }
  throw new EspalierError('CONFIG', `device must be auto, cpu or cuda, got ${request}`, {
    op: 'resolveDevice',
    details: { option: 'device', value: request },
  });
}
