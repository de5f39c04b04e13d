import { EspalierError } from '../common/errors.js';
import { native } from './addon.js';
import { probeCuda } from './cuda-probe.js';

/** What a caller may ask for. */
export type DeviceRequest = 'auto' | 'cpu' | 'cuda';

/** A concrete device and why it was chosen. */
export interface ResolvedDevice {
  /** `cpu`, or `cuda:0` for the first GPU that `CUDA_VISIBLE_DEVICES` leaves. */
  device: string;
  reasons: readonly string[];
}

/**
 * Turns a request into the concrete device, once; nothing falls back later. `auto` is the GPU where
 * one can be used.
 *
 * @param request default `auto`
 * @throws EspalierError `DEVICE_UNAVAILABLE` with the reason for a device that can't be had,
 * `CONFIG` for one that does not exist
 */
export function resolveDevice(request: string = 'auto'): ResolvedDevice {
  if (request === 'cpu') return { device: 'cpu', reasons: ['asked for'] };
  if (request !== 'auto' && request !== 'cuda') {
    throw new EspalierError('CONFIG', `device must be auto, cpu or cuda, got ${request}`, {
      op: 'resolveDevice',
      details: { option: 'device', value: request },
    });
  }
  const { available, backend, reasons, remedy } = probeCuda();
  if (available) return { device: native().openCuda(backend!, 0), reasons };
  if (request === 'auto') return { device: 'cpu', reasons };
  throw new EspalierError('DEVICE_UNAVAILABLE', `device cuda: ${reasons.join('; ')}`, {
    op: 'resolveDevice',
    remedy,
    details: { device: request, reasons },
  });
}
